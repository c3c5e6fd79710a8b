"""Channel-separated networks: what turns a 3D ResNet into an ir-CSN or ip-CSN.

Tran et al., "Video Classification with Channel-Separated Convolutional Networks" (2019). ir-CSN-152 is the
strongest clip classifier of the paper (appendix A.1 calls it R3DGC-152). Built as in Facebook's VMZ, whose
BatchNorm has an epsilon of 1e-3: that goes in as `Build.norm_epsilon` where its weights do.
"""

from collections.abc import Callable

from scsampler_tf.models.blocks import (
    Build,
    convolution,
    depthwise,
    max_pool,
    norm,
    projection,
    relu,
    residual_sum,
    stem_convolution,
)

EXPANSION = 4  # channels of a bottleneck's output for one of its middle


def reduced_convolution(
    x, filters: int, middle: int | None, strides: tuple[int, ...], *, name: str, build: Build
):
    """3x3x3 depthwise convolution, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, C]`; `filters` is C.

    "Interaction-reduced": channels meet only in the bottleneck's other two convolutions.
    """
    return depthwise(x, (3, 3, 3), strides, name=name, build=build)


def preserved_convolution(
    x, filters: int, middle: int | None, strides: tuple[int, ...], *, name: str, build: Build
):
    """1x1x1, then 3x3x3 depthwise convolution, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`.

    "Interaction-preserved": both together connect what a full 3x3x3 convolution would. No ReLU between.
    """
    x = convolution(x, filters, (1, 1, 1), (1, 1, 1), name=f"{name}_mix", build=build)
    x = norm(x, name=f"{name}_bn", build=build)
    return reduced_convolution(x, filters, middle, strides, name=name, build=build)


def bottleneck_block(
    x,
    filters: int,
    strides: tuple[int, ...],
    make: Callable,
    middle: int | None,
    *,
    name: str,
    build: Build,
):
    """1x1x1, 3x3x3 and 1x1x1 convolution and a shortcut, `[..., C]` -> `[..., 4 * filters]`.

    The one in the middle is made by `make` and has the strides (t, s, s); sizes shrink by them.
    """
    shortcut = projection(x, EXPANSION * filters, strides, name=name, build=build)
    x = convolution(x, filters, (1, 1, 1), (1, 1, 1), name=f"{name}_conv1", build=build)
    x = relu(norm(x, name=f"{name}_bn1", build=build), name=f"{name}_relu1")
    x = make(x, filters, middle, strides, name=f"{name}_conv2", build=build)
    x = relu(norm(x, name=f"{name}_bn2", build=build), name=f"{name}_relu2")
    x = convolution(x, EXPANSION * filters, (1, 1, 1), (1, 1, 1), name=f"{name}_conv3", build=build)
    return residual_sum(norm(x, name=f"{name}_bn3", build=build), shortcut, name=name)


def stem_pooled(x, width: int, *, build: Build):
    """3x7x7 convolution and 1x3x3 max-pooling: `[B, F, H, W, C]` -> `[B, F, H/4, W/4, width]`."""
    x = stem_convolution(x, width, (3, 7, 7), (1, 2, 2), build=build)
    return max_pool(x, (1, 3, 3), (1, 2, 2), name="stem_pool")
