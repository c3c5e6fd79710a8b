import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.clips import ClipPlan, audio_window, cells, clip_count, require_clips
from pipelines.errors import VideoError

plans = st.builds(ClipPlan, st.integers(0, 2000), st.integers(1, 40), st.integers(1, 8))


@settings(deadline=None)
@given(plans)
def test_clips_leave_no_gap_and_do_not_overlap(plan):
    bounds = [plan.bounds(clip) for clip in range(plan.count)]
    assert [start for start, _ in bounds] == [clip * plan.span for clip in range(plan.count)]
    for (_, stop), (start, _) in itertools.pairwise(bounds):
        assert stop == start
    assert all(stop - start == plan.span for start, stop in bounds[:-1])


@settings(deadline=None)
@given(plans)
def test_a_tail_of_half_a_span_or_more_is_a_clip_and_a_shorter_one_is_left_out(plan):
    covered = plan.bounds(plan.count - 1)[1] if plan.count else 0
    left_over = plan.frame_count - covered
    if plan.frame_count < plan.span:
        assert plan.count == 0
        return
    assert left_over >= 0
    assert 2 * left_over < plan.span
    start, stop = plan.bounds(plan.count - 1)
    assert 2 * (stop - start) >= plan.span


@settings(deadline=None)
@given(plans)
def test_frame_indices_are_sorted_inside_the_clip_and_always_as_many(plan):
    for clip in range(plan.count):
        start, stop = plan.bounds(clip)
        indices = plan.frame_indices(clip)
        assert indices.shape == (plan.frames,)
        assert indices[0] == start
        assert (np.diff(indices) >= 0).all()
        assert indices.max() < stop


def test_tail_by_hand():
    plan = ClipPlan(frame_count=22, frames=4, step=2)
    assert plan.count == 3
    assert plan.frame_indices(0).tolist() == [0, 2, 4, 6]
    assert plan.frame_indices(2).tolist() == [16, 18, 20, 21]
    assert ClipPlan(19, 4, 2).count == 2


@pytest.mark.parametrize(("frames", "count"), [(0, 0), (15, 0), (16, 1), (23, 1), (24, 2), (32, 2)])
def test_clip_count_by_hand(frames, count):
    assert clip_count(frames, 16) == count


def test_too_short_a_video_is_named():
    with pytest.raises(VideoError, match=r"a\.mp4: 15 frames, shorter than one clip of 16"):
        require_clips(ClipPlan(15, 16), "a.mp4")
    require_clips(ClipPlan(16, 16), "a.mp4")


def test_clip_beyond_the_plan():
    with pytest.raises(IndexError, match="clip 2 of a video with 2 clips"):
        ClipPlan(32, 16).bounds(2)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(0, 250))
def test_cells_split_a_span_evenly(span, count):
    bounds = cells(span, count)
    sizes = np.diff(bounds)
    assert bounds[0] == 0
    assert bounds[-1] == span
    assert len(sizes) == (min(count, span) or span)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1


@settings(deadline=None)
@given(st.floats(0, 1e5), st.floats(0.01, 100))
def test_audio_windows_are_twice_as_long_and_centred(start, length):
    left, right = audio_window(start, start + length)
    assert right - left == pytest.approx(2 * length, rel=1e-6, abs=1e-6)
    assert (left + right) / 2 == pytest.approx(start + length / 2)
