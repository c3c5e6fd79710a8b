import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from scsampler_tf import cost
from scsampler_tf.models.depthwise import DepthwiseConv3D

KERNELS = [(3, 3, 3), (1, 3, 3), (3, 1, 1), (5, 3, 1)]
STRIDES = [(1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 1, 1)]


def by_hand(clip, kernel, strides, padding):
    """Depthwise convolution of a clip `[F, H, W, C]` with `[t, h, w, C]` by loops over places."""
    if padding == "same":
        clip = np.pad(clip, [*((size // 2, size // 2) for size in kernel.shape[:3]), (0, 0)])
    sizes = [(n - k) // s + 1 for n, k, s in zip(clip.shape[:3], kernel.shape[:3], strides, strict=True)]
    result = np.zeros((*sizes, clip.shape[-1]))
    for place in np.ndindex(*sizes):
        spans = zip(place, kernel.shape[:3], strides, strict=True)
        window = clip[tuple(slice(i * s, i * s + k) for i, k, s in spans)]
        result[place] = np.sum(window * kernel, axis=(0, 1, 2))
    return result


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("kernel", "strides"), list(itertools.product(KERNELS, STRIDES)))
def test_same_as_by_hand(kernel, strides, padding):
    clips = random(2, 5, 7, 6, 3)
    layer = DepthwiseConv3D(kernel, strides, padding, kernel_initializer="he_normal")
    result = layer(clips).numpy()
    weights = layer.kernel.numpy()
    assert weights.shape == (*kernel, 3, 1)
    expected = [by_hand(clip, weights[..., 0], strides, padding) for clip in clips]
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert layer.compute_output_shape(clips.shape) == result.shape


@pytest.mark.parametrize("strides", STRIDES)
def test_gradients_are_those_of_small_steps(strides):
    clips, weights = random(1, 4, 5, 4, 2), random(3, 3, 3, 2, 1, seed=1)
    layer = DepthwiseConv3D((3, 3, 3), strides, "same", dtype="float64")
    layer.build(clips.shape)

    def value(clips, weights):
        return sum(np.sum(by_hand(clip, weights[..., 0], strides, "same") ** 2) for clip in clips)

    layer.kernel.assign(weights)
    pictures = tf.constant(clips, "float64")
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        loss = tf.reduce_sum(layer(pictures) ** 2)
    gradients = tape.gradient(loss, [pictures, layer.kernel.value])
    points = [clips.astype("float64"), weights.astype("float64")]
    rng = np.random.default_rng(2)
    for argument, gradient in enumerate(gradients):
        for _ in range(8):
            step = np.zeros_like(points[argument])
            step[tuple(rng.integers(step.shape))] = 1e-4
            ends = [
                [p + sign * step if i == argument else p for i, p in enumerate(points)] for sign in (1, -1)
            ]
            slope = (value(*ends[0]) - value(*ends[1])) / 2e-4
            assert np.sum(gradient.numpy() * step) / 1e-4 == pytest.approx(slope, abs=1e-6)


def test_any_batch_size_in_a_graph():
    entry = keras.Input((5, 7, 6, 3))
    model = keras.Model(entry, DepthwiseConv3D((3, 3, 3), (2, 2, 2), "same")(entry))
    assert model.output_shape == (None, 3, 4, 3, 3)
    for batch in (1, 3):
        assert model.predict(np.zeros((batch, 5, 7, 6, 3), "float32"), verbose=0).shape == (batch, 3, 4, 3, 3)


def test_cost_is_that_of_its_kernel_at_every_place():
    entry = keras.Input((8, 12, 10, 6))
    model = keras.Model(entry, DepthwiseConv3D((3, 3, 3), (2, 2, 2), "same")(entry))
    assert cost.count(model) == cost.Cost(27 * 6, 27 * 6 * 4 * 6 * 5)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_mixed_precision_computes_in_the_lower_one(kind):
    layer = DepthwiseConv3D((3, 3, 3), padding="same", dtype=f"mixed_{kind}")
    clips = random(1, 4, 5, 6, 2)
    result = layer(clips)
    assert result.dtype == kind
    assert layer.kernel.dtype == "float32"
    expected = by_hand(clips[0], layer.kernel.numpy()[..., 0], (1, 1, 1), "same")
    np.testing.assert_allclose(tf.cast(result[0], tf.float32), expected, atol=0.05)


def test_its_configuration_makes_it_again():
    layer = DepthwiseConv3D((3, 5, 5), (2, 1, 1), "same", kernel_initializer="he_normal", name="middle")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert (again.kernel_size, again.strides, again.padding) == ((3, 5, 5), (2, 1, 1), "same")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((3, 3, 3), (1, 1, 1), "causal"), "padding 'causal' is none of valid, same"),
        (((2, 3, 3), (1, 1, 1), "same"), "odd sizes"),
        (((3, 3, 3), (1, 2, 1)), "height and width"),
    ],
)
def test_what_it_cannot_do_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DepthwiseConv3D(*arguments)


def test_unknown_sizes_are_refused():
    with pytest.raises(ValueError, match="all sizes must be known"):
        DepthwiseConv3D((3, 3, 3), name="middle")(keras.Input((None, 6, 6, 2)))
