"""Plans of the synthetic set over many seeds, without encoding anything."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.synthetic_plan import (
    ACTIONS,
    DISTRACTOR_FRAMES,
    DISTRACTORS,
    FPS,
    SHORTEST_ACTION,
    cut,
    plan_video,
)


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32), index=st.integers(0, 10_000))
def test_segments_fill_the_video_and_the_action_is_a_small_part(seed, index):
    plan = plan_video(seed, index)
    assert 20 <= plan.duration_s <= 60
    stops = [0] + [segment.stop for segment in plan.segments]
    assert [segment.start for segment in plan.segments] == stops[:-1]
    actions = [segment for segment in plan.segments if segment.kind == plan.label]
    others = [segment for segment in plan.segments if segment.kind != plan.label]
    assert 1 <= len(actions) <= 3
    assert 0.10 <= sum(s.frames for s in actions) / plan.frames <= 0.25
    assert all(s.frames >= SHORTEST_ACTION for s in actions)
    assert all(s.kind in DISTRACTORS for s in others)
    assert all(DISTRACTOR_FRAMES[0] <= s.frames <= DISTRACTOR_FRAMES[1] for s in others)
    assert plan.action_segments == [(s.start / FPS, s.stop / FPS) for s in actions]


def test_is_a_function_of_seed_and_index():
    assert plan_video(5, 17) == plan_video(5, 17)
    assert plan_video(5, 17) != plan_video(6, 17)
    assert plan_video(5, 17) != plan_video(5, 18)


def test_classes_are_balanced_over_splits():
    plans = [plan_video(1, index) for index in range(120)]
    counts = Counter((plan.split, plan.label) for plan in plans)
    for label in ACTIONS:
        assert [counts[split, label] for split in ("train", "val", "test")] == [9, 2, 9]


def test_eighteen_videos_have_every_class_in_every_split():
    plans = [plan_video(1, index) for index in range(18)]
    assert len({(plan.split, plan.label) for plan in plans}) == 18


def test_shares_of_codecs_sound_and_sounding_actions():
    plans = [plan_video(2, index) for index in range(400)]
    assert Counter((plan.codec, plan.b_frames) for plan in plans) == {
        ("h264", True): 100,
        ("h264", False): 100,
        ("mpeg4", False): 200,
    }
    assert 0.04 < np.mean([not plan.has_audio for plan in plans]) < 0.13
    sounding = [any(s.sound == plan.label for s in plan.segments) for plan in plans]
    assert 0.5 < np.mean(sounding) < 0.7
    for plan in plans:
        assert all(s.kind == plan.label for s in plan.segments if s.sound in ACTIONS)


def test_duration_and_loudness_do_not_tell_the_class():
    plans = [plan_video(4, index) for index in range(600)]
    for value in (
        lambda plan: plan.duration_s,
        lambda plan: next(s.loudness_db for s in plan.segments if s.kind == plan.label),
    ):
        means = [np.mean([value(plan) for plan in plans if plan.label == name]) for name in ACTIONS]
        spread = np.std([value(plan) for plan in plans])
        assert np.ptp(means) < 0.5 * spread  # five standard errors of a mean of 100


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    pieces=st.integers(1, 9),
    low=st.integers(1, 40),
    extra=st.integers(0, 60),
    share=st.floats(0, 1),
)
def test_cut(seed, pieces, low, extra, share):
    high = low + extra
    total = round(pieces * (low + share * extra))
    lengths = cut(np.random.default_rng(seed), total, pieces, low, high)
    assert sum(lengths) == total
    assert len(lengths) == pieces
    assert low <= min(lengths) <= max(lengths) <= high


def test_cut_refuses_the_impossible():
    with pytest.raises(ValueError, match="no sum of 2 lengths"):
        cut(np.random.default_rng(0), 10, 2, 6, 9)
