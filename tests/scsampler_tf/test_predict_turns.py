"""Clips decoded and classified in turns, against the rule and the mean of evaluation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf.adaptive import Stopping, stopped
from scsampler_tf.predict_turns import classified
from scsampler_tf.weighting import weighted_probabilities

CHOSEN = [4, 1, 7, 0, 6, 3]
SURE, EVEN = [1.0, 0.0], [0.5, 0.5]


class Model:
    """A clip's picture is its number, and its strip too; answers with its row of `each` `[L, C]`."""

    def __init__(self, each):
        self.each, self.requests, self.decoded = np.float32(each), [], []

    def __call__(self, signature, inputs):
        assert signature == "classify"
        (clips,) = inputs["clips"]
        self.requests.append(inputs)
        each = self.each[None, clips]
        return {"clip_probabilities": each.tolist(), "probabilities": each.mean(axis=1)}

    def decode(self, clips):
        self.decoded.append(clips)
        return {clip: np.array(clip) for clip in clips}

    def answer(self, chosen, fused, **options):
        return classified(self, chosen, np.float32(fused), options, self.decode, int)


def probabilities(**clips):
    """Eight clips that leave both classes alike, but for those given as c0, c1, ..."""
    return [clips.get(f"c{number}", EVEN) for number in range(8)]


def test_without_a_margin_there_is_one_request_for_all():
    model = Model(probabilities(c4=SURE))
    pictures, each, video = model.answer(CHOSEN, np.arange(8), temperature=0.5)
    assert model.decoded == [sorted(CHOSEN)]
    (request,) = model.requests
    assert request["clips"] == [CHOSEN]
    np.testing.assert_array_equal(request["saliency"], [CHOSEN])
    assert set(pictures) == set(CHOSEN)
    np.testing.assert_array_equal(each, model.each[CHOSEN])
    np.testing.assert_array_equal(video, model.each[CHOSEN].mean(axis=0))
    assert set(Model(model.each).answer([1], np.ones(8))[0]) == {1}


@pytest.mark.parametrize(
    ("sure", "margin", "least", "used", "groups"),
    [
        (["c4"], 0.5, 1, 1, [[4]]),
        (["c1"], 0.5, 1, 2, [[4], [1]]),  # 1 / 2
        (["c1"], 0.51, 1, 6, [[4], [1], [0, 7], [3, 6]]),
        (["c4"], 0.33, 3, 3, [[1, 4, 7]]),  # 1 / 3, not asked before
        (["c4"], 0.34, 3, 6, [[1, 4, 7], [0, 3, 6]]),
        (["c4", "c1", "c7", "c0"], 0.5, 4, 4, [[0, 1, 4, 7]]),
        ([], 0.1, 9, 6, [sorted(CHOSEN)]),
    ],
)
def test_turns_by_hand(sure, margin, least, used, groups):
    model = Model(probabilities(**dict.fromkeys(sure, SURE)))
    pictures, each, video = model.answer(CHOSEN, np.ones(8), stop_margin=margin, stop_least=least)
    assert model.decoded == groups
    assert [request["clips"] for request in model.requests] == [[[clip]] for clip in CHOSEN[:used]]
    assert all(set(request) == {"clips"} for request in model.requests)
    assert set(pictures) >= set(CHOSEN[:used])
    np.testing.assert_array_equal(each, model.each[CHOSEN[:used]])
    np.testing.assert_allclose(video, model.each[CHOSEN[:used]].mean(axis=0), atol=1e-6)


def test_a_single_class_leads_by_all_it_has():
    model = Model(np.ones((8, 1)))
    assert len(model.answer(CHOSEN, np.ones(8), stop_margin=1.0)[1]) == 1


@pytest.mark.parametrize("odd", [[np.nan, 1, 0.5], [np.inf, 1, 0.5], [-np.inf] * 3])
def test_saliency_that_is_no_number_weighs_as_in_evaluation(odd):
    model = Model([[1, 0], [0.5, 0.5], [0, 1]])
    _, each, video = model.answer([0, 1, 2], odd, stop_margin=2.0, temperature=0.5)
    expected = weighted_probabilities(each[None], np.ones((1, 3), bool), np.float32([odd]), 0.5)
    np.testing.assert_allclose(video, expected[0], atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    margin=st.sampled_from([0.05, 0.3, 0.6, 1.0]),
    least=st.integers(1, 4),
    temperature=st.sampled_from([0.0, 0.05, 1.0]),
)
def test_turns_are_those_of_evaluation(seed, margin, least, temperature):
    rng = np.random.default_rng(seed)
    clips, classes = rng.integers(1, 12), rng.integers(1, 5)
    model = Model(rng.dirichlet(np.full(classes, 0.5), clips))
    chosen = rng.permutation(clips)[: rng.integers(1, clips + 1)].tolist()
    fused = rng.random(clips).astype("float32")
    options = {"stop_margin": margin, "stop_least": least, "temperature": temperature}
    pictures, each, video = model.answer(chosen, fused, **options)
    there = np.ones((1, len(chosen)), bool)
    used = int(stopped(model.each[None, chosen], there, Stopping(margin, least))[0])
    np.testing.assert_array_equal(each, model.each[chosen[:used]])
    assert len(pictures) <= max(2 * used, least)
    of_all = np.isin(np.arange(clips), chosen[:used])[None]
    expected = weighted_probabilities(model.each[None], of_all, fused[None], temperature or None)
    np.testing.assert_allclose(video, expected[0], atol=1e-6)
    if temperature:
        asked = [float(request["saliency"].item()) for request in model.requests]
        assert asked == fused[chosen[:used]].tolist()
