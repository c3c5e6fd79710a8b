import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from scsampler_tf.models.conv3d import FoldedConv3D

KERNELS = [(1, 3, 3), (3, 1, 1), (3, 3, 3), (1, 1, 1), (3, 5, 3)]
STRIDES = [(1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 1, 1)]


def pair(kernel, strides, padding, **options):
    """Keras' layer and ours with the same weights, and a batch `[2, 5, 7, 6, 3]`."""
    arguments = {"kernel_size": kernel, "strides": strides, "padding": padding, **options}
    stock, folded = layers.Conv3D(4, **arguments), FoldedConv3D(4, **arguments)
    clips = np.random.default_rng(0).normal(size=(2, 5, 7, 6, 3)).astype("float32")
    stock.build(clips.shape)
    folded.build(clips.shape)
    folded.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in stock.weights])
    stock.set_weights(folded.get_weights())
    return stock, folded, clips


@pytest.mark.parametrize(("kernel", "strides"), list(itertools.product(KERNELS, STRIDES)))
def test_same_as_keras(kernel, strides):
    stock, folded, clips = pair(kernel, strides, "valid")
    expected = stock(clips).numpy()
    np.testing.assert_allclose(folded(clips).numpy(), expected, atol=2e-5)
    assert folded.compute_output_shape(clips.shape) == expected.shape


@pytest.mark.parametrize("kernel", KERNELS)
def test_same_as_keras_with_same_padding_and_bias(kernel):
    stock, folded, clips = pair(kernel, 1, "same", activation="relu")
    np.testing.assert_allclose(folded(clips).numpy(), stock(clips).numpy(), atol=2e-5)


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 1, 1), (3, 3, 3)])
def test_same_gradients(kernel):
    stock, folded, clips = pair(kernel, (2, 2, 2), "valid")
    clips = tf.constant(clips)
    gradients = []
    for layer in (stock, folded):
        with tf.GradientTape() as tape:
            tape.watch(clips)
            loss = tf.reduce_sum(layer(clips) ** 2)
        gradients.append(tape.gradient(loss, [clips, layer.kernel.value]))
    for expected, given in zip(*gradients, strict=True):
        np.testing.assert_allclose(given.numpy(), expected.numpy(), rtol=1e-4, atol=1e-3)


def test_any_batch_size_in_a_graph():
    entry = keras.Input((5, 7, 6, 3))
    model = keras.Model(entry, FoldedConv3D(4, (3, 3, 3), (2, 2, 2), "valid")(entry))
    assert model.output_shape == (None, 2, 3, 2, 4)
    for batch in (1, 3):
        assert model.predict(np.zeros((batch, 5, 7, 6, 3), "float32"), verbose=0).shape == (batch, 2, 3, 2, 4)


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_gradients_in_bfloat16_are_those_of_float32(frames):
    rng = np.random.default_rng(0)
    clips, kernel = rng.normal(size=(2, frames, 4, 4, 8)), rng.normal(size=(3, 3, 3, 8, 6))
    found = []
    for policy in ("float32", "mixed_bfloat16"):
        layer = FoldedConv3D(6, (3, 3, 3), padding="same", use_bias=False, dtype=policy)
        layer.build(clips.shape)
        layer.kernel.assign(kernel)
        values = tf.constant(clips, layer.compute_dtype)
        with tf.GradientTape() as tape:
            result = layer(values)
            loss = tf.reduce_sum(tf.cast(result, "float32") ** 2)
        found += [(result.numpy().astype("float32"), tape.gradient(loss, layer.kernel.value).numpy())]
    (expected, expected_gradient), (given, given_gradient) = found
    np.testing.assert_allclose(given, expected, atol=0.02 * np.abs(expected).max())
    np.testing.assert_allclose(given_gradient, expected_gradient, atol=0.02 * np.abs(expected_gradient).max())
