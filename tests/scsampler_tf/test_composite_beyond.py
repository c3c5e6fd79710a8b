"""Clips apart, stopping and weights: the exported graph against evaluation on the same scores."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.settings import FeatureSettings
from pipelines.wire import pack_strip
from scsampler_tf.answers import fused_scores, looked_at, saliency_choice
from scsampler_tf.composite import Composite
from scsampler_tf.config import SelectionConfig
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.export import scan_graph
from scsampler_tf.predict import local_model
from scsampler_tf.selection import chosen_mask, gather_clips
from scsampler_tf.weighting import weighted_probabilities
from tests.scsampler_tf.graphs import servable

CLASSES, SIZE, FRAMES = 3, 8, 2
STRINGS = tf.TensorSpec([None, None], tf.string, "clips")
NUMBERS = tf.TensorSpec([None, None], tf.float32, "saliency")


class Counted(keras.layers.Layer):
    """Counts the clips that pass."""

    def build(self, shape):
        self.clips = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, clips):
        self.clips.assign_add(keras.ops.shape(clips)[0])
        return clips


@pytest.fixture(scope="module")
def classifier():
    """Three classes by the brightness of a clip `[N, 2, 8, 8, 3]`."""
    entry = keras.Input((FRAMES, SIZE, SIZE, 3))
    x = keras.layers.GlobalAveragePooling3D()(Counted(name="counted")(entry))
    outputs = keras.layers.Dense(CLASSES)(x)
    network = keras.Model(entry, outputs)
    kernel = np.array([[-0.01, 0.0, 0.008]] * 3, "float32")
    network.layers[-1].set_weights([kernel, np.array([3.0, 1.0, -1.5], "float32")])
    return network


def strip(level: int) -> bytes:
    return pack_strip(np.full((FRAMES, SIZE, SIZE, 3), level, np.uint8), 95)


STRIPS = {level: strip(level) for level in range(256)}


def composite(classifier, config: SelectionConfig) -> Composite:
    samplers = {"md": (sampler(), "sal_rank")} if config.diversity else {}
    return Composite(classifier, samplers, FeatureSettings(), config, ["a", "b", "c"], {})


@functools.cache
def sampler() -> keras.Model:
    entry = keras.Input((14, 14, 2))
    x = keras.layers.GlobalAveragePooling2D()(entry)
    return keras.Model(entry, keras.layers.Dense(1, name="logits")(x))


def scores(seed: int, videos: int, longest: int, classifier):
    """Score tables of videos with 0 to `longest` clips, some without sound, and the clips' strips."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, longest + 1, videos)
    mask = np.arange(longest) < lengths[:, None]
    levels = rng.integers(0, 256, (videos, longest))
    pictures = np.broadcast_to(levels[..., None, None, None, None], (*levels.shape, FRAMES, SIZE, SIZE, 3))
    logits = classifier(pictures.reshape(-1, FRAMES, SIZE, SIZE, 3).astype("float32"), training=False)
    data = EvaluationSet(
        videos=[None] * videos,
        labels=rng.integers(0, CLASSES, videos),
        probabilities=np.reshape(tf.nn.softmax(logits), (videos, longest, CLASSES)),
        mask=mask,
        # Few different values, so that there are ties.
        visual=(rng.integers(0, 5, mask.shape) / 4 * mask).astype("float32"),
        audio=(rng.integers(0, 5, mask.shape) / 4 * mask).astype("float32"),
        has_audio=mask & (rng.random(mask.shape) < 0.7) & (rng.random((videos, 1)) < 0.7),
        in_action=None,
        missing=[],
        # Few directions, so that clips look alike.
        features=(rng.integers(-1, 2, (*mask.shape, 2)) * mask[..., None]).astype("float16"),
    )
    strips = [
        [STRIPS[level] if real else b"" for level, real in zip(*row, strict=True)]
        for row in zip(levels, mask, strict=True)
    ]
    return data, np.array(strips, object).reshape(mask.shape)


def seen(classifier) -> int:
    return int(classifier.get_layer("counted").clips)


def picked(strips, indices):
    return np.array(
        [[strips[row, i] if i >= 0 else b"" for i in line] for row, line in enumerate(indices)], object
    ).reshape(indices.shape)


CHOICES = st.builds(
    lambda K, share, least, unlike, **rest: SelectionConfig(
        **{"K": K, "K_prime": min(K, share), "stop_least": min(K, least), **unlike, **rest}
    ),
    K=st.integers(1, 5),
    share=st.integers(0, 5),
    least=st.integers(1, 3),
    fusion=st.sampled_from(["visual", "audio", "union_list", "convex_score", "intersect_list"]),
    stride=st.integers(1, 2),
    unlike=st.sampled_from([{}, {"nms_gap": 2}, {"nms_gap": 3}, {"diversity": 0.25}, {"diversity": 1.0}]),
    stop_margin=st.sampled_from([0.0, 0.05, 0.3, 0.6, 1.0]),
    temperature=st.sampled_from([0.0, 0.05, 1.0]),
)


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


