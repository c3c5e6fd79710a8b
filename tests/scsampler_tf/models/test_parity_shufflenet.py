"""Our ShuffleNet with the weights of pytorchcv's, an independent definition of the same paper.

They differ in one thing, which the paper leaves open: where a unit with stride puts the averaged shortcut
beside its branch, it is first here, as in the code of the paper's authors
(megvii-model/ShuffleNet-Series, ShuffleNetV1), and last in pytorchcv. The references here turn it round.
"""

import re

import numpy as np
import pytest

from scsampler_tf.models import PRESETS, create
from scsampler_tf.models.convert import fill
from scsampler_tf.models.layout import TORCH_NORM, Layout
from tests.torch_reference import outputs, randomised, relative_difference, state, torch

TOLERANCE = 1e-4
PARTS = {
    "conv1": "compress_conv1",
    "bn1": "compress_bn1",
    "conv2": "dw_conv2",
    "bn2": "dw_bn2",
    "conv3": "expand_conv3",
    "bn3": "expand_bn3",
}
ENDS = {"stem_conv": "features.init_block.conv", "stem_bn": "features.init_block.bn", "logits": "output"}


def pytorchcv_key(path):
    layer, weight = path.split("/")
    unit = re.fullmatch(r"layer(\d)_(\d)_(\w+)", layer)
    if unit:
        stage, number, part = unit.groups()
        module = f"features.stage{stage}.unit{int(number) + 1}.{PARTS[part]}"
    else:
        module = ENDS[layer]
    return f"{module}.{TORCH_NORM.get(weight, 'bias' if weight == 'bias' else 'weight')}"


PYTORCHCV = Layout("pytorchcv", pytorchcv_key, mark="output.weight")


def shortcut_first(unit, inputs, output):
    """What a unit of pytorchcv returns, with the shortcut's channels moved before its branch's."""
    return torch().roll(output, inputs[0].shape[1], dims=1)


def pytorchcv_shufflenet(stem_width, widths, repeats, groups, classes):
    module = pytest.importorskip(
        "pytorchcv.models.shufflenet", reason="pytorchcv is not installed: no reference to compare with"
    )
    channels = [[width] * count for width, count in zip(widths, repeats, strict=True)]
    torch().manual_seed(0)
    net = module.ShuffleNet(channels, stem_width, groups, num_classes=classes)
    net.features.final_pool = torch().nn.AdaptiveAvgPool2d(1)  # its own is for pictures of 224x224 alone
    for unit in net.modules():
        if isinstance(unit, module.ShuffleUnit) and unit.downsample:
            unit.register_forward_hook(shortcut_first)
    return randomised(net)


def difference_of(reference, shape, classes, **options):
    """Relative difference of the logits of `reference` and of our network with its weights."""
    ours = create(
        "shufflenet_26", num_classes=classes, input_shape=shape, stem="imagenet", pixels="unit", **options
    )
    kept, left = fill(ours, state(reference), PYTORCHCV)
    assert kept == left == []
    pictures = np.random.default_rng(1).uniform(0, 255, (2, *shape)).astype("float32")
    return relative_difference(ours(pictures, training=False).numpy(), outputs(reference, pictures / 255))


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("shape", [(64, 64, 3), (53, 75, 3)])
def test_thin_shufflenet_agrees_with_pytorchcv(groups, shape):
    torch()
    sizes = {"stem_width": 12, "widths": (24, 48, 96), "repeats": (2, 3, 2), "groups": groups}
    difference = difference_of(pytorchcv_shufflenet(**sizes, classes=5), shape, 5, **sizes)
    assert difference < TOLERANCE


def test_shufflenet_26_agrees_with_pytorchcv():
    torch()
    arguments = PRESETS["shufflenet_26"]["arguments"]
    sizes = {name: arguments[name] for name in ("stem_width", "widths", "repeats", "groups")}
    difference = difference_of(pytorchcv_shufflenet(**sizes, classes=1000), (224, 224, 3), 1000)
    assert difference < TOLERANCE


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("stem_conv/kernel", "features.init_block.conv.weight"),
        ("layer1_0_bn1/moving_variance", "features.stage1.unit1.compress_bn1.running_var"),
        ("layer2_3_conv2/kernel", "features.stage2.unit4.dw_conv2.weight"),
        ("logits/bias", "output.bias"),
    ],
)
def test_keys_of_pytorchcv(path, key):
    assert pytorchcv_key(path) == key
