import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.settings import FeatureSettings
from scsampler_tf.config import SAMPLERS
from scsampler_tf.models.sampler import (
    clip_logits,
    frame_network,
    frame_shape,
    frames_per_clip,
    input_kind,
    train_only_head,
    training_model,
)

SETTINGS = FeatureSettings(clip_frames=8, canvas=64, md_frames=3, residual_frames=2, residual_size=32)
ARCHES = {"md": "resnet_small", "rgb_r": "resnet_small", "audio": "vgg_audio_small"}


def test_shapes_and_frames_follow_the_feature_settings():
    assert [frame_shape(kind, SETTINGS) for kind in SAMPLERS] == [(4, 4, 2), (32, 32, 3), (40, 200, 1)]
    assert [frames_per_clip(kind, SETTINGS) for kind in SAMPLERS] == [3, 2, 1]
    every = FeatureSettings(clip_frames=8, clip_step=2, md_frames=0)
    assert frames_per_clip("md", every) == 16


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize(("objective", "units"), [("ac", 5), ("sal_cl", 1), ("sal_rank", 1)])
def test_a_network_has_classes_for_ac_and_one_logit_otherwise(kind, objective, units):
    network = frame_network(kind, ARCHES[kind], objective, SETTINGS, 5)
    assert network.input_shape == (None, *frame_shape(kind, SETTINGS))
    assert network.output_shape == (None, units)


def test_kinds_of_input():
    assert [input_kind(kind) for kind in SAMPLERS] == ["md", "rgb_r", "log_mel"]


def test_an_i_frame_is_a_picture_of_which_a_clip_has_one():
    settings = dataclasses.replace(SETTINGS, iframe_size=48)
    assert (frame_shape("iframe", settings), frames_per_clip("iframe", settings)) == ((48, 48, 3), 1)
    assert input_kind("iframe") == "rgb"
    assert frame_network("iframe", "resnet_small", "ac", settings, 5).input_shape == (None, 48, 48, 3)


def test_only_the_head_learns_and_batchnorm_keeps_its_statistics():
    network = frame_network("audio", "vgg_audio_small", "ac", SETTINGS, 3)
    train_only_head(network)
    model = training_model(network, "ac", 1, 1)
    assert [weight.path for weight in model.trainable_variables] == ["logits/kernel", "logits/bias"]
    before = {weight.path: np.array(weight) for weight in network.weights}
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    sound = np.random.default_rng(0).normal(size=(2, 1, 1, 40, 200, 1)).astype(np.float32)
    model.train_on_batch({"frames": sound, "frame_mask": np.ones((2, 1, 1), "float32")}, np.zeros((2, 1, 3)))
    changed = [weight.path for weight in network.weights if (np.array(weight) != before[weight.path]).any()]
    assert changed == ["logits/kernel", "logits/bias"]


def affine(units: int = 2) -> keras.Model:
    """A network small enough for sums by hand: logits are (s, 2 s, ...) of the sum s of a 2x2 frame."""
    entry = keras.Input((2, 2, 1))
    dense = keras.layers.Dense(units, use_bias=False)
    network = keras.Model(entry, dense(keras.layers.Flatten()(entry)))
    dense.set_weights([np.tile(np.arange(1, units + 1, dtype=np.float32), (4, 1))])
    return network


def test_logits_of_frames_keep_their_places_also_where_sizes_are_unknown():
    frames = np.random.default_rng(0).normal(size=(2, 3, 4, 2, 2, 1)).astype(np.float32)
    network = affine()
    expected = frames.sum(axis=(3, 4, 5))[..., None] * [1, 2]
    np.testing.assert_allclose(clip_logits(network, frames), expected, rtol=1e-5)
    unknown = tf.TensorSpec([None, None, 2, 2, 1])
    function = tf.function(lambda data: clip_logits(network, data), input_signature=[unknown])
    np.testing.assert_allclose(function(frames[0]), expected[0], rtol=1e-5)
    assert function(frames[0, :0]).shape == (0, 4, 2)


def test_the_training_model_of_ac_averages_log_probabilities_over_frames():
    frames = np.random.default_rng(1).normal(size=(2, 3, 2, 2, 2, 1)).astype(np.float32)
    mask = np.array([[[1, 1], [1, 0], [0, 0]], [[1, 1], [1, 1], [0, 1]]], bool)
    found = training_model(affine(), "ac", 3, 2)({"frames": frames, "frame_mask": mask}).numpy()
    logits = frames.sum(axis=(3, 4, 5))[..., None] * [1, 2]
    own = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(found[0, 0], own[0, 0].mean(0), atol=1e-5)
    np.testing.assert_allclose(found[0, 1], own[0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(found[0, 2], [0, 0])
    np.testing.assert_allclose(found[1, 2], own[1, 2, 1], atol=1e-5)


def test_the_training_model_of_saliency_averages_sigmoids_over_frames():
    frames = np.random.default_rng(2).normal(size=(1, 2, 3, 2, 2, 1)).astype(np.float32)
    mask = np.array([[[1, 1, 0], [0, 0, 0]]], bool)
    found = training_model(affine(1), "sal_rank", 2, 3)({"frames": frames, "frame_mask": mask}).numpy()
    sums = frames.sum(axis=(3, 4, 5))
    expected = (1 / (1 + np.exp(-sums[0, 0, :2]))).mean()
    np.testing.assert_allclose(found, [[expected, 0]], atol=1e-6)
