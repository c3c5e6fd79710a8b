import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UserError
from scsampler_tf.config import ExperimentConfig, SelectionConfig
from tuning.spaces import FUSIONS, Setting, make_space, visual_clips

OWN = SelectionConfig(K=10, K_prime=8, alpha=0.8, fusion="union_list", stride=1)


def space(own=OWN, own_margin=0.1, visual=True, audio=True, longest=40, **options):
    return make_space(own, own_margin, visual=visual, audio=audio, longest=longest, **options)


def test_all_schemes_with_the_runs_own_first():
    assert space().schemes == FUSIONS
    other = SelectionConfig(fusion="convex_score")
    assert space(own=other).schemes[0] == "convex_score"
    assert sorted(space(own=other).schemes) == sorted(FUSIONS)


def test_one_sampler_leaves_one_scheme():
    eyes = space(audio=False, own_margin=None)
    assert (eyes.schemes, eyes.margins) == (("visual",), ())
    assert eyes.own_setting().selection.fusion == "visual"
    assert [choice.name for choice in eyes.choices()] == ["fusion", "K", "stride"]
    assert space(visual=False).schemes == ("audio",)


def test_clips_reach_twice_the_runs_own_and_no_further_than_the_videos():
    assert space().clips == (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
    assert space(longest=9).clips == (1, 2, 3, 4, 5, 6, 8, 9)
    assert space(own=SelectionConfig(K=7, K_prime=7)).clips == (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)
    assert space(longest=1).clips == (1,)
    assert space(clips=(5, 2, 5)).clips == (2, 5)


def test_nearest_margins_first_and_no_more_than_the_trainings_allowed():
    assert space().margins[0] == 0.1
    assert set(space().margins) == {0.0, 0.05, 0.1, 0.2, 0.4}
    assert space(max_trainings=1).margins == (0.1, 0.05)
    assert space(max_trainings=0).margins == (0.1,)
    assert space(own_margin=0.3, max_trainings=2).margins == (0.3, 0.2, 0.4)
    assert space(own_margin=None).margins == ()


def test_share_of_8_in_10_is_the_papers_default():
    values = {"fusion": "union_list", "K": 10, "stride": 1, "visual_share": 0.8, "margin": 0.1}
    assert space().setting(values) == Setting(OWN, 0.1) == space().own_setting()


def test_what_does_not_matter_keeps_the_runs_own():
    found = space().setting({"fusion": "visual", "K": 5, "stride": 2})
    assert found == Setting(SelectionConfig(K=5, K_prime=4, alpha=0.8, fusion="visual", stride=2), None)
    heard = space().setting({"fusion": "audio", "K": 5, "stride": 1})
    assert heard.margin == 0.1


def test_grid_is_every_different_setting_once_margin_by_margin():
    small = space(longest=4, clips=(1, 3), max_trainings=1)
    grid = small.grid()
    found = [small.setting(values) for values in grid]
    assert len(set(found)) == len(found)
    # Of strides 1, 2, 3: union K=1 has K' 0, 1; K=3 has 0..3; 9 alphas in two schemes; two schemes without.
    free = 3 * ((2 + 4) + 2 * 2 * 9 + 2 * 2)
    assert len(found) == 2 * free + 3 * 2  # two margins, and visual which has none
    margins = [values.get("margin", 0.1) for values in grid]
    assert [key for key, _ in itertools.groupby(margins)] == [0.1, 0.05]


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(1, 200))
def test_visual_clips_within_k(share, K):
    assert 0 <= visual_clips(share, K) <= K
    assert visual_clips(0, K) == 0
    assert visual_clips(1, K) == K


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 12), st.integers(1, 30), st.sampled_from(FUSIONS))
def test_every_setting_is_a_valid_configuration(K, longest, fusion):
    found = space(own=SelectionConfig(K=K, K_prime=K // 2, fusion=fusion), longest=longest, max_trainings=0)
    for values in found.grid():
        ExperimentConfig(selection=found.setting(values).selection)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"visual": False, "audio": False}, "no sampler has a score table"),
        ({"clips": (3, 41)}, "the longest validation video has 40 clips"),
        ({"clips": (0,)}, "at least one clip"),
        ({"max_trainings": -1}, "--max-trainings -1"),
    ],
)
def test_mistakes(options, words):
    with pytest.raises(UserError, match=words):
        space(**options)


def test_description_names_what_matters():
    assert Setting(OWN, 0.05).describe() == "union_list K=10 K'=8 stride=1 margin=0.05"
    assert Setting(SelectionConfig(fusion="visual"), None).describe() == "visual K=10 stride=1"
    convex = SelectionConfig(fusion="convex_list", alpha=0.3)
    assert Setting(convex, 0.0).describe() == "convex_list K=10 alpha=0.3 stride=1 margin=0"
