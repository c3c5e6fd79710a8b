"""Converted weights of S3D and I3D against PyTorch: torchvision's S3D, and an I3D written here."""

import numpy as np
import pytest

from scsampler_tf.models.convert import convert
from scsampler_tf.models.inception import BLOCKS, scaled
from tests.torch_reference import outputs, randomised, relative_difference, state, torch, torchvision

TOLERANCE = 1e-4
KINETICS_MEAN, KINETICS_STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
STEM_UNITS = (("Conv3d_1a_7x7", 3, 64, 7), ("Conv3d_2b_1x1", 64, 64, 1), ("Conv3d_2c_3x3", 64, 192, 3))
POOLS = {  # before these layers: kernel and strides
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}


def clips(shape, seed=1):
    return np.random.default_rng(seed).uniform(0, 255, (1, *shape)).astype("float32")


def lively(net):
    """`net` for inference with kernels that keep a signal's size: what goes in is seen in the logits."""
    for module in net.modules():
        if isinstance(module, torch().nn.Conv3d):
            torch().nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return randomised(net)


def same_padded(x, kernel, strides):
    """`x` `[B, C, F, H, W]` with TensorFlow's padding: the output has ceil(size / stride) places."""
    pads = []
    for size, k, stride in zip(x.shape[2:], kernel, strides, strict=True):
        total = max(k - (size % stride or stride), 0)
        pads = [total // 2, total - total // 2, *pads]
    return torch().nn.functional.pad(x, pads)


def make_unit(inputs, channels, size):
    """A convolution with BatchNorm and ReLU under the public names."""
    nn = torch().nn

    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv3d = nn.Conv3d(inputs, channels, size, 2 if size == 7 else 1, bias=False)
            self.bn = nn.BatchNorm3d(channels, eps=1e-3, momentum=0.01)

        def forward(self, x):
            x = same_padded(x, self.conv3d.kernel_size, self.conv3d.stride)
            return nn.functional.relu(self.bn(self.conv3d(x)))

    return Unit()


def make_block(inputs, widths):
    """An Inception block under the public names."""
    nn = torch().nn
    first, narrow1, wide1, narrow2, wide2, last = widths

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.b0 = make_unit(inputs, first, 1)
            self.b1a, self.b1b = make_unit(inputs, narrow1, 1), make_unit(narrow1, wide1, 3)
            self.b2a, self.b2b = make_unit(inputs, narrow2, 1), make_unit(narrow2, wide2, 3)
            self.b3b = make_unit(inputs, last, 1)

        def forward(self, x):
            pooled = nn.functional.max_pool3d(same_padded(x, (3,) * 3, (1,) * 3), 3, 1)
            branches = self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)
            return torch().cat(branches, 1)

    return Block()


def make_i3d(classes, width):
    """I3D as pytorch-i3d names it, its channels times `width`."""
    nn = torch().nn

    class I3D(nn.Module):
        def __init__(self):
            super().__init__()
            for name, inputs, channels, size in STEM_UNITS:
                inputs = inputs if inputs == 3 else scaled(inputs, width)
                self.add_module(name, make_unit(inputs, scaled(channels, width), size))
            inputs = scaled(192, width)
            for name, channels in BLOCKS.items():
                widths = [scaled(count, width) for count in channels]
                self.add_module(name.capitalize(), make_block(inputs, widths))
                inputs = sum(widths[place] for place in (0, 2, 4, 5))
            self.logits = nn.Module()
            self.logits.conv3d = nn.Conv3d(inputs, classes, 1)

        def forward(self, x):
            for name, layer in list(self.named_children())[:-1]:
                if name in POOLS:
                    x = nn.functional.max_pool3d(same_padded(x, *POOLS[name]), *POOLS[name])
                x = layer(x)
            window = [min(size, limit) for size, limit in zip(x.shape[2:], (2, 7, 7), strict=True)]
            return self.logits.conv3d(nn.functional.avg_pool3d(x, window, 1)).mean((2, 3, 4))

    torch().manual_seed(0)
    return lively(I3D())


