"""Residuals summed up on the way back to the I-frame."""

import av
import numpy as np
import pytest

from pipelines.residual import SUBSAMPLING, Residuals, plane_views
from tests.pipelines.residual_frames import looked_up, random_frame, random_motion


@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
def test_accumulated_is_the_sum_of_residuals_met_on_the_way_back(pixels):
    """D_t(i) = D_{t-1}(i - T_t(i)) + residual_t(i): Wu et al. 2018, section 3.2, written as a recursion."""
    height, width, cell = 37, 51, 16
    frames = [random_frame(height, width, pixels, seed) for seed in range(6)]
    accumulated, single = Residuals(False, accumulated=True), Residuals(False)
    accumulated.start(frames[0])
    totals = [np.zeros(plane.shape) for plane in plane_views(frames[0])]
    for number in range(1, 6):
        motion = random_motion(height, width, cell, 4, number)
        single.start(frames[number - 1])
        steps = single.plane_residuals(frames[number], motion, cell)
        traced = looked_up(totals, motion, cell, pixels, 1)
        totals = [before + step for before, step in zip(traced, steps, strict=True)]
        found = accumulated.plane_residuals(frames[number], motion, cell)
        for total, difference in zip(totals, found, strict=True):
            np.testing.assert_array_equal(difference, total)
        accumulated(frames[number], motion, cell)


def test_accumulating_starts_anew_with_an_i_frame():
    frames = [random_frame(32, 32, seed=seed) for seed in range(5)]
    first, second = Residuals(False, accumulated=True), Residuals(False, accumulated=True)
    first.start(frames[0])
    first(frames[1], random_motion(32, 32, 16), 16)
    for residuals in (first, second):
        residuals.start(frames[2])
    for frame in frames[3:]:
        motion = random_motion(32, 32, 16, seed=7)
        np.testing.assert_array_equal(first(frame, motion, 16), second(frame, motion, 16))


def test_carrying_over_a_frame_is_as_a_call_whose_result_nobody_takes():
    rng = np.random.default_rng(5)
    pictures = rng.integers(0, 256, (4, 48, 64, 3), np.uint8)
    frames = [av.VideoFrame.from_ndarray(picture).reformat(format="yuv420p") for picture in pictures]
    grids = rng.normal(0, 3, (4, 3, 4, 2)).astype(np.float32)
    called, carried = Residuals(True, accumulated=True), Residuals(True, accumulated=True)
    for make in (called, carried):
        make.start(frames[0])
    for frame, grid in zip(frames[1:3], grids[1:3], strict=True):
        called(frame, grid, 16)
        carried.carry(grid, 16)
    np.testing.assert_array_equal(called(frames[3], grids[3], 16), carried(frames[3], grids[3], 16))
    with pytest.raises(ValueError, match="start with it"):
        Residuals(True, accumulated=True).carry(grids[0], 16)


def test_accumulated_between_pixels_carries_the_rounded_prediction_on():
    frames = [random_frame(21, 18, seed=seed) for seed in range(4)]
    residuals = Residuals(True, accumulated=True)
    residuals.start(frames[0])
    planes = plane_views(frames[0])
    for number in range(1, 4):
        motion = random_motion(21, 18, 8, 2, number)
        planes = looked_up(planes, motion, 8, "yuv420p", 16)
        residuals(frames[number], motion, 8)
        for prediction, expected in zip(residuals.predictions(), planes, strict=True):
            np.testing.assert_array_equal(prediction, expected)
