"""ShuffleNet on single frames, the paper's other visual sampler (section 4.2.2 and appendix B.1).

Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices" (2018).
"""

import math
from collections.abc import Sequence

import keras
from keras import layers, ops

from pipelines.errors import UserError
from scsampler_tf.models.blocks import (
    Build,
    average_head,
    convolution,
    depthwise,
    he_normal,
    max_pool,
    norm,
    relu,
    require_shape,
    rescaled_input,
    residual_sum,
    stem_convolution,
    zero_padding,
)
from scsampler_tf.models.resnet2d import LEAST_SIDE, choose_stem, stem_small

BOTTLENECK = 4  # channels of a unit's output for one of its bottleneck


@keras.saving.register_keras_serializable(package="scsampler_tf")
class GroupedPointwise(layers.Layer):
    """1x1 convolution in groups without bias, `[B, *sizes, C]` -> `[B, *sizes, filters]`.

    A product of matrices for each group: Keras would compile a grouped convolution with XLA, which stock
    TF-Serving refuses. `kernel` is `[groups, C / groups, filters / groups]`. Raises `ValueError` when C or
    `filters` is not a multiple of `groups`.
    """

    def __init__(self, filters: int, groups: int, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if filters % groups:
            raise ValueError(f"{filters} filters in {groups} groups")
        self.filters, self.groups = filters, groups
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Makes the kernel for `[B, *sizes, C]`."""
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(f"{self.name}: {channels} channels in {self.groups} groups")
        shape = (self.groups, channels // self.groups, self.filters // self.groups)
        self.kernel = self.add_weight(shape=shape, initializer=self.kernel_initializer, name="kernel")

    def call(self, inputs):
        """`[B, *sizes, C]` -> `[B, *sizes, filters]`."""
        parts = ops.split(inputs, self.groups, axis=-1)
        return ops.concatenate(
            [ops.matmul(part, self.kernel[group]) for group, part in enumerate(parts)], axis=-1
        )

    def compute_output_shape(self, input_shape):
        """`(B, *sizes, filters)`."""
        return (*input_shape[:-1], self.filters)

    def multiply_adds(self, input_shape) -> int:
        """Multiplications with their additions for one example."""
        return math.prod(self.kernel.shape) * math.prod(input_shape[1:-1])

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def pointwise(x, filters: int, groups: int, *, name: str, build: Build):
    """1x1 convolution in `groups`, `[B, H, W, C]` -> `[B, H, W, filters]`."""
    if groups == 1:
        return convolution(x, filters, (1, 1), (1, 1), name=name, build=build)
    initializer = he_normal(name, build, groups)
    return GroupedPointwise(filters, groups, initializer, name=name)(x)


def shuffle(x, groups: int, *, name: str):
    """Channel i of group g becomes channel g of group i; the shape stays."""
    height, width, channels = x.shape[1:]
    x = layers.Reshape((height, width, groups, channels // groups), name=f"{name}_split")(x)
    x = layers.Permute((1, 2, 4, 3), name=f"{name}_swap")(x)
    return layers.Reshape((height, width, channels), name=name)(x)


def average_pool(x, *, name: str):
    """3x3 average with stride 2, zeros outside: `[B, H, W, C]` -> `[B, ceil(H/2), ceil(W/2), C]`."""
    x = zero_padding(x, (1, 1), name=f"{name}_pad")
    return layers.AveragePooling2D(3, 2, name=name)(x)


def shuffle_unit(x, filters: int, groups: int, first_groups: int, stride: int, *, name: str, build: Build):
    """Pointwise, 3x3 depthwise, pointwise and a shortcut: `[B, H, W, C]` -> `[B, H/s, W/s, filters]`.

    With stride 2 the shortcut is an average of the input, beside which the branch's channels are put.
    """
    strided = stride > 1
    branch = filters - x.shape[-1] if strided else filters
    shortcut = average_pool(x, name=f"{name}_shortcut") if strided else x
    x = pointwise(x, filters // BOTTLENECK, first_groups, name=f"{name}_conv1", build=build)
    x = relu(norm(x, name=f"{name}_bn1", build=build), name=f"{name}_relu1")
    x = shuffle(x, groups, name=f"{name}_shuffle")
    x = depthwise(x, (3, 3), (stride, stride), name=f"{name}_conv2", build=build)
    x = norm(x, name=f"{name}_bn2", build=build)
    x = pointwise(x, branch, groups, name=f"{name}_conv3", build=build)
    x = norm(x, name=f"{name}_bn3", build=build)
    if not strided:
        return residual_sum(x, shortcut, name=name)
    x = layers.Concatenate(name=f"{name}_join")([shortcut, x])
    return relu(x, name=f"{name}_out")


def stem_imagenet(x, width: int, *, build: Build):
    """3x3 convolution and max-pooling, both with stride 2: `[B, H, W, C]` -> `[B, H/4, W/4, width]`."""
    x = stem_convolution(x, width, (3, 3), (2, 2), build=build)
    return max_pool(x, (3, 3), (2, 2), name="stem_pool")


def build_shufflenet(
    name: str,
    *,
    input_shape: Sequence[int],
    num_classes: int,
    inputs: str,
    dropout: float,
    build: Build,
    stem: str,
    stem_width: int,
    widths: Sequence[int],
    repeats: Sequence[int],
    groups: int,
) -> keras.Model:
    """A ShuffleNet with one stage for each entry of the lists, `[B, H, W, C]` -> `[B, num_classes]`.

    Every stage halves the map. `stem` as in the 2D ResNets (`choose_stem`). The very first pointwise
    convolution is not grouped, as the stem has few channels. Raises `UserError` for sides under 4 pixels
    and for widths that cannot be divided into groups.
    """
    require_shape(name, input_shape, inputs, (LEAST_SIDE, LEAST_SIDE))
    _require_widths(name, stem_width, widths, groups)
    small = choose_stem(stem, *input_shape[:2]) == "small"

    entry, x = rescaled_input(input_shape, inputs, build)
    x = (stem_small if small else stem_imagenet)(x, stem_width, build=build)
    for stage, (width, count) in enumerate(zip(widths, repeats, strict=True), 1):
        for number in range(count):
            first = (stage, number) == (1, 0)
            stride = 2 if number == 0 else 1
            label = f"layer{stage}_{number}"
            x = shuffle_unit(x, width, groups, 1 if first else groups, stride, name=label, build=build)
    return keras.Model(entry, average_head(x, num_classes, dropout, build), name=name)


def _require_widths(name: str, stem_width: int, widths: Sequence[int], groups: int) -> None:
    """Raises `UserError` unless every convolution of every unit can be divided into `groups`."""
    channels = stem_width
    for width in widths:
        if width % (BOTTLENECK * groups) or (width - channels) % groups or width <= channels:
            raise UserError(
                f"{name}: width {width} after {channels} with {groups} groups; widths must grow, be "
                f"multiples of {BOTTLENECK * groups} and exceed the one before by a multiple of {groups}"
            )
        channels = width
