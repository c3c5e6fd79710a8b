"""Clips apart, stopping and weights: the exported graph against evaluation on the same scores."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.settings import FeatureSettings
from scsampler_tf.answers import fused_scores, looked_at, saliency_choice
from scsampler_tf.composite import Composite
from scsampler_tf.config import SelectionConfig
from scsampler_tf.predict import local_model
from scsampler_tf.selection import chosen_mask, gather_clips
from scsampler_tf.weighting import weighted_probabilities
from tests.scsampler_tf.composites import (
    CHOICES,
    CLASSES,
    STRIPS,
    brightness_classifier,
    composite,
    picked,
    scores,
    seen,
)
from tests.scsampler_tf.graphs import servable

STRINGS = tf.TensorSpec([None, None], tf.string, "clips")
NUMBERS = tf.TensorSpec([None, None], tf.float32, "saliency")


@pytest.fixture(scope="module")
def classifier():
    return brightness_classifier()


@settings(deadline=None, max_examples=60)
@given(config=CHOICES, seed=st.integers(0, 2**31), videos=st.integers(1, 4), longest=st.integers(1, 6))
def test_the_graph_answers_as_evaluation_does(classifier, config, seed, videos, longest):
    data, strips = scores(seed, videos, longest, classifier)
    graph = composite(classifier, config)
    inputs = (data.visual, data.audio, data.has_audio, data.mask, data.features.astype("float32"))
    selected = graph.select(*map(tf.constant, inputs))
    classified = saliency_choice(data, config, config.fusion)
    fused = fused_scores(data, looked_at(data, config), config, config.fusion)
    indices = selected["indices"].numpy()
    np.testing.assert_array_equal(
        indices, saliency_choice(data, dataclasses.replace(config, stop_margin=0.0), config.fusion)
    )
    np.testing.assert_array_equal(selected["saliency"], fused)
    before = seen(classifier)
    found = graph.classify(tf.constant(picked(strips, indices), tf.string), gather_clips(fused, indices))
    used = classified >= 0
    assert seen(classifier) - before == used.sum()
    each = np.asarray(gather_clips(data.probabilities, classified))
    np.testing.assert_allclose(found["clip_probabilities"], np.where(used[..., None], each, 0), atol=1e-6)
    mask = np.asarray(chosen_mask(classified, longest)) & data.mask
    answers = weighted_probabilities(data.probabilities, mask, fused, config.temperature or None)
    np.testing.assert_allclose(found["probabilities"], answers, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, 0.1])
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_a_stock_server_runs_the_graph_for_any_number_of_videos_and_clips(
    classifier, tmp_path, margin, temperature
):
    config = SelectionConfig(K=3, K_prime=2, stop_margin=margin, temperature=temperature)
    graph = composite(classifier, config)
    signature = [STRINGS, NUMBERS] if temperature else [STRINGS]
    traced = servable(graph.classify, signature, tmp_path)
    for videos, clips in ((1, 1), (1, 4), (3, 2), (2, 0), (0, 2)):
        data, strips = scores(7, videos, clips, classifier)
        inputs = [tf.constant(strips, tf.string), tf.constant(data.visual)][: len(signature)]
        found, expected = traced(*inputs), graph.classify(*inputs)
        assert set(found) == {"clip_probabilities", "probabilities", "label"}
        for name in ("clip_probabilities", "probabilities"):
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
        assert found["clip_probabilities"].shape == (videos, clips, CLASSES)


def test_stopping_spares_the_classifier_video_by_video(classifier):
    graph = composite(classifier, SelectionConfig(K=4, stop_margin=0.5))
    run = tf.function(graph.classify, input_signature=[STRINGS])
    # White says the third class with 0.9, 150 leaves two classes near each other.
    sure, unsure = STRIPS[255], STRIPS[150]
    for rows, clips in (
        ([[sure] * 4], 1),
        ([[unsure] * 4], 4),
        ([[unsure, b"", unsure, b""]], 2),
        ([[unsure, sure, sure, sure], [sure] * 4, [b""] * 4], None),
    ):
        before = seen(classifier)
        found = run(tf.constant(rows, tf.string))["clip_probabilities"].numpy().any(axis=2)
        assert seen(classifier) - before == found.sum()
        assert clips is None or found.sum() == clips
        first = np.argsort([~(np.array(row) != b"") for row in rows], axis=1, kind="stable")
        counts = found.sum(axis=1, keepdims=True)
        np.testing.assert_array_equal(np.take_along_axis(found, first, axis=1), np.arange(4) < counts)


def test_one_request_weights_by_the_scores_that_it_has_made(classifier):
    config = SelectionConfig(K=2, K_prime=2, fusion="visual", temperature=0.1, nms_gap=2)
    graph = composite(classifier, config)
    visual = tf.constant([[0.9, 0.8, 0.7, 0.1]])
    nothing = tf.zeros((1, 4))
    graph.score = lambda *features: {"visual": visual, "audio": nothing, "has_audio": nothing > 0}
    levels = [0, 100, 255, 200]
    clips = tf.constant([[STRIPS[level] for level in levels]])
    empty = tf.fill((1, 4), b"")
    found = graph.sample_and_classify(empty, empty, empty, clips, tf.fill((1, 4), True))
    assert found["indices"].numpy().tolist() == [[0, 2]]
    first, second = found["clip_probabilities"].numpy()[0]
    share = 1 / (1 + np.exp(-2))  # of 0.9 against 0.7
    np.testing.assert_allclose(found["probabilities"][0], share * first + (1 - share) * second, atol=1e-6)


def test_the_signature_asks_for_saliency_only_where_it_counts(classifier, tmp_path):
    for temperature, names in ((0.0, {"clips"}), (0.2, {"clips", "saliency"})):
        config = SelectionConfig(K=2, K_prime=1, stop_margin=0.4, temperature=temperature)
        graph = composite(classifier, config)
        folder = tmp_path / str(temperature)
        tf.saved_model.save(graph, str(folder), signatures=graph.signatures())
        model = tf.saved_model.load(str(folder))
        assert set(model.signatures["classify"].structured_input_signature[1]) == names
        inputs = {"clips": np.array([[STRIPS[150], STRIPS[40]]]), "saliency": np.float32([[0.9, 0.8]])}
        found = local_model(folder)("classify", {name: inputs[name] for name in names})
        expected = graph.classify(tf.constant(inputs["clips"]), tf.constant(inputs["saliency"]))
        np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-6)


def test_choosing_by_unlikeness_is_for_a_stock_server_too(classifier, tmp_path):
    config = SelectionConfig(K=3, K_prime=2, fusion="convex_score", diversity=0.5)
    graph = composite(classifier, config)
    numbers, flags = tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.bool)
    signature = [numbers, numbers, flags, flags, tf.TensorSpec([None, None, None])]
    traced = servable(graph.select, signature, tmp_path)
    for videos, longest in ((1, 1), (3, 6), (2, 2)):
        data, _ = scores(11, videos, longest, classifier)
        found = traced(data.visual, data.audio, data.has_audio, data.mask, data.features.astype("float32"))
        np.testing.assert_array_equal(found["indices"], saliency_choice(data, config, config.fusion))


def test_diversity_needs_a_sampler_of_sight(classifier):
    with pytest.raises(ValueError, match="activations of md or rgb_r; neither is there"):
        Composite(classifier, {}, FeatureSettings(), SelectionConfig(diversity=0.5), ["a", "b", "c"], {})
