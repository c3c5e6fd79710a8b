"""The fast assessment of thousands of settings against `assess`, one setting after the other."""

import dataclasses

import numpy as np
import pytest

from scsampler_tf.config import SelectionConfig
from scsampler_tf.cost import Sampler
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.methods import Costs
from tuning import exhaustive
from tuning.assess import assess
from tuning.exhaustive import assess_all, is_plain
from tuning.free import make_free_space

COSTS = Costs(2e9, {"md": Sampler(1e8, 3), "audio": Sampler(5e8, 1)})


def made_up(seed: int, coarse: bool, silent: bool = False) -> EvaluationSet:
    """7 videos of 1 to 9 clips, 3 classes, some clips and one video without sound.

    `coarse` probabilities and scores are tenths, so that many choices and answers tie.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array([9, 1, 4, 7, 2, 9, 5])
    mask = np.arange(9) < lengths[:, None]
    scores = rng.random((2, 7, 9)).astype(np.float32)
    probabilities = rng.dirichlet([0.5] * 3, (7, 9)).astype(np.float32)
    if coarse:
        scores = np.round(scores, 1)
        probabilities = np.full((7, 9, 3), 0.1, np.float32)
        np.put_along_axis(probabilities, rng.integers(0, 3, (7, 9, 1)), np.float32(0.8), axis=2)
    heard = mask & (rng.random((7, 9)) < 0.8)
    heard[3] = False
    return EvaluationSet(
        videos=[None] * 7,
        labels=np.array([0, 1, 2, 0, 1, 0, 0]),
        probabilities=probabilities * mask[..., None],
        mask=mask,
        visual=scores[0] * mask,
        audio=np.zeros_like(scores[1]) if silent else scores[1] * heard,
        has_audio=np.zeros_like(heard) if silent else heard,
        in_action=None,
        missing=[],
    )


def require_same(data: EvaluationSet, settings: list[SelectionConfig]) -> None:
    found = assess_all(data, settings, COSTS)
    for place, setting in enumerate(settings):
        expected = assess(data, setting, COSTS)
        got = {name: values[place] for name, values in vars(found).items()}
        assert got["accuracy"] == pytest.approx(expected.accuracy, abs=1e-12), setting
        assert got["mean_class_accuracy"] == pytest.approx(expected.mean_class_accuracy, abs=1e-12), setting
        assert got["true_score"] == pytest.approx(expected.true_score, abs=1e-6), setting
        assert got["gflops_per_video"] == pytest.approx(expected.gflops_per_video, rel=1e-12), setting


@pytest.mark.parametrize(("seed", "coarse"), [(0, False), (1, True)])
def test_equals_assess_setting_by_setting(seed, coarse):
    own = SelectionConfig(K=6, K_prime=3)
    every = make_free_space(own, visual=True, audio=True, longest=9).settings()
    assert len(every) > 1000
    # Every scheme, K, stride and alpha is among every seventh setting.
    require_same(made_up(seed, coarse), every[seed::7])


def test_videos_without_any_sound():
    own = SelectionConfig(K=3, K_prime=2)
    require_same(
        made_up(3, True, silent=True), make_free_space(own, visual=True, audio=True, longest=9).settings(60)
    )


def test_in_small_parts_it_is_the_same(monkeypatch):
    data = made_up(4, True)
    own = SelectionConfig(K=4, K_prime=2)
    some = make_free_space(own, visual=True, audio=True, longest=9).settings(80)
    whole = assess_all(data, some, COSTS)
    monkeypatch.setattr(exhaustive, "AT_ONCE", 1)
    parts = assess_all(data, some, COSTS)
    for name, values in vars(whole).items():
        np.testing.assert_array_equal(values, getattr(parts, name))


@pytest.mark.parametrize("beyond", [{"nms_gap": 2}, {"stop_margin": 0.3}, {"temperature": 0.1}])
def test_what_goes_beyond_the_paper_is_assessed_one_by_one(beyond):
    own = SelectionConfig(K=4, K_prime=2, **beyond)
    assert not is_plain(own)
    some = make_free_space(own, visual=True, audio=True, longest=9).settings(12)
    assert all(dataclasses.asdict(each).items() >= beyond.items() for each in some)
    require_same(made_up(5, False), some)


def test_by_hand():
    """One video, clips 0 to 2 with true-class 0.9, 0.1, 0.4 (of two classes), seen in that order."""
    true = np.array([[0.9, 0.1, 0.4]], np.float32)
    data = EvaluationSet(
        videos=[None],
        labels=np.array([1]),
        probabilities=np.stack([1 - true, true], axis=-1),
        mask=np.ones((1, 3), bool),
        visual=np.array([[0.9, 0.5, 0.1]], np.float32),
        audio=None,
        has_audio=np.zeros((1, 3), bool),
        in_action=None,
        missing=[],
    )
    some = [SelectionConfig(K=K, K_prime=0, fusion="visual") for K in (1, 2, 3, 4)]
    found = assess_all(data, some, Costs(2e9, {"md": Sampler(1e8, 3)}))
    # Means 0.9, 0.5 (a tie: the first class), 1.4 / 3; a fourth clip is not there.
    np.testing.assert_array_equal(found.accuracy, [1, 0, 0, 0])
    np.testing.assert_allclose(found.true_score, [0.9, 0.5, 1.4 / 3, 1.4 / 3], rtol=1e-6)
    np.testing.assert_allclose(found.gflops_per_video, [0.9 + 2, 0.9 + 4, 0.9 + 6, 0.9 + 6])
