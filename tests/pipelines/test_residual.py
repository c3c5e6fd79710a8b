"""What a frame differs by from its prediction: plane by plane, frame by frame and in batches."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import residual
from pipelines.residual import SUBSAMPLING, Residuals, plane_views
from tests import media
from tests.pipelines.residual_frames import BT709, looked_up, random_frame, random_motion, started, still


@pytest.mark.parametrize("subpel", [False, True])
@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
@pytest.mark.parametrize(
    ("height", "width", "cell"), [(32, 48, 16), (37, 51, 16), (33, 33, 8), (5, 7, 4), (18, 16, 2)]
)
def test_prediction_plus_residual_is_the_frame_in_every_plane(height, width, cell, pixels, subpel):
    before, frame = (random_frame(height, width, pixels, seed) for seed in (0, 1))
    motion = random_motion(height, width, cell)
    residuals = Residuals(subpel)
    residuals.start(before)
    differences = residuals.plane_residuals(frame, motion, cell)
    predictions = looked_up(plane_views(before), motion, cell, pixels, 16 if subpel else 1)
    for prediction, given_out, difference, plane in zip(
        predictions, residuals.predictions(), differences, plane_views(frame), strict=True
    ):
        assert difference.dtype == np.int16
        np.testing.assert_array_equal(given_out, prediction)
        np.testing.assert_array_equal(prediction + difference, plane)


def test_each_frame_is_predicted_from_the_one_before():
    frames = [random_frame(32, 32, seed=seed) for seed in range(4)]
    motions = [random_motion(32, 32, 16, seed=seed) for seed in range(4)]
    running, single = Residuals(subpel=False), Residuals(subpel=False)
    running.start(frames[0])
    for before, frame, motion in zip(frames, frames[1:], motions[1:], strict=False):
        single.start(before)
        np.testing.assert_array_equal(running(frame, motion, 16), single(frame, motion, 16))


@pytest.mark.parametrize("pixels", list(SUBSAMPLING))
def test_large_pictures_are_worked_on_in_bands(pixels, monkeypatch):
    before, frame = (random_frame(37, 51, pixels, seed) for seed in (0, 1))
    results = []
    for band in (1 << 18, 700, 1):
        monkeypatch.setattr(residual, "BAND", band)
        results.append(started(before)(frame, random_motion(37, 51, 16), 16))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 7),
    together=st.integers(1, 4),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    pixels=st.sampled_from(list(SUBSAMPLING)),
    subpel=st.booleans(),
    accumulated=st.booleans(),
    spread=st.sampled_from([0.2, 5]),
)
def test_a_batch_is_what_its_frames_are_one_by_one(
    count, together, size, pixels, subpel, accumulated, spread
):
    frames = [random_frame(*size, pixels, seed) for seed in range(2 * count + 1)]
    motions = np.stack([random_motion(*size, 4, spread, seed) for seed in range(2 * count)])
    batched, single = Residuals(subpel, accumulated), Residuals(subpel, accumulated)
    for residuals in (batched, single):
        residuals.start(frames[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(residual, "BAND", together * size[0] * size[1])
        for first in (0, count):
            part = slice(first, first + count)
            found = batched.batch(frames[1:][part], motions[part], 4)
            expected = [single(*pair, 4) for pair in zip(frames[1:][part], motions[part], strict=True)]
            np.testing.assert_array_equal(found, expected)


def test_frames_of_a_batch_are_alike():
    frames = [random_frame(32, 32, seed=1), random_frame(32, 32, seed=2, matrix=BT709)]
    with pytest.raises(ValueError, match="one colour matrix"):
        started().batch(frames, np.zeros((2, 2, 2, 2), np.float32), 16)
    with pytest.raises(ValueError, match="for 2 frames"):
        started().batch(frames[:1] * 2, np.zeros((1, 2, 2, 2), np.float32), 16)


def test_plane_residuals_do_not_move_on():
    frames = [random_frame(32, 32, seed=seed) for seed in range(2)]
    asked, plain = Residuals(subpel=False), Residuals(subpel=False)
    for residuals in (asked, plain):
        residuals.start(frames[0])
    asked.plane_residuals(frames[1], still(32, 32, 16), 16)
    first = asked.plane_residuals(frames[1], still(32, 32, 16), 16)
    np.testing.assert_array_equal(first[0], plane_views(frames[1])[0].astype(int) - plane_views(frames[0])[0])
    np.testing.assert_array_equal(
        asked(frames[1], still(32, 32, 16), 16), plain(frames[1], still(32, 32, 16), 16)
    )


def test_a_result_outlives_the_next():
    frames = [random_frame(32, 32, seed=seed) for seed in range(3)]
    residuals = Residuals(subpel=False)
    residuals.start(frames[0])
    first = residuals(frames[1], still(32, 32, 16), 16)
    copy = first.copy()
    residuals(frames[2], still(32, 32, 16), 16)
    np.testing.assert_array_equal(first, copy)


def test_a_pan_with_known_motion_leaves_little():
    before, frame = (
        av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv444p")
        for pixels in media.pan(2, 64, 64, step=(2.5, -1))
    )
    motion = np.full((4, 4, 2), (2.5, -1), np.float32)
    energies = []
    for displacement in (motion, np.zeros_like(motion)):
        residuals = Residuals(subpel=True)
        residuals.start(before)
        rgb = residuals(frame, displacement, 16)[8:-8, 8:-8]
        energies.append(((rgb.astype(float) - 128) ** 2).mean())
    assert energies[0] < 0.03 * energies[1]


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 18, reason="older PyAV reads such frames wrongly")
def test_frames_that_filters_turned_upside_down_are_read_upright():
    """Such frames keep their rows in reverse order."""
    upright = random_frame(16, 16, seed=1)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format=av.VideoFormat("yuv420p"), time_base="1/25")
    graph.link_nodes(source, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.vpush(upright)
    for turned, plane in zip(plane_views(graph.vpull()), plane_views(upright), strict=True):
        np.testing.assert_array_equal(turned, plane[::-1])


@pytest.mark.parametrize(
    ("residuals", "frame", "grid", "cell", "message"),
    [
        (Residuals(False), random_frame(32, 32), (2, 2, 2), 16, "start with it"),
        (started(), random_frame(32, 48), (2, 3, 2), 16, "follows one of"),
        (started(), random_frame(32, 32, "yuv444p"), (2, 2, 2), 16, "follows one of"),
        (started(), random_frame(32, 32), (2, 3, 2), 16, r"\(1, 2, 3, 2\)"),
        (started(), random_frame(32, 32), (32, 32, 2), 1, "whole chroma samples"),
        (started(av.VideoFrame(32, 32, "nv12")), random_frame(32, 32), (2, 2, 2), 16, "nv12"),
    ],
)
def test_what_does_not_fit_is_refused(residuals, frame, grid, cell, message):
    with pytest.raises(ValueError, match=message):
        residuals(frame, np.zeros(grid, np.float32), cell)


def test_a_stream_may_change_its_size():
    residuals = started()
    residuals(random_frame(32, 32, seed=1), still(32, 32, 16), 16)
    before, frame = random_frame(18, 20, seed=2), random_frame(18, 20, seed=3)
    residuals.start(before)
    changed = residuals(frame, still(18, 20, 16), 16)
    np.testing.assert_array_equal(changed, started(before)(frame, still(18, 20, 16), 16))
