"""The layers all networks are made of, named and seeded, with PyTorch's padding and BatchNorm."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import keras
from keras import layers

from pipelines.errors import UserError
from scsampler_tf.models.conv3d import FoldedConv3D
from scsampler_tf.models.depthwise import DepthwiseConv3D

# What a network subtracts from pixels in [0, 1], and by what it then divides them.
PIXELS = {
    "kinetics": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),  # torchvision's video, VMZ
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # torchvision's pictures
    "pytorchvideo": ((0.45,) * 3, (0.225,) * 3),  # PyTorchVideo, PySlowFast
    "signed": ((0.5,) * 3, (0.5,) * 3),  # to [-1, 1]: kinetics-i3d
    "unit": ((0.0,) * 3, (1.0,) * 3),  # as they are
}

# What the records hold -> channels, and the scale and offset that bring it to about mean 0, deviation 1.
INPUTS = {
    "rgb": {"channels": 3},  # pixels in [0, 255]; scale and offset by `Build.pixels`
    "rgb_r": {"channels": 3, "scale": 1 / 32, "offset": -128 / 32},  # residual + 128 in [0, 255]
    "md": {"channels": 2, "scale": 1 / 8, "offset": 0.0},  # displacement in canvas pixels
    "log_mel": {"channels": 1, "scale": 1 / 2, "offset": 1.0},  # log(magnitude + 0.01): about -2 +- 2
}


@dataclass(frozen=True)
class Build:
    """What every layer of a network may need to know.

    `seed` of the initial weights; whether BatchNorm is synchronized between replicas, its epsilon and how
    much of its moving statistics it keeps each step (PyTorch's momentum 0.1 is 0.9 here); which of `PIXELS`
    the network expects.
    """

    seed: int = 0
    sync_batchnorm: bool = False
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9
    pixels: str = "kinetics"

    def seed_for(self, name: str) -> int:
        """The layer's own seed, from the network's seed and the layer's name, within [0, 2**31)."""
        return zlib.crc32(f"{self.seed}/{name}".encode()) & 0x7FFFFFFF


def require_shape(network: str, input_shape: Sequence[int], inputs: str, minimum: Sequence[int]) -> None:
    """Checks `input_shape` `[*sizes, channels]` against the smallest sizes and the kind of input.

    Raises `UserError` for another rank, an axis that is too small or unknown, an unknown `inputs`, or a
    number of channels that is not that of `inputs`.
    """
    if inputs not in INPUTS:
        raise UserError(f"{network}: inputs '{inputs}' is none of {', '.join(INPUTS)}")
    axes = ", ".join(("frames", "height", "width")[-len(minimum) :])
    if len(input_shape) != len(minimum) + 1 or any(not isinstance(size, int) for size in input_shape):
        raise UserError(f"{network}: input shape {tuple(input_shape)}, but it takes [{axes}, channels]")
    if any(size < least for size, least in zip(input_shape, minimum, strict=False)):
        raise UserError(
            f"{network}: input shape {tuple(input_shape)} is too small; "
            f"[{axes}] must be at least {list(minimum)}"
        )
    channels = INPUTS[inputs]["channels"]
    if input_shape[-1] != channels:
        raise UserError(f"{network}: {input_shape[-1]} channels, but inputs '{inputs}' have {channels}")


def require_choice(what: str, value: str, choices: Iterable[str]) -> None:
    """Raises `UserError` when `value` is not among `choices`."""
    if value not in choices:
        raise UserError(f"{what} '{value}' is none of {', '.join(choices)}")


def rescaled_input(input_shape: Sequence[int], inputs: str, build: Build):
    """The model's float32 input in the records' range and the same rescaled, both `[B, *input_shape]`.

    The rescaling is part of the network so that training data and exported graph cannot disagree.
    """
    entry = keras.Input(tuple(input_shape), dtype="float32", name=inputs)
    kind = INPUTS[inputs] if inputs != "rgb" else pixel_scale(build.pixels)
    # float32 also under mixed precision: bfloat16 cannot tell neighbouring pixel values apart.
    rescale = layers.Rescaling(kind["scale"], kind["offset"], dtype="float32", name="rescale")
    return entry, rescale(entry)


def pixel_scale(pixels: str) -> dict[str, list[float]]:
    """Scale and offset, one a channel, that bring pixels in [0, 255] to where `PIXELS` wants them."""
    mean, std = PIXELS[pixels]
    return {
        "scale": [1 / (255 * s) for s in std],
        "offset": [-m / s for m, s in zip(mean, std, strict=True)],
    }


def he_normal(name: str, build: Build, groups: int = 1):
    """He's normal initialiser over the fan-out, as torchvision's; `groups` is that of a grouped kernel."""
    return keras.initializers.VarianceScaling(
        2.0 * groups, "fan_out", "untruncated_normal", seed=build.seed_for(name)
    )


def convolution(x, filters: int, kernel: tuple, strides: tuple, *, name: str, build: Build):
    """A 2D or 3D convolution without bias, `[B, *sizes, C]` -> `[B, *ceil(sizes / strides), filters]`.

    Pads (kernel - 1) / 2 zeros on both sides as PyTorch does; kernels are odd.
    """
    x, padding = padded(x, kernel, strides, name=name)
    make = layers.Conv2D if len(kernel) == 2 else FoldedConv3D
    initializer = he_normal(name, build)
    return make(filters, kernel, strides, padding, use_bias=False, kernel_initializer=initializer, name=name)(
        x
    )


def depthwise(x, kernel: tuple, strides: tuple, *, name: str, build: Build):
    """One 2D or 3D filter a channel, `[B, *sizes, C]` -> `[B, *ceil(sizes / strides), C]`.

    Padding and weights as in `convolution`. No grouped convolution: see `depthwise.py`.
    """
    initializer = he_normal(name, build)
    if len(kernel) == 3:
        return DepthwiseConv3D(kernel, strides, "same", kernel_initializer=initializer, name=name)(x)
    x, padding = padded(x, kernel, strides, name=name)
    make = layers.DepthwiseConv2D
    return make(kernel, strides, padding, use_bias=False, depthwise_initializer=initializer, name=name)(x)


def padded(x, kernel: tuple, strides: tuple, *, name: str):
    """`x` ready for a strided convolution or as it is, and Keras' name for the padding still to be done."""
    # At stride 1 "same" is PyTorch's padding; at stride 2 it puts less before than after.
    if max(strides) == 1:
        return x, "same"
    return zero_padding(x, tuple(k // 2 for k in kernel), name=f"{name}_pad"), "valid"


def zero_padding(x, pads: tuple[int, ...], *, name: str):
    """`pads` zeros on both sides of each spatial or temporal axis; `x` itself when there are none."""
    if not any(pads):
        return x
    make = layers.ZeroPadding2D if len(pads) == 2 else layers.ZeroPadding3D
    return make(pads, name=name)(x)


def max_pool(x, window: tuple, strides: tuple, *, name: str):
    """Max-pooling of what comes out of a ReLU, `[B, *sizes, C]` -> `[B, *ceil(sizes / strides), C]`."""
    # Zeros are as good as minus infinity here: nothing is negative after a ReLU.
    x = zero_padding(x, tuple(size // 2 for size in window), name=f"{name}_pad")
    make = layers.MaxPooling2D if len(window) == 2 else layers.MaxPooling3D
    return make(window, strides, name=name)(x)


def projection(x, filters: int, strides: tuple, *, name: str, build: Build):
    """A block's shortcut: `x`, or where sizes or channels change its pointwise convolution and BatchNorm."""
    if max(strides) == 1 and x.shape[-1] == filters:
        return x
    kernel = (1,) * len(strides)
    x = convolution(x, filters, kernel, strides, name=f"{name}_shortcut", build=build)
    return norm(x, name=f"{name}_shortcut_bn", build=build)


def norm(x, *, name: str, build: Build, scale: bool = True):
    """BatchNorm with the constants of `build`, and a `scale` besides its offset or none; the shape stays."""
    return layers.BatchNormalization(
        momentum=build.norm_momentum,
        epsilon=build.norm_epsilon,
        scale=scale,
        synchronized=build.sync_batchnorm,
        name=name,
    )(x)


def relu(x, *, name: str):
    """max(x, 0); the shape stays."""
    return layers.Activation("relu", name=name)(x)


def stem_convolution(x, width: int, kernel: tuple, strides: tuple, *, build: Build):
    """A network's first convolution with BatchNorm and ReLU; sizes as `convolution`."""
    x = convolution(x, width, kernel, strides, name="stem_conv", build=build)
    return relu(norm(x, name="stem_bn", build=build), name="stem_relu")


def residual_sum(x, shortcut, *, name: str):
    """relu(x + shortcut), both of one shape."""
    return relu(layers.Add(name=f"{name}_add")([x, shortcut]), name=f"{name}_out")


def average_head(x, num_classes: int, dropout: float, build: Build):
    """Mean over space and time, dropout, class layer: `[B, *sizes, C]` -> float32 `[B, num_classes]`."""
    make = layers.GlobalAveragePooling2D if len(x.shape) == 4 else layers.GlobalAveragePooling3D
    # float16 would overflow in the sum over a large map.
    return class_layer(make(dtype="float32", name="average")(x), num_classes, dropout, build)


def class_layer(x, num_classes: int, dropout: float, build: Build):
    """Dropout and the class layer: `[B, C]` -> logits `[B, num_classes]`, float32 under any policy."""
    if dropout:
        x = layers.Dropout(dropout, seed=build.seed_for("dropout"), name="dropout")(x)
    initializer = keras.initializers.RandomNormal(stddev=0.01, seed=build.seed_for("logits"))
    return layers.Dense(num_classes, kernel_initializer=initializer, dtype="float32", name="logits")(x)
