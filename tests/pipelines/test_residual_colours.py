"""Residuals as RGB pictures around grey: colour matrices, ranges, clipping."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.residual import SUBSAMPLING, Residuals
from tests.pipelines.residual_frames import (
    BT601,
    BT709,
    FULL,
    LIMITED,
    UNTOLD,
    flat_frame,
    random_frame,
    random_motion,
    still,
)

LUMA_WEIGHTS = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722)}  # of red and blue


def rgb_of(differences, pixels, matrix, color_range):
    """128 + RGB of Y, U, V differences in float64, clipped; chroma is repeated."""
    height, width = differences[0].shape
    down, across = SUBSAMPLING[pixels]
    y, u, v = (np.asarray(plane, float) for plane in differences)
    u, v = (plane.repeat(down, 0).repeat(across, 1)[:height, :width] for plane in (u, v))
    if color_range == LIMITED:
        y, u, v = y * 255 / 219, u * 255 / 224, v * 255 / 224
    of_red, of_blue = LUMA_WEIGHTS[matrix]
    red, blue = y + 2 * (1 - of_red) * v, y + 2 * (1 - of_blue) * u
    green = (y - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    return np.clip(128 + np.stack((red, green, blue), axis=-1), 0, 255)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    pixels=st.sampled_from(list(SUBSAMPLING)),
    cell=st.sampled_from([2, 4, 8, 16]),
    spread=st.sampled_from([0, 1, 30, 1e6]),
    subpel=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_rgb_is_that_of_the_clipped_planes(height, width, pixels, cell, spread, subpel, seed):
    before, frame = (random_frame(height, width, pixels, seed + more) for more in (0, 1))
    motion = random_motion(height, width, cell, spread, seed)
    residuals = Residuals(subpel)
    residuals.start(before)
    y, u, v = residuals.plane_residuals(frame, motion, cell)
    cut = np.clip(y, -126, 129), np.clip(u, -128, 127), np.clip(v, -128, 127)
    rgb = residuals(frame, motion, cell)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (height, width, 3)
    assert np.abs(rgb - rgb_of(cut, pixels, BT601, LIMITED)).max() <= 3.1


@pytest.mark.parametrize("matrix", [BT601, BT709])
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
def test_rgb_follows_the_matrix_and_the_range_of_the_frames(pixels, color_range, matrix):
    tags = {"matrix": matrix, "color_range": color_range}
    before = random_frame(48, 64, pixels, 0, 60, 120, **tags)
    frame = random_frame(48, 64, pixels, 1, 60, 120, **tags)
    residuals = Residuals(subpel=False)
    residuals.start(before)
    differences = residuals.plane_residuals(frame, still(48, 64, 16), 16)
    rgb = residuals(frame, still(48, 64, 16), 16)
    error = rgb - rgb_of(differences, pixels, matrix, color_range)
    assert np.abs(error).max() <= 3.1
    other = rgb_of(differences, pixels, BT601 + BT709 - matrix, color_range)
    assert np.abs(rgb - other).max() > 6


def test_frames_called_yuvj_are_of_full_range():
    """1.402 is the weight of V in the red of BT.601 at full range, 1.596 at limited range."""
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((100, 128, 128), "yuvj420p", color_range=0))
    rgb = residuals(flat_frame((100, 128, 178), "yuvj420p", color_range=0), still(16, 16, 16), 16)
    assert abs(rgb[0, 0, 0] - (128 + 1.402 * 50)) <= 2


def test_without_a_tag_colours_are_those_of_the_frame_itself():
    before, frame = flat_frame((100, 128, 128), matrix=UNTOLD), flat_frame((100, 128, 168), matrix=UNTOLD)
    residuals = Residuals(subpel=False)
    residuals.start(before)
    rgb = residuals(frame, still(16, 16, 16), 16)[0, 0]
    plain = frame.to_ndarray(format="rgb24")[0, 0].astype(int) - before.to_ndarray(format="rgb24")[0, 0]
    assert np.abs(rgb.astype(int) - 128 - plain).max() <= 3


@pytest.mark.parametrize("matrix", [0, 3, 8, 14])
def test_matrices_that_nobody_converts_are_taken_for_untold(matrix):
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((100, 128, 128), matrix=matrix))
    rgb = residuals(flat_frame((120, 128, 128), matrix=matrix), still(16, 16, 16), 16)
    assert np.abs(rgb - (128 + 20 * 255 / 219)).max() <= 2


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("pixels", [*SUBSAMPLING, "yuvj420p"])
@pytest.mark.parametrize(("height", "width"), [(32, 48), (17, 21), (1, 1)])
def test_nothing_left_is_grey(height, width, pixels, color_range):
    frame = random_frame(height, width, pixels, color_range=color_range)
    residuals = Residuals(subpel=True)
    residuals.start(frame)
    assert (residuals(frame, still(height, width, 16), 16) == 128).all()


@pytest.mark.parametrize(
    ("color_range", "before", "after", "kept"),
    [
        (FULL, 0, 255, 127),
        (FULL, 255, 0, -128),
        (FULL, 10, 60, 50),
        (LIMITED, 16, 235, 129),
        (LIMITED, 235, 16, -126),
        (LIMITED, 235, 136, -99),
    ],
)
def test_luma_is_clipped_around_grey(color_range, before, after, kept):
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((before, 128, 128), color_range=color_range))
    rgb = residuals(flat_frame((after, 128, 128), color_range=color_range), still(16, 16, 16), 16)
    stretch = 1 if color_range == FULL else 255 / 219
    assert np.abs(rgb - np.clip(128 + stretch * kept, 0, 255)).max() <= 2


def test_luma_is_clipped_before_the_matrix_is_applied():
    """Red is 128 + 1.164 * -200 + 1.596 * 100 = 55; with Y cut to -126 it is 128 - 147 + 160 = 141."""
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((220, 128, 100)))
    rgb = residuals(flat_frame((20, 128, 200)), still(16, 16, 16), 16)
    assert np.abs(rgb[..., 0].astype(int) - 141).max() <= 3


@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
def test_extreme_colours_do_not_wrap_around(pixels):
    """FFmpeg's exact converter for 4:4:4 lets sums beyond its range come out at the other end."""
    residuals = Residuals(subpel=False)
    residuals.start(flat_frame((0, 0, 0), pixels))
    assert (residuals(flat_frame((255, 255, 255), pixels), still(16, 16, 16), 16)[..., [0, 2]] == 255).all()
    assert (residuals(flat_frame((0, 0, 0), pixels), still(16, 16, 16), 16)[..., [0, 2]] == 0).all()
