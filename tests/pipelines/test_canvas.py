import numpy as np
import pytest

from pipelines.canvas import CanvasGrid


@pytest.mark.parametrize(
    ("height", "width", "canvas"), [(64, 96, 64), (96, 64, 32), (60, 75, 112), (64, 64, 64)]
)
def test_canvas_grid_is_the_mean_over_the_square_under_each_cell(height, width, canvas):
    rows, columns = -(-height // 16), -(-width // 16)
    native = np.random.default_rng(0).normal(size=(rows, columns, 2)).astype(np.float32)
    # Reference: every pixel split into n x n parts, so that cell edges fall between parts.
    parts, side, cells = 2 * canvas // 16, min(height, width), canvas // 16
    fine = native.astype(float).repeat(16 * parts, 0).repeat(16 * parts, 1)
    top, left = (height - side) * parts // 2, (width - side) * parts // 2
    square = fine[top : top + side * parts, left : left + side * parts]
    expected = square.reshape(cells, side * parts // cells, cells, side * parts // cells, 2).mean((1, 3))
    grid = CanvasGrid(height, width, canvas)(native)
    assert grid.dtype == np.float32
    np.testing.assert_allclose(grid, expected * canvas / side, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("rotation", "place", "moved"),
    [(0, (0, 1), (3, 1)), (90, (0, 0), (1, -3)), (180, (1, 0), (-3, -1)), (270, (1, 1), (-1, 3))],
)
def test_a_quarter_turn_moves_cells_and_turns_vectors(rotation, place, moved):
    native = np.zeros((2, 2, 2), np.float32)
    native[0, 1] = 3, 1  # top right, going right and a little down
    grid = CanvasGrid(32, 32, 32, rotation)(native)
    assert grid[place].tolist() == pytest.approx(moved)
    assert np.count_nonzero(grid) == 2
