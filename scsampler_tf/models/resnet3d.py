"""3D ResNets: R3D, MC3 and R(2+1)D are one network, given different makers of convolutions.

Tran et al., "A Closer Look at Spatiotemporal Convolutions" (2018); the paper's appendix A.1 uses them
as clip classifiers. Built like torchvision's, so that its weights fit.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras

from scsampler_tf.models.blocks import (
    Build,
    average_head,
    convolution,
    norm,
    relu,
    require_shape,
    rescaled_input,
    residual_sum,
)


def full_convolution(x, filters: int, middle: int, strides: tuple[int, int], *, name: str, build: Build):
    """3x3x3 convolution, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`, strides (t, s)."""
    time, space = strides
    return convolution(x, filters, (3, 3, 3), (time, space, space), name=name, build=build)


def spatial_convolution(x, filters: int, middle: int, strides: tuple[int, int], *, name: str, build: Build):
    """1x3x3 convolution, `[B, F, H, W, C]` -> `[B, F, H/s, W/s, filters]`; the time stride is not used."""
    space = strides[1]
    return convolution(x, filters, (1, 3, 3), (1, space, space), name=name, build=build)


def factored_convolution(x, filters: int, middle: int, strides: tuple[int, int], *, name: str, build: Build):
    """1x3x3 to `middle` channels, then 3x1x1: `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`."""
    time, space = strides
    x = convolution(x, middle, (1, 3, 3), (1, space, space), name=f"{name}_space", build=build)
    x = relu(norm(x, name=f"{name}_bn", build=build), name=f"{name}_relu")
    return convolution(x, filters, (3, 1, 1), (time, 1, 1), name=f"{name}_time", build=build)


class Maker(NamedTuple):
    """A way to make the convolutions of a stage, and whether it follows the stage's stride in time."""

    make: Callable
    strides_time: bool


MAKERS = {
    "full": Maker(full_convolution, True),
    "spatial": Maker(spatial_convolution, False),
    "factored": Maker(factored_convolution, True),
}


def stem_full(x, width: int, *, build: Build):
    """3x7x7 convolution, BatchNorm, ReLU: `[B, F, H, W, C]` -> `[B, F, H/2, W/2, width]`."""
    x = convolution(x, width, (3, 7, 7), (1, 2, 2), name="stem_conv", build=build)
    return relu(norm(x, name="stem_bn", build=build), name="stem_relu")


def stem_factored(x, width: int, *, build: Build):
    """1x7x7 then 3x1x1, each with BatchNorm and ReLU: `[B, F, H, W, C]` -> `[B, F, H/2, W/2, width]`.

    45 middle channels for a width of 64, in this proportion for others.
    """
    middle = round(45 * width / 64)
    x = convolution(x, middle, (1, 7, 7), (1, 2, 2), name="stem_space", build=build)
    x = relu(norm(x, name="stem_space_bn", build=build), name="stem_space_relu")
    x = convolution(x, width, (3, 1, 1), (1, 1, 1), name="stem_time", build=build)
    return relu(norm(x, name="stem_bn", build=build), name="stem_relu")


STEMS = {"full": stem_full, "factored": stem_factored}


def middle_channels(channels: int, filters: int) -> int:
    """Middle channels with which the factored pair has no more weights than a 3x3x3 convolution.

    One number a block, from the block's input, used by both of its convolutions.
    """
    return (channels * filters * 27) // (channels * 9 + 3 * filters)


def basic_block(x, filters: int, strides: tuple[int, int], maker: Maker, *, name: str, build: Build):
    """Two convolutions and a shortcut, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`."""
    channels = x.shape[-1]
    middle = middle_channels(channels, filters)
    time, space = (strides[0] if maker.strides_time else 1), strides[1]
    shortcut = x
    if (time, space) != (1, 1) or channels != filters:
        shortcut = convolution(
            x, filters, (1, 1, 1), (time, space, space), name=f"{name}_shortcut", build=build
        )
        shortcut = norm(shortcut, name=f"{name}_shortcut_bn", build=build)
    x = maker.make(x, filters, middle, (time, space), name=f"{name}_conv1", build=build)
    x = relu(norm(x, name=f"{name}_bn1", build=build), name=f"{name}_relu1")
    x = maker.make(x, filters, middle, (1, 1), name=f"{name}_conv2", build=build)
    return residual_sum(norm(x, name=f"{name}_bn2", build=build), shortcut, name=name)


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
) -> keras.Model:
    """A 3D ResNet of one stage for each entry of the four lists, `[B, F, H, W, C]` -> `[B, num_classes]`.

    `strides` are (time, space) of each stage. Raises `UserError` for a clip smaller than the product of
    the strides on an axis.
    """
    stages = [MAKERS[maker] for maker in makers]
    least_time, least_space = 1, 2
    for maker, (time, space) in zip(stages, strides, strict=True):
        least_time *= time if maker.strides_time else 1
        least_space *= space
    require_shape(name, input_shape, inputs, (least_time, least_space, least_space))

    entry, x = rescaled_input(input_shape, inputs)
    x = STEMS[stem](x, stem_width, build=build)
    for stage, (maker, width, count, stride) in enumerate(
        zip(stages, widths, repeats, strides, strict=True), 1
    ):
        for number in range(count):
            step = stride if number == 0 else (1, 1)
            x = basic_block(x, width, step, maker, name=f"layer{stage}_{number}", build=build)
    return keras.Model(entry, average_head(x, num_classes, dropout, build), name=name)
