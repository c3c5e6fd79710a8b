import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.residual import encode, residual, warp
from tests import media


def picture(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def still(grid, step=(0, 0)):
    return np.full((grid, grid, 2), step, np.float32)


def test_no_motion_copies():
    np.testing.assert_array_equal(warp(picture(32), still(2)), picture(32))


def test_content_moves_right_and_down_and_the_border_repeats():
    moved = warp(picture(32), still(2, (3, 1)))
    np.testing.assert_array_equal(moved[1:, 3:], picture(32)[:-1, :-3])
    np.testing.assert_array_equal(moved[1:, :3], picture(32)[:-1, [0, 0, 0]])
    np.testing.assert_array_equal(moved[0, 3:], picture(32)[0, :-3])


def test_half_a_pixel_is_the_mean_of_two():
    before = picture(16).astype(int)
    moved = warp(picture(16), still(1, (0.5, 0)))
    np.testing.assert_array_equal(moved[:, 1:], (before[:, 1:] + before[:, :-1] + 1) // 2)


def test_each_cell_moves_by_itself():
    grid = still(2)
    grid[0, 1] = 2, 0
    moved = warp(picture(32), grid)
    np.testing.assert_array_equal(moved[:16, 16:], picture(32)[:16, 14:30])
    np.testing.assert_array_equal(moved[16:], picture(32)[16:])
    np.testing.assert_array_equal(moved[:16, :16], picture(32)[:16, :16])


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([(8, 1), (16, 2), (20, 3), (28, 7)]),
    st.integers(0, 1000),
    st.sampled_from([0, 0.3, 2, 50, 5000]),
)
def test_warp_equals_a_bilinear_lookup_pixel_by_pixel(shape, seed, spread):
    size, cells = shape
    random = np.random.default_rng(seed)
    grid = random.normal(0, spread, (cells, cells, 2)).astype(np.float32)
    before = picture(size, seed)
    expected = np.empty((size, size, 3))
    for y in range(size):
        for x in range(size):
            move = np.rint(-16 * grid[y * cells // size, x * cells // size]) / 16
            at_x, at_y = np.clip(np.array([x, y]) + move, 0, size - 1)
            left, top = int(at_x), int(at_y)
            right, below = min(left + 1, size - 1), min(top + 1, size - 1)
            part_x, part_y = at_x - left, at_y - top
            upper = before[top, left] * (1 - part_x) + before[top, right] * part_x
            lower = before[below, left] * (1 - part_x) + before[below, right] * part_x
            expected[y, x] = upper * (1 - part_y) + lower * part_y
    moved = warp(before, grid)
    assert moved.dtype == np.uint8
    assert moved.shape == (size, size, 3)
    np.testing.assert_array_equal(moved, np.floor(expected + 0.5))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(0, 20))
def test_prediction_plus_residual_is_the_frame_exactly(seed, spread):
    grid = np.random.default_rng(seed).normal(0, spread, (2, 2, 2)).astype(np.float32)
    before, frame = picture(32, seed), picture(32, seed + 1)
    difference = residual(frame, before, grid)
    assert difference.dtype == np.int16
    np.testing.assert_array_equal(warp(before, grid) + difference, frame)


def test_a_pan_with_known_motion_leaves_little():
    before, frame = media.pan(2, 64, 64, step=(2.5, -1))
    plain = residual(frame, before, still(4))[8:-8, 8:-8]
    moved = residual(frame, before, still(4, (2.5, -1)))[8:-8, 8:-8]
    assert (moved.astype(float) ** 2).mean() < 0.02 * (plain.astype(float) ** 2).mean()


@pytest.mark.parametrize(
    ("value", "code"), [(-255, 0), (-128, 0), (-1, 127), (0, 128), (127, 255), (255, 255)]
)
def test_encode_by_hand(value, code):
    assert encode(np.array([value], np.int16)).tolist() == [code]
