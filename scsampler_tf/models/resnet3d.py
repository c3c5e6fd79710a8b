"""3D ResNets: R3D, MCx, rMCx, R(2+1)D and CSN are one network, given different makers of convolutions.

Tran et al., "A Closer Look at Spatiotemporal Convolutions" (2018); the paper's appendix A.1 uses them
as clip classifiers. Built like torchvision's, so that its weights fit (`weights_resnet.py`,
`weights_csn.py`).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras

from scsampler_tf.models.blocks import (
    Build,
    average_head,
    convolution,
    norm,
    projection,
    relu,
    require_choice,
    require_shape,
    rescaled_input,
    residual_sum,
    stem_convolution,
)
from scsampler_tf.models.csn import (
    bottleneck_block,
    preserved_convolution,
    reduced_convolution,
    stem_pooled,
)


def full_convolution(
    x, filters: int, middle: int | None, strides: tuple[int, ...], *, name: str, build: Build
):
    """3x3x3 convolution, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`, strides (t, s, s)."""
    return convolution(x, filters, (3, 3, 3), strides, name=name, build=build)


def spatial_convolution(
    x, filters: int, middle: int | None, strides: tuple[int, ...], *, name: str, build: Build
):
    """1x3x3 convolution, `[B, F, H, W, C]` -> `[B, F, H/s, W/s, filters]`, strides (1, s, s)."""
    return convolution(x, filters, (1, 3, 3), strides, name=name, build=build)


def factored_convolution(
    x, filters: int, middle: int | None, strides: tuple[int, ...], *, name: str, build: Build
):
    """1x3x3 to `middle` channels, then 3x1x1: `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`.

    `middle` None is what `middle_channels` gives for C and `filters`.
    """
    middle = middle or middle_channels(x.shape[-1], filters)
    x = convolution(x, middle, (1, 3, 3), (1, *strides[1:]), name=f"{name}_space", build=build)
    x = relu(norm(x, name=f"{name}_bn", build=build), name=f"{name}_relu")
    return convolution(x, filters, (3, 1, 1), (strides[0], 1, 1), name=f"{name}_time", build=build)


def stem_full(x, width: int, *, build: Build):
    """3x7x7 convolution, BatchNorm, ReLU: `[B, F, H, W, C]` -> `[B, F, H/2, W/2, width]`."""
    return stem_convolution(x, width, (3, 7, 7), (1, 2, 2), build=build)


def stem_spatial(x, width: int, *, build: Build):
    """1x7x7 convolution, BatchNorm, ReLU: `[B, F, H, W, C]` -> `[B, F, H/2, W/2, width]`."""
    return stem_convolution(x, width, (1, 7, 7), (1, 2, 2), build=build)


def stem_factored(x, width: int, *, build: Build):
    """1x7x7 then 3x1x1, each with BatchNorm and ReLU: `[B, F, H, W, C]` -> `[B, F, H/2, W/2, width]`.

    45 middle channels for a width of 64, in this proportion for others.
    """
    middle = round(45 * width / 64)
    x = convolution(x, middle, (1, 7, 7), (1, 2, 2), name="stem_space", build=build)
    x = relu(norm(x, name="stem_space_bn", build=build), name="stem_space_relu")
    x = convolution(x, width, (3, 1, 1), (1, 1, 1), name="stem_time", build=build)
    return relu(norm(x, name="stem_bn", build=build), name="stem_relu")


def middle_channels(channels: int, filters: int) -> int:
    """Middle channels with which the factored pair has no more weights than a 3x3x3 convolution."""
    return (channels * filters * 27) // (channels * 9 + 3 * filters)


def basic_block(
    x,
    filters: int,
    strides: tuple[int, ...],
    make: Callable,
    middle: int | None,
    *,
    name: str,
    build: Build,
):
    """Two convolutions by `make` and a shortcut, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`."""
    shortcut = projection(x, filters, strides, name=name, build=build)
    x = make(x, filters, middle, strides, name=f"{name}_conv1", build=build)
    x = relu(norm(x, name=f"{name}_bn1", build=build), name=f"{name}_relu1")
    x = make(x, filters, middle, (1, 1, 1), name=f"{name}_conv2", build=build)
    return residual_sum(norm(x, name=f"{name}_bn2", build=build), shortcut, name=name)


class Maker(NamedTuple):
    """A way to make the convolutions of a stage, and whether it follows the stage's stride in time."""

    make: Callable
    strides_time: bool


class Stem(NamedTuple):
    """The layers before the first stage, and how often they halve height and width."""

    make: Callable
    halvings: int


MAKERS = {
    "full": Maker(full_convolution, True),
    "spatial": Maker(spatial_convolution, False),
    "factored": Maker(factored_convolution, True),
    "reduced": Maker(reduced_convolution, True),
    "preserved": Maker(preserved_convolution, True),
}
STEMS = {
    "full": Stem(stem_full, 1),
    "spatial": Stem(stem_spatial, 1),
    "factored": Stem(stem_factored, 1),
    "pooled": Stem(stem_pooled, 2),
}
BLOCKS = {"basic": basic_block, "bottleneck": bottleneck_block}
MIDPLANES = ("block", "convolution")


def build_resnet3d(
    name: str,
    *,
    input_shape: Sequence[int],
    num_classes: int,
    inputs: str,
    dropout: float,
    build: Build,
    stem: str,
    stem_width: int,
    makers: Sequence[str],
    widths: Sequence[int],
    repeats: Sequence[int],
    strides: Sequence[tuple[int, int]],
    block: str = "basic",
    midplanes: str = "block",
) -> keras.Model:
    """A 3D ResNet of one stage for each entry of the four lists, `[B, F, H, W, C]` -> `[B, num_classes]`.

    `strides` are (time, space) of each stage. `midplanes` says what the middle channels of factored
    convolutions are computed from: "block" takes the block's input for all of them, as torchvision does,
    "convolution" the input of each, as VMZ does. Raises `UserError` for an unknown name of a part and for
    a clip smaller than the product of the strides on an axis.
    """
    _require_parts(name, stem, makers, block, midplanes)
    stages = [MAKERS[maker] for maker in makers]
    steps = [
        (time if maker.strides_time else 1, space, space)
        for maker, (time, space) in zip(stages, strides, strict=True)
    ]
    least_time, least_space, _ = (math.prod(axis) for axis in zip(*steps, strict=True))
    least_space *= 2 ** STEMS[stem].halvings
    require_shape(name, input_shape, inputs, (least_time, least_space, least_space))

    entry, x = rescaled_input(input_shape, inputs, build)
    x = STEMS[stem].make(x, stem_width, build=build)
    for stage, (maker, width, count, step) in enumerate(zip(stages, widths, repeats, steps, strict=True), 1):
        for number in range(count):
            stride = step if number == 0 else (1, 1, 1)
            middle = middle_channels(x.shape[-1], width) if midplanes == "block" else None
            label = f"layer{stage}_{number}"
            x = BLOCKS[block](x, width, stride, maker.make, middle, name=label, build=build)
    return keras.Model(entry, average_head(x, num_classes, dropout, build), name=name)


def _require_parts(name: str, stem: str, makers: Sequence[str], block: str, midplanes: str) -> None:
    """Raises `UserError` for a part that is not known."""
    require_choice(f"{name}: stem", stem, STEMS)
    for maker in makers:
        require_choice(f"{name}: maker", maker, MAKERS)
    require_choice(f"{name}: block", block, BLOCKS)
    require_choice(f"{name}: midplanes", midplanes, MIDPLANES)
