import functools

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import models
from scsampler_tf.models.blocks import Build
from scsampler_tf.models.csn import preserved_convolution
from scsampler_tf.models.depthwise import DepthwiseConv3D
from tests.scsampler_tf.models.test_depthwise import by_hand
from tests.scsampler_tf.models.test_resnet3d import moving_squares


@functools.cache
def csn(name, shape=(8, 64, 64, 3), **options):
    options = {"repeats": (1, 1, 1, 1), **options} if name != "csn_small" else options
    return models.create(name, num_classes=2, input_shape=shape, **options)


def depth(name):
    """Convolutions and dense layers from the picture to the logits."""
    return 2 + 3 * sum(models.PRESETS[name]["arguments"]["repeats"])


@pytest.mark.parametrize("layers", [50, 101, 152])
def test_depths(layers):
    assert depth(f"ir_csn_{layers}") == depth(f"ip_csn_{layers}") == layers


def test_layers_of_a_reduced_block():
    model = csn("ir_csn_152")
    assert model.get_layer("layer2_0_conv1").kernel.shape == (1, 1, 1, 256, 128)
    assert isinstance(model.get_layer("layer2_0_conv2"), DepthwiseConv3D)
    assert model.get_layer("layer2_0_conv2").kernel.shape == (3, 3, 3, 128, 1)
    assert model.get_layer("layer2_0_conv2").strides == (2, 2, 2)
    assert model.get_layer("layer2_0_conv3").kernel.shape == (1, 1, 1, 128, 512)
    assert model.get_layer("layer2_0_shortcut").strides == (2, 2, 2)
    assert "layer2_0_conv2_mix" not in [layer.name for layer in model.layers]


def test_all_that_sees_neighbours_is_the_stem_and_depthwise():
    full = [layer for layer in csn("ip_csn_152").layers if isinstance(layer, keras.layers.Conv3D)]
    assert [layer.name for layer in full if layer.kernel_size != (1, 1, 1)] == ["stem_conv"]


def test_stem_shrinks_pictures_only():
    model = csn("ir_csn_152")
    assert model.get_layer("stem_conv").kernel.shape == (3, 7, 7, 3, 64)
    assert model.get_layer("stem_pool").output.shape == (None, 8, 16, 16, 64)


@pytest.mark.parametrize(("name", "last"), [("ir_csn_152", (1, 2, 2, 2048)), ("csn_small", (2, 4, 4, 256))])
def test_size_of_the_last_map(name, last):
    assert csn(name).get_layer("average").input.shape == (None, *last)


def test_preserved_is_pointwise_norm_and_depthwise():
    entry = keras.Input((4, 6, 5, 2))
    x = preserved_convolution(entry, 3, None, (2, 2, 2), name="middle", build=Build())
    model = keras.Model(entry, x)
    clip = np.random.default_rng(0).normal(size=(4, 6, 5, 2)).astype("float32")
    mixed = clip @ model.get_layer("middle_mix").kernel.numpy()[0, 0, 0] / np.sqrt(1 + 1e-5)
    kernel = model.get_layer("middle").kernel.numpy()[..., 0]
    result = model.predict(clip[None], verbose=0)[0]
    np.testing.assert_allclose(result, by_hand(mixed, kernel, (2, 2, 2), "same"), atol=1e-5)


def test_the_initial_deviation_is_he_over_the_fan_out_of_one_channel():
    kernel = csn("ir_csn_152").get_layer("layer4_0_conv2").kernel.numpy()
    assert kernel.std() == pytest.approx(np.sqrt(2 / 27), rel=0.03)


def test_too_small_clips():
    with pytest.raises(UserError, match=r"too small; .* at least \[8, 32, 32\]"):
        csn("ir_csn_152", (8, 32, 16, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stem": "large"}, "ir_csn_50: stem 'large' is none of full, spatial, factored, pooled"),
        ({"makers": ("reduced", "grouped")}, "ir_csn_50: maker 'grouped' is none of full, "),
        ({"block": "wide"}, "ir_csn_50: block 'wide' is none of basic, bottleneck"),
    ],
)
def test_unknown_parts(options, message):
    with pytest.raises(UserError, match=message):
        models.create("ir_csn_50", num_classes=2, input_shape=(8, 64, 64, 3), **options)


@pytest.mark.slow
def test_the_small_network_learns_which_way_things_move():
    model = csn("csn_small", (8, 24, 24, 3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    clips, labels = moving_squares(256, 0)
    keras.utils.set_random_seed(0)
    model.fit(clips, labels, batch_size=32, epochs=4, verbose=0)
    assert model.evaluate(*moving_squares(128, 1), verbose=0)[1] > 0.9
