import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.warp import BlockWarp


def random_planes(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def warped(planes, displacement, block, subpel=False):
    warp = BlockWarp(planes.shape, block, subpel)
    warp.fill([planes])
    return warp(np.asarray(displacement, np.float32)[None])[0].copy()


def still(warp_shape, block, step=(0, 0)):
    rows, columns = -(-warp_shape[1] // block[0]), -(-warp_shape[2] // block[1])
    return np.full((rows, columns, 2), step, np.float32)


def reference(plane, displacement, block, subpel):
    """Bilinear lookup pixel by pixel in float64, places clamped to the picture."""
    height, width = plane.shape
    units = 16 if subpel else 1
    out = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            move = np.rint(-units * displacement[y // block[0], x // block[1]].astype(float)) / units
            at_x, at_y = np.clip(np.array([x, y]) + move, 0, [width - 1, height - 1])
            left, top = int(at_x), int(at_y)
            right, below = min(left + 1, width - 1), min(top + 1, height - 1)
            part_x, part_y = at_x - left, at_y - top
            upper = plane[top, left] * (1 - part_x) + plane[top, right] * part_x
            lower = plane[below, left] * (1 - part_x) + plane[below, right] * part_x
            out[y, x] = upper * (1 - part_y) + lower * part_y
    return np.floor(out + 0.5)


@pytest.mark.parametrize("subpel", [False, True])
@pytest.mark.parametrize("shape", [(1, 32, 48), (2, 17, 21), (3, 5, 3)])
def test_no_motion_copies(shape, subpel):
    planes = random_planes(shape)
    np.testing.assert_array_equal(warped(planes, still(shape, (8, 8)), (8, 8), subpel), planes)


@pytest.mark.parametrize("subpel", [False, True])
def test_content_moves_right_and_down_and_the_border_repeats(subpel):
    before = random_planes((1, 32, 32))
    moved = warped(before, still(before.shape, (16, 16), (3, 1)), (16, 16), subpel)
    np.testing.assert_array_equal(moved[0, 1:, 3:], before[0, :-1, :-3])
    np.testing.assert_array_equal(moved[0, 1:, :3], before[0, :-1, [0, 0, 0]].T)
    np.testing.assert_array_equal(moved[0, 0, 3:], before[0, 0, :-3])


def test_half_a_pixel_is_the_mean_of_two():
    before = random_planes((1, 16, 16))
    moved = warped(before, [[(0.5, 0)]], (16, 16), subpel=True)
    two = before[..., 1:].astype(int) + before[..., :-1]
    np.testing.assert_array_equal(moved[..., 1:], (two + 1) // 2)


def test_whole_pixels_round_and_halves_go_to_the_even_neighbour():
    before = np.arange(16, dtype=np.uint8).reshape(1, 1, 16) + np.uint8(100)
    for step, whole in ((0.5, 0), (0.6, 1), (1.5, 2), (-1.5, -2), (2.4, 2)):
        moved = warped(before, [[(step, 0)]], (16, 16))
        np.testing.assert_array_equal(moved[0, 0, 4:12], np.arange(104 - whole, 112 - whole))


def test_each_cell_moves_by_itself():
    before = random_planes((1, 32, 32))
    grid = still(before.shape, (16, 16))
    grid[0, 1] = 2, 0
    moved = warped(before, grid, (16, 16))
    np.testing.assert_array_equal(moved[0, :16, 16:], before[0, :16, 14:30])
    np.testing.assert_array_equal(moved[0, 16:], before[0, 16:])
    np.testing.assert_array_equal(moved[0, :16, :16], before[0, :16, :16])


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 37), st.integers(1, 37)),
    block=st.sampled_from([(16, 16), (8, 8), (4, 4), (2, 2), (1, 1), (16, 8), (4, 2), (3, 5)]),
    spread=st.sampled_from([0.3, 2, 20, 300, 1e5, 1e9, 1e30]),
    subpel=st.booleans(),
    moving=st.sampled_from([0.1, 0.5, 1]),
    seed=st.integers(0, 1000),
)
def test_equals_a_lookup_pixel_by_pixel(shape, block, spread, subpel, moving, seed):
    planes = random_planes(shape, seed)
    random = np.random.default_rng(seed)
    grid = still(shape, block)
    grid += random.normal(0, spread, grid.shape).astype(np.float32)
    grid *= random.random(grid.shape[:2])[..., None] < moving
    moved = warped(planes, grid, block, subpel)
    assert moved.dtype == np.uint8
    for plane, result in zip(planes, moved, strict=True):
        np.testing.assert_array_equal(result, reference(plane, grid, block, subpel))


@pytest.mark.parametrize("subpel", [False, True])
@pytest.mark.parametrize("side", [-1, 1])
def test_infinitely_far_is_border(side, subpel):
    before = random_planes((1, 20, 20))
    moved = warped(before, still(before.shape, (8, 8), (side * np.inf, 0)), (8, 8), subpel)
    np.testing.assert_array_equal(moved[0], np.repeat(before[0, :, [0 if side > 0 else -1]].T, 20, axis=1))


@pytest.mark.parametrize("subpel", [False, True])
def test_is_filled_again_and_again(subpel):
    """Nothing of an earlier picture, its border included, is left."""
    warp = BlockWarp((1, 20, 20), (8, 8), subpel)
    grid = np.random.default_rng(0).normal(0, 9, (3, 3, 2)).astype(np.float32)
    for seed in range(3):
        planes = random_planes((1, 20, 20), seed)
        warp.fill([planes])
        np.testing.assert_array_equal(warp(grid[None])[0, 0], reference(planes[0], grid, (8, 8), subpel))


def test_reads_planes_whose_rows_lie_apart():
    wide = random_planes((1, 20, 64))
    before = wide[:, :, :20]
    np.testing.assert_array_equal(warped(before, still(before.shape, (4, 4)), (4, 4)), before)


def test_cells_go_on_beyond_the_picture():
    warp = BlockWarp((1, 10, 13), (8, 8))
    before = random_planes((1, 10, 13))
    warp.fill([before])
    cells = warp.cells(np.zeros((1, 2, 2, 2), np.float32))[0]
    assert cells.shape == (1, 16, 16)
    np.testing.assert_array_equal(cells[:, :10, :13], before)


def test_a_prediction_outlives_the_next():
    warp = BlockWarp((1, 16, 16), (8, 8))
    warp.fill([random_planes((1, 16, 16))])
    first = warp(np.zeros((1, 2, 2, 2), np.float32))
    warp(np.ones((1, 2, 2, 2), np.float32))
    np.testing.assert_array_equal(first[0], random_planes((1, 16, 16)))


def test_a_grid_of_another_size_is_refused():
    warp = BlockWarp((1, 32, 48), (16, 16))
    with pytest.raises(ValueError, match=r"\(1, 3, 2, 2\).*\(2, 3\)"):
        warp(np.zeros((1, 3, 2, 2), np.float32))
    with pytest.raises(ValueError, match="for 1 times"):
        warp(np.zeros((2, 2, 3, 2), np.float32))


@pytest.mark.parametrize("spread", [0.2, 5])
@pytest.mark.parametrize("subpel", [False, True])
def test_several_pictures_are_each_predicted_from_their_own(subpel, spread):
    warp = BlockWarp((2, 21, 18), (8, 4), subpel, count=4)
    for count in (4, 3, 1):  # and fewer than there is room for
        pictures = [random_planes((2, 21, 18), count + number) for number in range(count)]
        grids = np.random.default_rng(count).normal(0, spread, (count, 3, 5, 2)).astype(np.float32)
        warp.fill(pictures)
        for planes, grid, moved in zip(pictures, grids, warp(grids), strict=True):
            np.testing.assert_array_equal(moved, warped(planes, grid, (8, 4), subpel))