def wanted_clips(data, config, counts) -> np.ndarray:
    """What evaluation chooses with K = `counts` `[V]` for each video: `[V, largest]`, padded with -1."""
    chosen = np.full((len(counts), max(counts)), -1)
    for row, count in enumerate(counts):
        of_all = saliency_choice(
            data, dataclasses.replace(config, K=int(count), stop_margin=0.0), config.fusion
        )
        chosen[row, :count] = of_all[row]
    return chosen


@settings(deadline=None, max_examples=60)
@given(config=CHOICES, seed=st.integers(0, 2**31), videos=st.integers(1, 4), longest=st.integers(1, 6))
def test_k_of_a_request_is_that_of_evaluation(classifier, config, seed, videos, longest):
    data, _ = scores(seed, videos, longest, classifier)
    most = config.K if config.diversity or config.nms_gap > 1 else 8
    counts = np.random.default_rng(seed).integers(1, most + 1, videos).astype("int32")
    inputs = (data.visual, data.audio, data.has_audio, data.mask, data.features.astype("float32"))
    graph = composite(classifier, config)
    found = graph.select(*map(tf.constant, inputs), K=tf.constant(counts))
    expected = wanted_clips(data, config, counts)
    np.testing.assert_array_equal(found["indices"], expected[:, :longest])
    assert (expected[:, longest:] == -1).all()
    np.testing.assert_array_equal(found["saliency"], graph.select(*map(tf.constant, inputs))["saliency"])


@pytest.mark.parametrize("unlike", [{}, {"nms_gap": 2}, {"diversity": 0.5}])
def test_a_saved_model_takes_k_in_signatures_of_their_own(classifier, tmp_path, unlike):
    config = SelectionConfig(K=3, K_prime=2, **unlike)
    graph = composite(classifier, config)
    tf.saved_model.save(graph, str(tmp_path), signatures=graph.signatures())
    scan_graph(tmp_path)
    model = tf.saved_model.load(str(tmp_path))
    names = {name: set(each.structured_input_signature[1]) for name, each in model.signatures.items()}
    for name in ("select", "sample", "serving_default"):
        assert names[f"{name}_k"] - names[name] == {"K"}
        assert names[name] < names[f"{name}_k"]
    assert len(names) == 9
    data, strips = scores(5, 3, 6, classifier)
    inputs = {"visual": data.visual, "audio": data.audio, "has_audio": data.has_audio, "mask": data.mask}
    if config.diversity:
        inputs["features"] = data.features.astype("float32")
    call = local_model(tmp_path)
    for counts in ([1, 1, 1], [3, 1, 2], [3, 3, 3]):
        found = call("select_k", {**inputs, "K": np.int32(counts)})
        np.testing.assert_array_equal(found["indices"], wanted_clips(data, config, counts))
    for_all = call("select_k", {**inputs, "K": np.int32([2])})
    np.testing.assert_array_equal(for_all["indices"], wanted_clips(data, config, [2, 2, 2]))
    features = {name: np.full((3, 6), b"", object) for name in ("md", "rgb_r", "log_mel")}
    sampled = call("sample_k", {**features, "mask": data.mask, "K": np.int32([2, 1, 3])})["indices"]
    both = call(
        "serving_default_k", {**features, "mask": data.mask, "clips": strips, "K": np.int32([2, 1, 3])}
    )
    np.testing.assert_array_equal(both["indices"], sampled)
    lengths = data.mask.sum(axis=1)
    assert ((sampled >= 0).sum(axis=1) == np.minimum([2, 1, 3], lengths)).all()
    separate = call("classify", {"clips": picked(strips, sampled)})
    np.testing.assert_allclose(both["probabilities"], separate["probabilities"], atol=1e-6)


@pytest.mark.parametrize(
    ("unlike", "counts", "said"),
    [
        ({}, [0], "at least 1 clip"),
        ({}, [3, -(2**31), 1], "at least 1 clip"),
        ({"nms_gap": 2}, [4], "no more than 3 of a video"),
        ({"diversity": 0.5}, [2**31 - 1], "no more than 3 of a video"),
        ({}, [1, 2], "one number for all videos is needed, or one for each"),
    ],
)
def test_a_k_that_makes_no_sense_is_a_mistake_of_the_request(classifier, unlike, counts, said):
    graph = composite(classifier, SelectionConfig(K=3, K_prime=2, **unlike))
    select = graph.signatures()["select_k"]
    data, _ = scores(5, 3, 6, classifier)
    inputs = {"visual": data.visual, "audio": data.audio, "has_audio": data.has_audio, "mask": data.mask}
    if "diversity" in unlike:
        inputs["features"] = data.features.astype("float32")
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        select(**tensors, K=tf.constant(counts, tf.int32))


def test_a_huge_k_takes_no_more_room_than_the_clips(classifier):
    graph = composite(classifier, SelectionConfig(K=3, K_prime=2, fusion="visual"))
    select = graph.signatures()["select_k"]
    row = tf.constant([[0.1, 0.9, 0.5]])
    found = select(visual=row, audio=row, has_audio=row > 1, mask=row > 0, K=tf.constant([2**31 - 1]))
    assert found["indices"].numpy().tolist() == [[1, 2, 0]]
