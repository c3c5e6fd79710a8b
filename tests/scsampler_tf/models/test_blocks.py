import keras
import numpy as np
import pytest

from scsampler_tf.models.blocks import INPUTS, Build, convolution, rescaled_input


def rescaled(values, inputs):
    entry, x = rescaled_input(values.shape[1:], inputs, Build())
    return keras.Model(entry, x).predict(values, verbose=0)


def test_rgb_is_normalised_with_the_statistics_of_kinetics():
    white = np.full((1, 1, 1, 3), 255, "float32")
    mean, std = np.array([0.43216, 0.394666, 0.37645]), np.array([0.22803, 0.22145, 0.216989])
    np.testing.assert_allclose(rescaled(white, "rgb")[0, 0, 0], (1 - mean) / std, rtol=1e-5)
    np.testing.assert_allclose(rescaled(0 * white, "rgb")[0, 0, 0], -mean / std, rtol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "zero", "one"),
    [("rgb_r", 128, 160), ("md", 0, 8), ("log_mel", -2, 0)],
)
def test_what_becomes_zero_and_one(inputs, zero, one):
    values = np.full((2, 4, 4, INPUTS[inputs]["channels"]), zero, "float32")
    values[1] = one
    result = rescaled(values, inputs)
    assert np.all(result[0] == 0)
    assert np.all(result[1] == 1)


def padded_by_hand(picture, kernel, stride):
    """PyTorch's convolution with padding k // 2, one channel to one channel, by loops."""
    pads = [k // 2 for k in kernel.shape]
    padded = np.pad(picture, [(p, p) for p in pads])
    sizes = [(n + 2 * p - k) // stride + 1 for n, p, k in zip(picture.shape, pads, kernel.shape, strict=True)]
    result = np.zeros(sizes)
    for place in np.ndindex(*sizes):
        window = tuple(slice(i * stride, i * stride + k) for i, k in zip(place, kernel.shape, strict=True))
        result[place] = np.sum(padded[window] * kernel)
    return result


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("shape", "kernel"), [((6, 8), (3, 3)), ((7, 6), (7, 7)), ((4, 6, 5), (3, 3, 3)), ((4, 6, 6), (1, 3, 3))]
)
def test_padding_is_even_on_both_sides(shape, kernel, stride):
    entry = keras.Input((*shape, 1))
    strides = (stride,) * len(shape)
    model = keras.Model(entry, convolution(entry, 1, kernel, strides, name="conv", build=Build()))
    picture = np.random.default_rng(3).normal(size=shape).astype("float32")
    weights = model.get_layer("conv").kernel.numpy()[..., 0, 0]
    result = model.predict(picture[None, ..., None], verbose=0)[0, ..., 0]
    np.testing.assert_allclose(result, padded_by_hand(picture, weights, stride), atol=1e-5)


def test_seeds_differ_by_layer_and_network_and_repeat():
    seeds = [Build(seed).seed_for(name) for seed in (0, 1) for name in ("a", "b")]
    assert len(set(seeds)) == 4
    assert Build(0).seed_for("a") == seeds[0]
    assert all(0 <= seed < 2**31 for seed in seeds)
