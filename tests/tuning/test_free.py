import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UserError
from scsampler_tf.config import ExperimentConfig, SelectionConfig
from tuning.free import FUSIONS, describe, make_free_space, neighbours

OWN = SelectionConfig(K=10, K_prime=8, alpha=0.8, fusion="union_list", stride=1)


def space(own=OWN, visual=True, audio=True, longest=40, **options):
    return make_free_space(own, visual=visual, audio=audio, longest=longest, **options)


def test_every_setting_once_the_runs_own_first():
    every = space().settings()
    assert every[0] == OWN
    assert len(set(every)) == len(every)
    # Per stride: union K' 1..K-1 of K 1..20; two convex schemes with 19 alphas; three schemes without.
    assert len(every) == 4 * (190 + 2 * 20 * 19 + 3 * 20)
    assert {each.fusion for each in every} == set(FUSIONS)


def test_the_papers_defaults_are_among_them():
    every = set(space().settings())
    for changed in (
        {"fusion": "union_list", "K_prime": 8},
        {"fusion": "convex_list", "alpha": 0.8},
        {"fusion": "convex_score", "alpha": 0.9},
    ):
        assert dataclasses.replace(OWN, **changed) in every


def test_one_sampler_leaves_one_scheme():
    eyes = space(audio=False)
    assert eyes.schemes == ("visual",)
    assert eyes.own.fusion == "visual"
    assert space(visual=False).schemes == ("audio",)


def test_clips_reach_twice_the_runs_own_and_no_further_than_the_videos():
    assert space(own=SelectionConfig(K=3, K_prime=2)).clips == (1, 2, 3, 4, 5, 6)
    assert space(longest=9).clips == tuple(range(1, 10))
    assert space(own=SelectionConfig(K=30)).clips == (*range(1, 21), 30)
    assert space(longest=1).clips == (1,)
    assert space(clips=(5, 2, 5)).clips == (2, 5)


def test_a_budget_draws_by_its_seed_and_keeps_the_runs_own():
    every, some = space().settings(), space().settings(50, seed=3)
    assert len(some) == 50
    assert some[0] == OWN
    assert set(some) < set(every)
    assert some == space().settings(50, seed=3) != space().settings(50, seed=4)
    assert space().settings(10**6) == every


def test_what_goes_beyond_the_paper_stays():
    own = SelectionConfig(K=4, K_prime=2, stop_margin=0.5, stop_least=3)
    assert {each.stop_margin for each in space(own=own).settings()} == {0.5}
    assert all(each.stop_least == min(3, each.K) for each in space(own=own).settings())


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 12), st.integers(1, 30), st.sampled_from(FUSIONS))
def test_every_setting_is_a_valid_configuration(K, longest, fusion):
    own = SelectionConfig(K=K, K_prime=K // 2, fusion=fusion)
    for setting in space(own=own, longest=longest).settings(40):
        ExperimentConfig(selection=setting)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"visual": False, "audio": False}, "no sampler has a score table"),
        ({"clips": (3, 41)}, "the longest validation video has 40 clips"),
        ({"clips": (0,)}, "at least one clip"),
    ],
)
def test_mistakes(options, words):
    with pytest.raises(UserError, match=words):
        space(**options)


def test_description_names_what_matters():
    assert describe(OWN) == "union_list K=10 K'=8 stride=1"
    assert describe(SelectionConfig(fusion="visual")) == "visual K=10 stride=1"
    assert describe(SelectionConfig(fusion="convex_list", alpha=0.3)) == "convex_list K=10 alpha=0.3 stride=1"


def test_neighbours_by_hand():
    union = [
        SelectionConfig(K=K, K_prime=eyes, stride=stride)
        for K, eyes, stride in ((2, 1, 1), (3, 1, 1), (3, 2, 1), (5, 3, 1), (5, 4, 1), (3, 1, 4), (9, 1, 1))
    ]
    convex = [
        SelectionConfig(K=3, K_prime=0, fusion="convex_list", alpha=alpha) for alpha in (0.1, 0.5, 0.55)
    ]
    eyes = SelectionConfig(K=3, K_prime=0, fusion="visual")
    found = [sorted(row[row >= 0].tolist()) for row in neighbours([*union, *convex, eyes])]
    # K and stride in steps of what is on offer: 2, 3, 5, 9 and 1, 4; K' in ones; alpha in steps again.
    assert found == [
        [0, 1, 2, 5],
        [0, 1, 2, 5],
        [0, 1, 2, 3, 5],
        [2, 3, 4],
        [3, 4],
        [0, 1, 2, 5],
        [6],
        [7, 8],
        [7, 8, 9],
        [8, 9],
        [10],
    ]
