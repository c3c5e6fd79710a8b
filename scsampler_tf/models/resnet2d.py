"""2D ResNets on single frames: the paper's samplers on MD, RGB residuals and I-frames (section 3.3.1).

He et al., "Deep Residual Learning for Image Recognition" (2016), in torchvision's form.
"""

from collections.abc import Sequence

import keras

from scsampler_tf.models.blocks import (
    Build,
    average_head,
    convolution,
    max_pool,
    norm,
    projection,
    relu,
    require_choice,
    require_shape,
    rescaled_input,
    residual_sum,
    stem_convolution,
)

STEMS = ("auto", "imagenet", "small")
SMALL_BELOW = 28  # sides under this get the small stem
LEAST_SIDE = 4


def choose_stem(stem: str, height: int, width: int) -> str:
    """The stem that "auto" stands for: "small" when the shorter side has fewer than 28 pixels.

    The ImageNet stem shrinks its input by 4 before the first block. A motion grid of 14x14 would enter
    the last two stages of a ResNet-18 as a single cell, and where something moves would be lost. Residuals
    at a quarter of a canvas of 112 have 28, and at four times the cost they would no longer be cheap.
    """
    require_choice("stem", stem, STEMS)
    if stem != "auto":
        return stem
    return "small" if min(height, width) < SMALL_BELOW else "imagenet"


def stem_imagenet(x, width: int, *, build: Build):
    """7x7 convolution and 3x3 max-pooling, both with stride 2: `[B, H, W, C]` -> `[B, H/4, W/4, width]`."""
    x = stem_convolution(x, width, (7, 7), (2, 2), build=build)
    return max_pool(x, (3, 3), (2, 2), name="stem_pool")


def stem_small(x, width: int, *, build: Build):
    """3x3 convolution with stride 1 and no pooling: `[B, H, W, C]` -> `[B, H, W, width]`."""
    return stem_convolution(x, width, (3, 3), (1, 1), build=build)


def basic_block(x, filters: int, stride: int, *, name: str, build: Build):
    """Two 3x3 convolutions and a shortcut, `[B, H, W, C]` -> `[B, H/stride, W/stride, filters]`."""
    strides = (stride, stride)
    shortcut = projection(x, filters, strides, name=name, build=build)
    x = convolution(x, filters, (3, 3), strides, name=f"{name}_conv1", build=build)
    x = relu(norm(x, name=f"{name}_bn1", build=build), name=f"{name}_relu1")
    x = convolution(x, filters, (3, 3), (1, 1), name=f"{name}_conv2", build=build)
    return residual_sum(norm(x, name=f"{name}_bn2", build=build), shortcut, name=name)


def build_resnet2d(
    name: str,
    *,
    input_shape: Sequence[int],
    num_classes: int,
    inputs: str,
    dropout: float,
    build: Build,
    stem: str,
    widths: Sequence[int],
    repeats: Sequence[int],
) -> keras.Model:
    """A 2D ResNet with one stage for each entry of the lists, `[B, H, W, C]` -> `[B, num_classes]`.

    Every stage but the first halves the map. `stem` is "imagenet", "small" or "auto" (`choose_stem`).
    Raises `UserError` for sides under 4 pixels.
    """
    require_shape(name, input_shape, inputs, (LEAST_SIDE, LEAST_SIDE))
    stem = choose_stem(stem, *input_shape[:2])

    entry, x = rescaled_input(input_shape, inputs, build)
    x = (stem_imagenet if stem == "imagenet" else stem_small)(x, widths[0], build=build)
    for stage, (width, count) in enumerate(zip(widths, repeats, strict=True), 1):
        for number in range(count):
            stride = 2 if stage > 1 and number == 0 else 1
            x = basic_block(x, width, stride, name=f"layer{stage}_{number}", build=build)
    return keras.Model(entry, average_head(x, num_classes, dropout, build), name=name)
