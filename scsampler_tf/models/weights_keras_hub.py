"""Where KerasHub's ResNet-18 keeps what our "resnet18" keeps elsewhere.

    classifier = keras_hub.models.ImageClassifier.from_preset("resnet_18_imagenet")
    model = convert(keras_hub_tensors(classifier), "resnet18").model

KerasHub's `ResNetBackbone` pads as PyTorch does and has BatchNorm's epsilon 1e-5, so that both compute the
same. Its preset "resnet_18_imagenet" is timm's `resnet18.a1_in1k` with ImageNet's mean and deviation, which
KerasHub's image converter subtracts and divides by outside the network and we inside.
"""

import keras
import numpy as np

from scsampler_tf.models.layout import CLASS_LAYER, Layout

STAGE = "layer"
HEAD = "predictions"
OPTIONS = {"pixels": "imagenet", "stem": "imagenet"}


def keras_hub_tensors(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a KerasHub backbone or image classifier as `{"LAYER/WEIGHT": array}`.

    The layers of a backbone inside a classifier stand beside the classifier's own.
    """
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= keras_hub_tensors(layer)
            continue
        for weight in layer.weights:
            if weight.name != "seed_generator_state":
                found[f"{layer.name}/{weight.name}"] = keras.ops.convert_to_numpy(weight)
    return found


def keras_hub_key(path: str) -> str:
    """Key in `keras_hub_tensors` of a weight of "resnet18".

    So layer2_0_conv1/kernel is stack1_block0_1_conv/kernel, and layer2_0_shortcut_bn/beta is
    stack1_block0_0_bn/beta.
    """
    layer, weight = path.split("/")
    if layer == CLASS_LAYER:
        return f"{HEAD}/{weight}"
    if not layer.startswith(STAGE):
        return f"{layer.replace('stem', 'conv1')}/{weight}"
    stage, block, part = layer.removeprefix(STAGE).split("_", 2)
    return f"stack{int(stage) - 1}_block{block}_{_part(part)}/{weight}"


def _part(part: str) -> str:
    """conv1 -> 1_conv, bn2 -> 2_bn, shortcut -> 0_conv, shortcut_bn -> 0_bn."""
    if part.startswith("shortcut"):
        return "0_bn" if part.endswith("bn") else "0_conv"
    return f"{part[-1]}_{part[:-1]}"


def backbone_key(path: str) -> str | None:
    """As `keras_hub_key`, without the class layer, which a backbone lacks."""
    return None if path.startswith(f"{CLASS_LAYER}/") else keras_hub_key(path)


KERAS_HUB_LAYOUT = Layout(
    "keras_hub", keras_hub_key, mark=f"{HEAD}/kernel", order="tensorflow", options=OPTIONS
)
KERAS_HUB_BACKBONE = Layout(
    "keras_hub_backbone", backbone_key, mark="conv1_conv/kernel", order="tensorflow", options=OPTIONS
)
