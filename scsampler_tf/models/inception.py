"""The Inception family of clip classifiers: I2D, I3D, bottom- and top-heavy I3D, S3D, Fast-S3D, S3D-G.

One network, Inception-v1 inflated, whose layers are told which kind of convolution to be. Carreira and
Zisserman, "Quo Vadis, Action Recognition?" (2017); Xie et al., "Rethinking Spatiotemporal Feature
Learning" (2018). SCSampler's table 2 has an I3D among its classifiers.
"""

from collections.abc import Sequence

import keras
from keras import layers

from pipelines.errors import UserError
from scsampler_tf.models.blocks import Build, class_layer, require_choice, require_shape, rescaled_input
from scsampler_tf.models.inception_blocks import (
    GATINGS,
    KINDS,
    PADDINGS,
    Style,
    gate,
    inception,
    space_time,
    unit,
    zero_padded_pool,
)

STEM = ("conv_1a", "conv_2c")
# Widths of branch 0, of branches 1 and 2 before and after their 3x3 layers, of branch 3.
BLOCKS = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
LAYERS = (*STEM, *BLOCKS)  # those that can see time, from the input up
WINDOW = (2, 7, 7)  # of the average before the class layer: what a clip of 16x224x224 leaves
SPACE_BEFORE_LAST = 16  # stride of the picture up to the last pooling


def build_inception(
    name: str,
    *,
    input_shape: Sequence[int],
    num_classes: int,
    inputs: str,
    dropout: float,
    build: Build,
    kinds: Sequence[str],
    time_strides: tuple[int, int, int],
    padding: str,
    gating: str,
    norm_scale: bool,
    width: float,
) -> keras.Model:
    """An Inception-v1 over clips, `[B, F, H, W, C]` -> `[B, num_classes]`.

    `kinds`: what each of the eleven `LAYERS` is: "full" (k x k x k), "spatial" (1 x k x k) or "separable"
    (1 x k x k, then k x 1 x 1).
    `time_strides`: strides in time of conv_1a, pool_4a and pool_5a; a pooling with 1 is over space alone.
    `padding`, `gating` and `norm_scale` are those of `Style`.
    `width`: a factor on all channels.

    The features are averaged over windows of 2x7x7 with stride 1, then over the windows, which counts the
    middle of a larger clip more, as kinetics-i3d and torchvision do; a smaller clip has smaller windows.
    They put dropout and class layer before the second mean, which changes nothing but the dropout's draw.

    Raises `UserError` for a clip that the strides would use up and for an argument that is not known.
    """
    require_arguments(name, kinds, padding, gating, width)
    require_shape(name, input_shape, inputs, least_sizes(time_strides, padding))
    style = Style(build, padding, norm_scale, gating)
    kind_of = dict(zip(LAYERS, kinds, strict=True))
    widths = {block: [scaled(c, width) for c in channels] for block, channels in BLOCKS.items()}

    entry, x = rescaled_input(input_shape, inputs, build)
    x = stem(x, kind_of, time_strides[0], width, style)
    for block, channels in widths.items():
        if block in ("mixed_4b", "mixed_5b"):
            stage = int(block[-2])
            x = stage_pool(x, 3 if stage == 4 else 2, time_strides[stage - 3], f"pool_{stage}a", style)
        x = inception(x, channels, kind_of[block], name=block, style=style)
    x = windowed_mean(x, over_time=set(kinds) != {"spatial"})
    return keras.Model(entry, class_layer(x, num_classes, dropout, build), name=name)


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, at least one."""
    return max(1, round(channels * width))


def least_sizes(time_strides: Sequence[int], padding: str) -> tuple[int, int, int]:
    """The smallest [frames, height, width] of which something is left: only the last pooling rounds down."""
    if padding == "same":
        return 1, 1, 1
    first, second, last = time_strides
    space = SPACE_BEFORE_LAST + 1
    return (last - 1) * first * second + 1, space, space


def require_arguments(network: str, kinds: Sequence[str], padding: str, gating: str, width: float) -> None:
    """Raises `UserError` for the first argument that `build_inception` doesn't know."""
    if len(kinds) != len(LAYERS):
        raise UserError(
            f"{network}: {len(kinds)} kinds, but there are {len(LAYERS)} layers: {', '.join(LAYERS)}"
        )
    for kind in kinds:
        require_choice(f"{network}: kind", kind, KINDS)
    require_choice(f"{network}: padding", padding, PADDINGS)
    require_choice(f"{network}: gating", gating, GATINGS)
    if not width > 0:
        raise UserError(f"{network}: width {width} is not above 0")


def stem(x, kind_of: dict[str, str], time_stride: int, width: float, style: Style):
    """Everything before the first block, `[B, F, H, W, C]` -> `[B, F/t, H/8, W/8, 192]`."""
    x = space_time(x, scaled(64, width), 7, kind_of["conv_1a"], (time_stride, 2), name="conv_1a", style=style)
    if style.gating == "temporal" and kind_of["conv_1a"] != "spatial":
        x = gate(x, name="conv_1a", style=style)
    x = zero_padded_pool(x, (1, 3, 3), (1, 2, 2), name="pool_2a", style=style)
    x = unit(x, scaled(64, width), (1, 1, 1), name="conv_2b", style=style)
    x = space_time(x, scaled(192, width), 3, kind_of["conv_2c"], name="conv_2c", style=style)
    if style.gating == "branches" or (style.gating == "temporal" and kind_of["conv_2c"] != "spatial"):
        x = gate(x, name="conv_2c", style=style)
    return zero_padded_pool(x, (1, 3, 3), (1, 2, 2), name="pool_3a", style=style)


def stage_pool(x, size: int, time_stride: int, name: str, style: Style):
    """The pooling before a stage, `[B, F, H, W, C]` -> `[B, F/t, H/2, W/2, C]`."""
    kernel = (size if time_stride > 1 else 1, size, size)
    return zero_padded_pool(x, kernel, (time_stride, 2, 2), name=name, style=style)


def windowed_mean(x, *, over_time: bool):
    """Mean over windows, then over all of them, `[B, F, H, W, C]` -> float32 `[B, C]`.

    Without `over_time` all frames count the same.
    """
    time, height, width = (min(size, limit) for size, limit in zip(x.shape[1:4], WINDOW, strict=True))
    window = (time if over_time else 1, height, width)
    # float16 would overflow in the sum over a large map.
    if window != tuple(x.shape[1:4]):
        x = layers.AveragePooling3D(window, 1, dtype="float32", name="window_average")(x)
    return layers.GlobalAveragePooling3D(dtype="float32", name="average")(x)
