import keras
import numpy as np
import pytest

from scsampler_tf import models
from scsampler_tf.models.convert import fill
from scsampler_tf.models.layout import weights_by_path
from scsampler_tf.models.weights_keras_hub import (
    KERAS_HUB_BACKBONE,
    KERAS_HUB_LAYOUT,
    keras_hub_key,
    keras_hub_tensors,
)

SIDE, CLASSES = 65, 7  # odd, so that padding on one side only would show


def resnet18():
    shape = (SIDE, SIDE, 3)
    return models.create("resnet18", num_classes=CLASSES, input_shape=shape, **KERAS_HUB_LAYOUT.options)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("stem_conv/kernel", "conv1_conv/kernel"),
        ("stem_bn/gamma", "conv1_bn/gamma"),
        ("layer1_0_conv1/kernel", "stack0_block0_1_conv/kernel"),
        ("layer1_1_bn2/moving_mean", "stack0_block1_2_bn/moving_mean"),
        ("layer2_0_shortcut/kernel", "stack1_block0_0_conv/kernel"),
        ("layer4_0_shortcut_bn/beta", "stack3_block0_0_bn/beta"),
        ("logits/bias", "predictions/bias"),
    ],
)
def test_names_in_keras_hub(path, key):
    assert keras_hub_key(path) == key


def test_every_weight_has_a_name_of_its_own():
    paths = [path for path, _, _ in weights_by_path(resnet18())]
    assert len({keras_hub_key(path) for path in paths}) == len(paths) == 20 * 5 + 2
    assert {path for path in paths if KERAS_HUB_BACKBONE.key(path) is None} == {
        "logits/kernel",
        "logits/bias",
    }


def test_weights_of_a_network_in_a_network_stand_beside_its_own():
    entry = keras.Input((2,))
    inner = keras.Model(entry, keras.layers.Dense(3, name="conv1_conv")(entry), name="backbone")
    outer = keras.Input((2,))
    hidden = keras.layers.Dropout(0.5, name="output_dropout")(inner(outer))
    model = keras.Model(outer, keras.layers.Dense(4, name="predictions")(hidden))
    found = keras_hub_tensors(model)
    assert {name: array.shape for name, array in found.items()} == {
        "conv1_conv/kernel": (2, 3),
        "conv1_conv/bias": (3,),
        "predictions/kernel": (3, 4),
        "predictions/bias": (4,),
    }
    np.testing.assert_array_equal(found["predictions/kernel"], model.get_layer("predictions").kernel)


def hub_classifier():
    """KerasHub's ResNet-18 as its preset "resnet_18_imagenet" is made, with random weights."""
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed: no reference")
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(SIDE, SIDE, 3),
    )
    model = keras_hub.models.ResNetImageClassifier(backbone=backbone, num_classes=CLASSES)
    rng = np.random.default_rng(0)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            low_high = ((0.5, 1.5), (-0.2, 0.2), (-0.2, 0.2), (0.5, 1.5))
            layer.set_weights([rng.uniform(*ends, shape).astype("float32") for ends in low_high])
    return model


def test_the_same_logits_as_keras_hub():
    reference = hub_classifier()
    model = resnet18()
    kept, left = fill(model, keras_hub_tensors(reference), KERAS_HUB_LAYOUT)
    assert (kept, left) == ([], [])
    pixels = np.random.default_rng(1).uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32")
    # What its image converter does, with the constants of timm's resnet18.a1_in1k.
    prepared = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = keras.ops.convert_to_numpy(reference(prepared.astype("float32"), training=False))
    found = keras.ops.convert_to_numpy(model(pixels, training=False))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_backbone_without_class_layer():
    backbone = hub_classifier().backbone
    kept, left = fill(resnet18(), keras_hub_tensors(backbone), KERAS_HUB_BACKBONE)
    assert (kept, left) == (["logits/kernel", "logits/bias"], [])
