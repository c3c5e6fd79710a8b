import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.frame_times import FrameTimes


def times(pts, keyframes=(0,), time_base="1/100", fps=25.0):
    return FrameTimes(Fraction(time_base), pts, keyframes, fps)


def test_seconds_count_from_the_first_frame():
    value = times([50, 54, 62])
    assert [value.seconds(frame) for frame in range(4)] == pytest.approx([0, 0.04, 0.12, 0.16])


@pytest.mark.parametrize("pts", [[0, None, 8], [0, 8, 4], [0, 4, 4]])
def test_without_usable_timestamps_the_frame_rate_counts(pts):
    value = times(pts)
    assert not value.seekable
    assert [value.seconds(frame) for frame in range(4)] == pytest.approx([0, 0.04, 0.08, 0.12])


def test_seconds_outside_the_video():
    with pytest.raises(IndexError, match="frame 4 of a video with 3 frames"):
        times([0, 4, 8]).seconds(4)


def test_keyframe_before():
    value = times(range(0, 120, 4), keyframes=[0, 12, 24])
    assert [value.keyframe_before(frame) for frame in (0, 11, 12, 23, 29)] == [0, 0, 12, 12, 24]
    assert times([0, 4], keyframes=[]).keyframe_before(1) == 0


def test_added_frame_by_frame_or_at_once():
    grown = times([], keyframes=[])
    for number, pts in enumerate([3, 5, None, 9]):
        grown.add(pts, number % 2 == 0)
    assert grown == times([3, 5, None, 9], keyframes=[0, 2])
    assert grown != times([3, 5, 7, 9], keyframes=[0, 2])
    assert grown != "times"


def test_even_steps_shrink():
    assert times(range(10, 1010, 4)).to_dict()["pts"] == {"start": 10, "step": 4, "count": 250}


even_steps = st.builds(
    lambda start, step, count: [start + step * frame for frame in range(count)],
    st.integers(-9, 9),
    st.integers(-3, 9),
    st.integers(0, 9),
)


@settings(deadline=None)
@given(
    st.lists(st.none() | st.integers(-(10**12), 10**12), max_size=30) | even_steps,
    st.lists(st.integers(0, 30), max_size=5),
)
def test_survives_json(pts, keyframes):
    value = times(pts, keyframes)
    again = FrameTimes.from_dict(json.loads(json.dumps(value.to_dict())))
    assert again == value
    assert again.seekable == value.seekable
    assert list(again.pts) == list(value.pts)
