import keras
import numpy as np
import pytest

from scsampler_tf.models.depthwise import DepthwiseConv3D
from scsampler_tf.models.layout import arranged, weights_by_path
from scsampler_tf.models.shufflenet import GroupedPointwise


def built(layer, shape):
    layer.build(shape)
    return layer


def turned(array, layer, order="torch"):
    return arranged(array, layer, layer.kernel, order)


def test_convolution_of_torch():
    layer = built(keras.layers.Conv3D(2, (3, 5, 7)), (None, 9, 9, 9, 4))
    array = np.random.default_rng(0).normal(size=(2, 4, 3, 5, 7))
    found = turned(array, layer)
    assert found.shape == tuple(layer.kernel.shape)
    assert found[1, 2, 3, 0, 1] == array[1, 0, 1, 2, 3]


def test_convolution_of_tensorflow_stays():
    layer = built(keras.layers.Conv2D(2, (3, 5)), (None, 9, 9, 4))
    array = np.zeros((3, 5, 4, 2))
    assert turned(array, layer, "tensorflow") is array


def test_depthwise_convolutions():
    array = np.random.default_rng(0).normal(size=(4, 1, 3, 3, 3))
    layer = built(DepthwiseConv3D((3, 3, 3)), (None, 9, 9, 9, 4))
    found = turned(array, layer)
    assert found.shape == tuple(layer.kernel.shape)
    assert found[0, 1, 2, 3, 0] == array[3, 0, 0, 1, 2]
    layer = built(keras.layers.DepthwiseConv2D(3), (None, 9, 9, 4))
    assert turned(array[:, :, 0], layer).shape == tuple(layer.kernel.shape)


def test_grouped_convolution_does_what_it_does_in_torch():
    layer = built(GroupedPointwise(6, 3), (None, 1, 1, 9))
    array = np.random.default_rng(0).normal(size=(6, 3, 1, 1)).astype("float32")
    layer.kernel.assign(turned(array, layer))
    pictures = np.random.default_rng(1).normal(size=(1, 1, 1, 9)).astype("float32")
    # Output channel o belongs to group o // 2 and sees input channels 3 * group to 3 * group + 2.
    expected = [array[o, :, 0, 0] @ pictures[0, 0, 0, 3 * (o // 2) : 3 * (o // 2) + 3] for o in range(6)]
    np.testing.assert_allclose(layer(pictures)[0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("ones", [(), (1, 1), (1, 1, 1)])
def test_class_layers_may_be_convolutions(ones):
    layer = built(keras.layers.Dense(2), (None, 3))
    matrix = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(turned(matrix.reshape(2, 3, *ones), layer), matrix.T)
    np.testing.assert_array_equal(turned(matrix.T.reshape(*ones, 3, 2), layer, "tensorflow"), matrix.T)


def test_statistics_with_axes_of_one():
    layer = built(keras.layers.BatchNormalization(), (None, 4, 3))
    array = np.arange(3.0)
    for shape in ((3,), (1, 3), (1, 1, 1, 1, 3)):
        found = arranged(array.reshape(shape), layer, layer.moving_mean, "tensorflow")
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("shape", [(), (5,), (2, 4), (2, 4, 3), (7, 4, 3, 5, 7), (2, 3, 2, 2)])
def test_what_cannot_be_turned_is_left_for_the_comparison_of_shapes(shape):
    for layer, entry in (
        (keras.layers.Conv3D(2, (3, 5, 7)), (None, 9, 9, 9, 4)),
        (keras.layers.Dense(2), (None, 3)),
        (GroupedPointwise(6, 3), (None, 1, 1, 9)),
        (DepthwiseConv3D((3, 3, 3)), (None, 9, 9, 9, 4)),
    ):
        layer = built(layer, entry)
        assert turned(np.zeros(shape), layer).shape != tuple(layer.kernel.shape)


def test_states_of_dropout_are_no_weights():
    entry = keras.Input((3,))
    x = keras.layers.Dropout(0.5, seed=1)(keras.layers.Dense(2, name="one")(entry))
    assert [path for path, _, _ in weights_by_path(keras.Model(entry, x))] == ["one/kernel", "one/bias"]
