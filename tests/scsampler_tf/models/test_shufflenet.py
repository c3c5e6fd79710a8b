import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from scsampler_tf import cost, models
from scsampler_tf.models.shufflenet import GroupedPointwise, average_pool, shuffle


def shufflenet(shape, **options):
    inputs = "md" if shape[-1] == 2 else "rgb_r"
    return models.create("shufflenet_26", num_classes=5, input_shape=shape, inputs=inputs, **options)


def test_twenty_six_layers_with_weights_on_the_longest_way():
    model = shufflenet((64, 64, 3))
    kernels = [w for w in model.trainable_weights if w.name == "kernel"]
    assert len(kernels) == 26  # shortcuts have none


@pytest.mark.parametrize(
    ("repeats", "stem_width", "widths", "mega"),
    [
        ((4, 8, 4), 24, (240, 480, 960), 137),  # its authors' table 1, 3 groups
        ((4, 8, 4), 12, (120, 240, 480), 38),  # 0.5x, its authors' table 2
    ],
)
def test_fifty_layers_cost_what_is_published(repeats, stem_width, widths, mega):
    options = {"repeats": repeats, "stem_width": stem_width, "widths": widths}
    model = models.create("shufflenet_26", num_classes=1000, input_shape=(224, 224, 3), **options)
    assert cost.count(model).multiply_adds / 1e6 == pytest.approx(mega, abs=0.55)


@pytest.mark.parametrize(
    ("shape", "last"),
    [
        ((224, 224, 3), (7, 7, 480)),
        ((14, 14, 2), (2, 2, 480)),
        ((7, 9, 2), (1, 2, 480)),
        ((56, 56, 3), (2, 2, 480)),
    ],
)
def test_size_of_the_last_map(shape, last):
    assert shufflenet(shape).get_layer("average").input.shape == (None, *last)


def test_groups_of_the_convolutions():
    model = shufflenet((64, 64, 3))
    assert model.get_layer("layer1_0_conv1").kernel.shape == (1, 1, 12, 30)  # few channels: not grouped
    assert model.get_layer("layer1_0_conv3").kernel.shape == (3, 10, 36)  # 108, and 12 of the shortcut
    assert model.get_layer("layer1_1_conv1").kernel.shape == (3, 40, 10)
    assert model.get_layer("layer1_1_conv3").kernel.shape == (3, 10, 40)


def test_a_grouped_convolution_is_a_matrix_a_group():
    layer = GroupedPointwise(4, 2)
    pictures = np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype("float32")
    result = layer(pictures).numpy()
    whole = np.zeros((6, 4))
    whole[:3, :2], whole[3:, 2:] = layer.kernel.numpy()
    np.testing.assert_allclose(result, pictures @ whole, atol=1e-5)


def test_gradients_of_a_grouped_convolution():
    layer = GroupedPointwise(4, 2)
    pictures = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 5, 6)), tf.float32)
    layer.build(pictures.shape)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        loss = tf.reduce_sum(layer(pictures))
    by_pictures, by_kernel = tape.gradient(loss, [pictures, layer.kernel.value])
    sums = layer.kernel.numpy().sum(axis=2).ravel()  # of what each channel feeds
    np.testing.assert_allclose(by_pictures, np.broadcast_to(sums, pictures.shape), atol=1e-5)
    totals = pictures.numpy().sum(axis=(0, 1, 2)).reshape(2, 3, 1)
    np.testing.assert_allclose(by_kernel, np.broadcast_to(totals, (2, 3, 2)), atol=1e-5)


def test_cost_of_a_grouped_convolution():
    entry = keras.Input((5, 7, 6))
    model = keras.Model(entry, GroupedPointwise(4, 2)(entry))
    assert cost.count(model) == cost.Cost(2 * 3 * 2, 2 * 3 * 2 * 5 * 7)


def test_the_initial_deviation_is_he_over_the_fan_out_of_a_group():
    kernel = shufflenet((64, 64, 3)).get_layer("layer3_1_conv3").kernel.numpy()
    assert kernel.shape == (3, 40, 160)
    assert kernel.std() == pytest.approx(np.sqrt(2 / 160), rel=0.03)


def test_a_grouped_convolution_is_made_again():
    layer = GroupedPointwise(4, 2, kernel_initializer="he_normal", name="mix")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert (again.filters, again.groups) == (4, 2)


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="5 filters in 2 groups"):
        GroupedPointwise(5, 2)
    with pytest.raises(ValueError, match="3 channels in 2 groups"):
        GroupedPointwise(4, 2)(np.zeros((1, 3)))


def test_shuffle_sends_every_group_to_every_group():
    entry = keras.Input((1, 1, 6))
    model = keras.Model(entry, shuffle(entry, 2, name="shuffle"))
    channels = model.predict(np.arange(6, dtype="float32").reshape(1, 1, 1, 6), verbose=0).ravel()
    assert channels.tolist() == [0, 3, 1, 4, 2, 5]


def test_average_counts_the_zeros_around():
    entry = keras.Input((4, 4, 1))
    model = keras.Model(entry, average_pool(entry, name="average"))
    result = model.predict(np.ones((1, 4, 4, 1), "float32"), verbose=0)[0, :, :, 0]
    np.testing.assert_allclose(result, np.array([[4, 6], [6, 9]]) / 9, rtol=1e-6)


@pytest.mark.parametrize("shape", [(14, 14, 2), (56, 56, 3)])
def test_strided_units_keep_their_input_beside_the_branch(shape):
    model = shufflenet(shape)
    shortcut, branch = model.get_layer("layer2_0_join").input
    assert (shortcut.shape[-1], branch.shape[-1]) == (120, 120)


@pytest.mark.parametrize(
    "options",
    [{"widths": (100, 240, 480)}, {"stem_width": 13}, {"widths": (120, 120, 240)}, {"groups": 7}],
)
def test_widths_that_do_not_divide_are_told(options):
    with pytest.raises(UserError, match=r"shufflenet_26: width .* groups; widths must grow"):
        shufflenet((56, 56, 3), **options)


def test_too_small_pictures():
    with pytest.raises(UserError, match=r"too small; \[height, width\] must be at least \[4, 4\]"):
        shufflenet((3, 14, 2))
