from fractions import Fraction

import numpy as np
import pytest

from pipelines.canvas import CanvasGrid, CanvasGrids
from pipelines.geometry import UPRIGHT, Geometry
from pipelines.motion import VECTOR, VectorField


@pytest.mark.parametrize(
    ("height", "width", "canvas", "aspect", "box"),
    [
        (64, 96, 64, 1, (16, 0, 64, 64)),
        (96, 64, 32, 1, (0, 16, 64, 64)),
        (60, 75, 112, 1, (6, 0, 60, 60)),
        (64, 64, 64, 1, (0, 0, 64, 64)),
        (64, 96, 64, Fraction(4, 3), (24, 0, 48, 64)),  # left, top, width and height of the square
        (80, 64, 64, Fraction(1, 2), (0, 24, 64, 32)),
    ],
)
def test_canvas_grid_is_the_mean_over_the_square_under_each_cell(height, width, canvas, aspect, box):
    rows, columns = -(-height // 16), -(-width // 16)
    native = np.random.default_rng(0).normal(size=(rows, columns, 2)).astype(np.float32)
    # Reference: every pixel split into n x n parts, so that cell edges fall between parts.
    parts, cells = canvas // 16, canvas // 16
    fine = native.astype(float).repeat(16 * parts, 0).repeat(16 * parts, 1)
    left, top, wide, high = (parts * edge for edge in box)
    square = fine[top : top + high, left : left + wide]
    expected = square.reshape(cells, high // cells, cells, wide // cells, 2).mean((1, 3))
    grid = CanvasGrid(height, width, canvas, Geometry(aspect=Fraction(aspect)))(native)
    assert grid.dtype == np.float32
    scale = canvas / box[2], canvas / box[3]
    np.testing.assert_allclose(grid, expected * scale, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("rotation", "place", "moved"),
    [(0, (0, 1), (3, 1)), (90, (0, 0), (1, -3)), (180, (1, 0), (-3, -1)), (270, (1, 1), (-1, 3))],
)
def test_a_quarter_turn_moves_cells_and_turns_vectors(rotation, place, moved):
    native = np.zeros((2, 2, 2), np.float32)
    native[0, 1] = 3, 1  # top right, going right and a little down
    grid = CanvasGrid(32, 32, 32, Geometry(rotation))(native)
    assert grid[place].tolist() == pytest.approx(moved)
    assert np.count_nonzero(grid) == 2


def test_mirroring_comes_before_turning():
    native = np.zeros((2, 2, 2), np.float32)
    native[0, 1] = 3, 1
    grid = CanvasGrid(32, 32, 32, Geometry(90, mirrored=True))(native)
    # mirrored: top left, going left and down; then turned: bottom left, going down and right
    assert grid[1, 0].tolist() == pytest.approx([1, 3])
    assert np.count_nonzero(grid) == 2


def test_wide_pixels_move_further():
    native = np.full((4, 2, 2), 1, np.float32)  # 64 rows of 32 pixels, each twice as wide as high
    upright = CanvasGrid(64, 32, 32, Geometry(aspect=Fraction(2)))(native)
    np.testing.assert_allclose(upright, np.broadcast_to([1, 0.5], (2, 2, 2)))
    turned = CanvasGrid(64, 32, 32, Geometry(90, aspect=Fraction(2)))(native)
    np.testing.assert_allclose(turned, np.broadcast_to([0.5, -1], (2, 2, 2)))


def field(height, width, moved):
    """A frame whose every 16x16 block moved by `moved`."""
    down, across = np.mgrid[: height // 16, : width // 16]
    vectors = np.zeros(down.size, VECTOR)
    vectors["source"], vectors["motion_scale"], vectors["w"], vectors["h"] = -1, 4, 16, 16
    vectors["dst_x"], vectors["dst_y"] = across.ravel() * 16 + 8, down.ravel() * 16 + 8
    vectors["motion_x"], vectors["motion_y"] = -4 * moved[0], -4 * moved[1]
    return VectorField(vectors.tobytes(), height, width)


def test_many_frames_of_changing_size():
    fields = [field(32, 64, (2, 4)), field(32, 64, (-1, 0)), field(64, 96, (2, 4)), field(32, 64, (6, 0))]
    grids = CanvasGrids(32, UPRIGHT)(fields)
    moved = [(2, 4), (-1, 0), (1, 2), (6, 0)]
    np.testing.assert_allclose(grids, np.broadcast_to(np.reshape(moved, (4, 1, 1, 2)), (4, 2, 2, 2)))
    assert CanvasGrids(32)([]).shape == (0, 2, 2, 2)
