import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf import cost
from scsampler_tf.models.blocks import Build
from scsampler_tf.models.inception import windowed_mean
from scsampler_tf.models.inception_blocks import (
    Style,
    gate,
    inception,
    pads_of,
    space_time,
    unit,
    zero_padded_pool,
)

BUILD = Build(norm_epsilon=1e-3)
PLAIN = Style(BUILD, "symmetric", norm_scale=True, gating="none")
SAME = Style(BUILD, "same", norm_scale=True, gating="none")


def clips(shape, count=2, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (count, *shape)).astype("float32")


def output(model, pictures):
    return keras.ops.convert_to_numpy(model(pictures, training=False))


def layered(make_layers, shape, **options):
    entry = keras.Input(shape)
    return keras.Model(entry, make_layers(entry, **options))


@pytest.mark.parametrize(("channels", "filters", "size"), [(96, 128, 3), (3, 64, 7)])
def test_parameters_of_the_three_kinds(channels, filters, size):
    counted = {}
    for kind in ("full", "spatial", "separable"):
        model = layered(
            space_time, (4, 8, 8, channels), filters=filters, size=size, kind=kind, name="x", style=PLAIN
        )
        counted[kind] = cost.count(model).parameters
    space, norm = size**2 * channels * filters, 2 * filters
    assert counted == {
        "full": size * space + norm,
        "spatial": space + norm,
        "separable": space + norm + size * filters**2 + norm,
    }


def test_pads_by_hand():
    # 224 pixels, kernel 7, stride 2: 112 places reach over 229, 5 more than there are.
    assert pads_of((224,), (7,), (2,), "same") == ((2, 3),)
    assert pads_of((224,), (7,), (2,), "symmetric") == ((3, 3),)
    assert pads_of((112, 57), (3, 3), (2, 2), "same") == ((0, 1), (1, 1))
    assert pads_of((7, 14), (2, 2), (2, 2), "same") == ((0, 1), (0, 0))
    assert pads_of((7,), (2,), (2,), "symmetric") == ((0, 0),)


@settings(deadline=None)
@given(st.integers(1, 60), st.sampled_from([1, 2, 3, 5, 7]), st.integers(1, 3))
def test_same_padding_leaves_size_over_stride(size, kernel, stride):
    before, after = pads_of((size,), (kernel,), (stride,), "same")[0]
    assert 0 <= before <= after <= before + 1
    reach = max(size + before + after - kernel, 0)
    assert reach // stride + 1 == -(-size // stride)


@pytest.mark.parametrize("shape", [(8, 14, 16, 3), (7, 13, 11, 3)])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((7, 7, 7), (2, 2, 2)), ((1, 7, 7), (2, 2, 2)), ((7, 1, 1), (2, 1, 1))]
)
def test_same_convolution_is_tensorflows(shape, kernel, strides):
    model = layered(unit, shape, filters=4, kernel=kernel, strides=strides, name="x", style=SAME)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) if weight.name != "kernel" else weight)
    norm = model.get_layer("x_bn")
    x = clips(shape) / 255
    x_conv = tf.nn.conv3d(x, model.get_layer("x").kernel.numpy(), [1, *strides, 1], "SAME")
    scale = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + 1e-3)
    expected = np.maximum((x_conv.numpy() - norm.moving_mean.numpy()) * scale + norm.beta.numpy(), 0)
    np.testing.assert_allclose(output(model, x), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 8, 6, 2), (5, 7, 9, 2)])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))]
)
def test_same_pooling_is_tensorflows(shape, kernel, strides):
    model = layered(zero_padded_pool, shape, kernel=kernel, strides=strides, name="x", style=SAME)
    expected = tf.nn.max_pool3d(clips(shape), [1, *kernel, 1], [1, *strides, 1], "SAME")
    np.testing.assert_array_equal(output(model, clips(shape)), expected.numpy())


def test_symmetric_pooling_by_hand():
    row = np.array([1, 5, 2, 4, 3, 9], "float32").reshape(1, 1, 1, 6, 1)
    pools = {}
    for style in (PLAIN, SAME):
        model = layered(
            zero_padded_pool, row.shape[1:], kernel=(1, 1, 3), strides=(1, 1, 2), name="x", style=style
        )
        pools[style.padding] = output(model, row).ravel().tolist()
    assert pools == {"symmetric": [5, 5, 9], "same": [5, 4, 9]}


def test_gating_by_hand():
    model = layered(gate, (2, 1, 2, 2), name="x", style=PLAIN)
    weights = np.array([[1.0, 0.0], [2.0, -1.0]], "float32"), np.array([0.5, 0.0], "float32")
    model.get_layer("x_gate").set_weights(weights)
    x = np.array([[1, 4], [2, 0], [3, 4], [2, 0]], "float32").reshape(1, 2, 1, 2, 2)
    # The mean is (2, 2); W^T mean + b = (2 + 4 + 0.5, -2).
    factors = 1 / (1 + np.exp([-6.5, 2.0]))
    np.testing.assert_allclose(output(model, x), x * factors, rtol=1e-6)


@pytest.mark.parametrize(
    ("gating", "gates"), [("none", []), ("temporal", ["b1", "b2"]), ("branches", ["b0", "b1", "b2", "b3"])]
)
def test_which_branches_are_gated(gating, gates):
    style = Style(BUILD, "symmetric", norm_scale=True, gating=gating)
    arguments = {"widths": (2, 2, 3, 1, 2, 1), "kind": "separable", "name": "m", "style": style}
    model = layered(inception, (2, 4, 4, 3), **arguments)
    assert [layer.name for layer in model.layers if layer.name.endswith("_gate")] == [
        f"m_{g}_gate" for g in gates
    ]
    assert model.output_shape == (None, 2, 4, 4, 2 + 3 + 2 + 1)


def test_windows_by_hand():
    # Windows of two frames count the middle one twice; 7 x 7 pixels are there, so space is one window.
    x = np.zeros((1, 3, 7, 7, 1), "float32")
    x[0, :, 0, 0, 0] = 49 * np.array([1, 10, 100])
    over_time = layered(windowed_mean, x.shape[1:], over_time=True)
    np.testing.assert_allclose(output(over_time, x), [[(1 + 2 * 10 + 100) / 4]], rtol=1e-6)
    plain = layered(windowed_mean, x.shape[1:], over_time=False)
    np.testing.assert_allclose(output(plain, x), [[111 / 3]], rtol=1e-6)
