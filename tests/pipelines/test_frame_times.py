import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.frame_times import NO_PTS, FrameTimes, measured_rate


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


@pytest.mark.parametrize("rest", [[0, 4], [None, 800], [76, 80], [9000, 4]])
def test_timestamps_that_go_astray_midway(rest):
    value = times([*range(0, 80, 4), *rest])
    astray = 21 if rest[0] == 9000 else 20
    assert value.astray == astray
    assert not value.seekable
    last = 90 if rest[0] == 9000 else 0.76
    assert value.seconds(19) == pytest.approx(0.76)
    assert value.seconds(astray) == pytest.approx(last + 0.04)
    assert value.seconds(22) == pytest.approx(last + (23 - astray) * 0.04)


@settings(deadline=None)
@given(st.lists(st.none() | st.integers(-(2**62), 2**62), min_size=16, max_size=24), st.integers(0, 8))
def test_what_follows_does_not_change_what_was_said_of_earlier_frames(rest, start):
    pts = [*range(start), *rest]
    whole = times(pts)
    for count in range(16, len(pts)):
        said = [times(pts[:count]).seconds(frame) for frame in range(count)]
        assert said == [whole.seconds(frame) for frame in range(count)]
    seconds = [whole.seconds(frame) for frame in range(len(pts) + 1)]
    assert seconds == sorted(seconds)


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


def milliseconds(fps, count):
    """Timestamps as Matroska has them."""
    return [round(frame * 1000 / fps) for frame in range(count)]


def test_an_hour_of_rounded_timestamps_is_small():
    value = times(milliseconds(30000 / 1001, 108000), keyframes=range(0, 108000, 250), time_base="1/1000")
    packed = json.dumps(value.to_dict())
    assert len(packed) < 8000
    again = FrameTimes.from_dict(json.loads(packed))
    assert again.pts == value.pts
    assert again.keyframes == value.keyframes


@pytest.mark.parametrize("pts", [[3, 4, 8, None], [*range(0, 99, 3), None, 5]])
def test_older_forms_are_still_read(pts):
    plain = {"time_base": "1/25", "fps": 25.0, "keyframes": [0, 2], "pts": pts}
    assert FrameTimes.from_dict(plain) == times(pts, [0, 2], "1/25")
    even = {"time_base": "1/25", "fps": 25.0, "keyframes": [], "pts": {"start": 2, "step": 3, "count": 4}}
    assert list(FrameTimes.from_dict(even).pts) == [2, 5, 8, 11]


@pytest.mark.parametrize(
    ("pts", "time_base", "fps"),
    [
        (milliseconds(30, 32), "1/1000", 30),
        (range(0, 3000, 100), "1/90000", 900),
        ([0, 40, 80, 3000, 3040], "1/1000", 25),  # a pause is none of the video's steps
        ([0, 80, 40, 160, 120], "1/1000", 25),
        ([0, None, 40, 80], "1/1000", 25),
        ([0, NO_PTS, 40, 80], "1/1000", 25),
        ([7], "1/1000", None),
        ([None, None, None], "1/1000", None),
        ([5, 5, 5], "1/1000", None),
        ([], "1/1000", None),
    ],
)
def test_frame_rate_of_timestamps(pts, time_base, fps):
    measured = measured_rate(list(pts), Fraction(time_base))
    assert measured == (None if fps is None else pytest.approx(fps, rel=0.02))


def without(pts, *gone):
    return [value for place, value in enumerate(pts) if not any(a <= place < b for a, b in gone)]


@pytest.mark.parametrize(
    ("pts", "holes"),
    [
        (milliseconds(25, 100), []),
        (milliseconds(30, 100), []),
        (without(milliseconds(25, 100), (50, 60)), [(2.0, 2.4)]),
        (without(milliseconds(30, 90), (30, 45), (60, 75)), [(1.0, 1.5), (2.0, 2.5)]),
        (without(milliseconds(25, 100), (50, 52)), []),  # the step is three times the usual one
        ([value for value in range(0, 9000, 33) if value // 500 % 2], []),  # pauses all the time
        ([0, 40, 80, 9000], []),  # too few to tell
        ([None, *milliseconds(25, 60)], []),
    ],
)
def test_holes_in_even_streams(pts, holes):
    found = FrameTimes(Fraction(1, 1000), pts, [0], 25.0 if 40 in pts else 30.0).holes()
    assert len(found) == len(holes)
    for hole, expected in zip(found, holes, strict=True):
        assert hole == pytest.approx(expected, abs=0.01)


even_steps = st.builds(
    lambda start, step, count: [start + step * frame for frame in range(count)],
    st.integers(-9, 9),
    st.integers(-3, 9),
    st.integers(0, 9),
)


@settings(deadline=None)
@given(
    st.lists(st.none() | st.integers(-(2**63) + 1, 2**63 - 1), max_size=80) | even_steps,
    st.lists(st.integers(0, 30), max_size=60),
)
def test_survives_json(pts, keyframes):
    value = times(pts, keyframes)
    again = FrameTimes.from_dict(json.loads(json.dumps(value.to_dict())))
    assert again == value
    assert again.seekable == value.seekable
    assert list(again.pts) == list(value.pts)