def deepmind(tensors):
    """The arrays of an I3D under kinetics-i3d's names; BatchNorm's scales are left out."""
    units = {
        "": "",
        "b0": "/Branch_0/Conv3d_0a_1x1",
        "b1a": "/Branch_1/Conv3d_0a_1x1",
        "b1b": "/Branch_1/Conv3d_0b_3x3",
        "b2a": "/Branch_2/Conv3d_0a_1x1",
        "b2b": "/Branch_2/Conv3d_0b_3x3",
        "b3b": "/Branch_3/Conv3d_0b_1x1",
    }
    norms = {"bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    found = {}
    for key, array in tensors.items():
        layer, *unit, module, weight = key.split(".")
        if layer == "logits":
            name = f"Logits/Conv3d_0c_1x1/conv_3d/{weight[0]}"
        else:
            name = layer + units["".join(unit)]
            name = name.replace("Mixed_5b/Branch_2/Conv3d_0b", "Mixed_5b/Branch_2/Conv3d_0a")
            name += "/conv_3d/w" if module == "conv3d" else f"/batch_norm/{norms.get(weight)}"
        if array.ndim == 5:
            array = array.transpose(2, 3, 4, 1, 0)
        elif module == "bn":
            array = array.reshape(1, 1, 1, 1, -1)
        if not name.endswith("None"):
            found[f"RGB/inception_i3d/{name}"] = array
    return found


@pytest.mark.parametrize(
    ("shape", "width"),
    [
        ((16, 64, 64, 3), 1 / 8),  # even all the way to a map of 2x2x2
        ((17, 75, 91, 3), 1 / 8),  # odd sizes, each of another remainder
        ((9, 33, 47, 3), 1 / 8),
        ((40, 256, 290, 3), 1 / 16),  # several windows of the average in all directions
        pytest.param((16, 224, 224, 3), 1, marks=pytest.mark.slow),
    ],
)
def test_i3d_agrees_with_pytorch(shape, width):
    reference = make_i3d(7, width)
    made = convert(state(reference), "i3d", input_shape=shape, width=width)
    clip = clips(shape)
    theirs = outputs(reference, clip / 127.5 - 1)
    difference = relative_difference(made.model(clip, training=False).numpy(), theirs)
    assert made.layout == "pytorch_i3d"
    assert made.kept == []
    assert difference < TOLERANCE


@pytest.mark.parametrize("shape", [(16, 64, 64, 3), (17, 75, 91, 3)])
def test_i3d_of_tensorflow_agrees_with_pytorch(shape):
    reference = make_i3d(7, 1 / 8)
    for name, weight in reference.named_parameters():
        if name.endswith("bn.weight"):
            weight.data.fill_(1)
    made = convert(deepmind(state(reference)), "i3d", input_shape=shape, width=1 / 8)
    clip = clips(shape)
    theirs = outputs(reference, clip / 127.5 - 1)
    difference = relative_difference(made.model(clip, training=False).numpy(), theirs)
    assert made.layout == "kinetics_i3d"
    assert difference < TOLERANCE


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((8, 64, 64, 3), (1, 2, 2)),
        ((17, 72, 90, 3), (2, 2, 3)),  # the last pooling leaves out a row
        pytest.param((16, 224, 224, 3), (2, 7, 7), marks=pytest.mark.slow),
    ],
)
def test_s3d_agrees_with_torchvision(shape, window):
    library = torchvision()
    torch().manual_seed(0)
    reference = lively(library.models.video.s3d(num_classes=7))
    if window != (2, 7, 7):
        reference.avgpool = torch().nn.AvgPool3d(window, 1)
    made = convert(state(reference), "s3d", input_shape=shape)
    clip = clips(shape)
    theirs = outputs(reference, (clip / 255 - KINETICS_MEAN) / KINETICS_STD)
    difference = relative_difference(made.model(clip, training=False).numpy(), theirs)
    assert made.layout == "torchvision"
    assert made.kept == []
    assert difference < TOLERANCE


@pytest.mark.parametrize("wrong", [{"norm_epsilon": 1e-5}, {"padding": "symmetric"}, {"pixels": "kinetics"}])
def test_a_wrong_option_is_seen(wrong):
    shape = (9, 33, 47, 3)
    reference = make_i3d(7, 1 / 8)
    made = convert(state(reference), "i3d", input_shape=shape, width=1 / 8, **wrong)
    clip = clips(shape)
    theirs = outputs(reference, clip / 127.5 - 1)
    assert relative_difference(made.model(clip, training=False).numpy(), theirs) > 10 * TOLERANCE
