import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf.aggregate import video_probabilities
from scsampler_tf.weighting import weighted_probabilities
from tests.scsampler_tf.graphs import servable

NAN, INF = float("nan"), float("inf")
PROBS = np.array([[[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]]], "float32")
SALIENCY = np.array([[0.5, 0.5, 0.9]], "float32")


def weighted(saliency=SALIENCY, chosen=(True, True, True), temperature=1.0, probs=PROBS):
    chosen = np.array([chosen])
    return np.asarray(weighted_probabilities(probs, chosen, np.asarray(saliency, "float32"), temperature))


def example(seed):
    generator = np.random.default_rng(seed)
    videos, clips, classes = generator.integers(1, 6, 3)
    probs = generator.dirichlet(np.ones(classes), (videos, clips)).astype("float32")
    saliency = generator.choice([NAN, 0.0, 0.25, 0.5, 1.0], (videos, clips)).astype("float32")
    return probs, generator.random((videos, clips)) < 0.7, saliency


def brute(probs, chosen, saliency, temperature):
    """The weighted mean of one video in plain Python."""
    clips = [clip for clip in range(len(chosen)) if chosen[clip]]
    if not clips:
        return [0.0] * probs.shape[1]
    level = {clip: -INF if math.isnan(saliency[clip]) else float(saliency[clip]) for clip in clips}
    if max(level.values()) == -INF:
        level = dict.fromkeys(clips, 0.0)
    weights = {clip: math.exp(level[clip] / temperature) for clip in clips}
    total = sum(weights.values())
    return [
        sum(weights[clip] * float(probs[clip, c]) for clip in clips) / total for c in range(probs.shape[1])
    ]


def test_weights_by_hand():
    # A difference of log 3 temperatures is three times the weight: 1, 1 and 3 of 5.
    found = weighted(temperature=0.4 / math.log(3))
    np.testing.assert_allclose(found, [[(0.8 + 0.4 + 0.3) / 5, (0.2 + 0.6 + 2.7) / 5]], rtol=1e-5)
    # Clips that weren't chosen have no weight, however salient.
    found = weighted(chosen=(True, True, False), temperature=0.1)
    np.testing.assert_allclose(found, [[0.6, 0.4]], rtol=1e-6)
    np.testing.assert_array_equal(weighted(chosen=(False, False, False)), [[0, 0]])


@pytest.mark.parametrize("temperature", [None, INF])
def test_without_a_temperature_it_is_the_plain_mean(temperature):
    chosen = np.array([[True, False, True]])
    found = weighted(chosen=chosen[0], temperature=temperature)
    np.testing.assert_array_equal(found, video_probabilities(PROBS, chosen))
    np.testing.assert_allclose(weighted(temperature=1e6), weighted(temperature=temperature or INF), atol=1)


def test_both_ends():
    everyone = weighted(temperature=None)
    np.testing.assert_allclose(weighted(temperature=1e6), everyone, atol=1e-6)
    np.testing.assert_allclose(weighted(temperature=1e-30), PROBS[:, 2], rtol=1e-6)
    # The most salient share alike, and equal saliency is the plain mean at any temperature.
    np.testing.assert_allclose(weighted([[0.9, 0.1, 0.9]], temperature=1e-3), [[0.45, 0.55]], rtol=1e-6)
    np.testing.assert_allclose(weighted([[0.3] * 3], temperature=1e-3), everyone, rtol=1e-6)


def test_no_number_is_the_lowest_saliency():
    np.testing.assert_allclose(weighted([[NAN, 0.0, 0.0]], temperature=10.0), [[0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(weighted([[NAN] * 3]), weighted(temperature=None), rtol=1e-6)
    for extreme in ([-INF, INF, NAN], [INF, INF, 0.0], [-INF, -INF, -3e38]):
        found = weighted([extreme], temperature=1e-6)
        np.testing.assert_allclose(found.sum(), 1, rtol=1e-6)


def test_what_was_not_chosen_may_hold_anything():
    probs = PROBS.copy()
    probs[0, 1] = NAN
    found = weighted([[0.5, INF, 0.5]], (True, False, True), 0.1, probs)
    np.testing.assert_allclose(found, [[0.45, 0.55]], rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), temperature=st.sampled_from([0.1, 0.5, 1.0, 5.0]))
def test_equals_plain_python_and_padding_changes_nothing(seed, temperature):
    probs, chosen, saliency = example(seed)
    found = weighted_probabilities(probs, chosen, saliency, temperature)
    expected = [brute(*video, temperature) for video in zip(probs, chosen, saliency, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    padding = [[1, 1], [0, 5]]
    padded = weighted_probabilities(
        np.pad(probs, [*padding, [0, 0]], constant_values=NAN),
        np.pad(chosen, padding),
        np.pad(saliency, padding, constant_values=9),
        temperature,
    )
    np.testing.assert_allclose(padded[1:-1], found, atol=1e-7)


@pytest.mark.parametrize("temperature", [0.0, -1.0, NAN])
def test_other_temperatures_are_refused(temperature):
    with pytest.raises(ValueError, match="temperature is"):
        weighted(temperature=temperature)


def test_the_same_inside_a_graph_with_unknown_sizes_and_in_a_model(tmp_path):
    def mean(probs, chosen, saliency):
        return weighted_probabilities(probs, chosen, saliency, 0.2)

    signature = [tf.TensorSpec([None, None, None]), tf.TensorSpec([None, None], tf.bool)]
    traced = servable(mean, [*signature, tf.TensorSpec([None, None])], tmp_path)
    entry = [keras.Input((None, 3)), keras.Input((None,), dtype="bool"), keras.Input((None,))]
    model = keras.Model(entry, mean(*entry))
    generator = np.random.default_rng(0)
    for videos, clips in [(3, 7), (2, 0), (0, 4)]:
        probs = generator.random((videos, clips, 3), dtype="float32")
        saliency = generator.random((videos, clips), dtype="float32")
        chosen = saliency < 0.7
        eager = mean(probs, chosen, saliency)
        np.testing.assert_allclose(traced(probs, chosen, saliency), eager, atol=1e-7)
        np.testing.assert_allclose(model([probs, chosen, saliency]), eager, atol=1e-7)
