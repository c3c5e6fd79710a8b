"""The layers of the Inception family: convolutions over space and time, gates, blocks of four branches.

A layer `NAME` is followed by `NAME_bn` and `NAME_relu`. A separable one is `NAME_space` and `NAME_time`,
each followed by the two. A block `mixed_4b` has the branches `mixed_4b_b0`, `mixed_4b_b1_reduce` and
`mixed_4b_b1`, `mixed_4b_b2_reduce` and `mixed_4b_b2`, `mixed_4b_b3_pool` and `mixed_4b_b3`; the layer
`mixed_4b` joins them. The gate behind a layer is `NAME_gate`. The names are those under which
`scsampler_tf.models.weights_inception` finds the weights of public checkpoints: they must stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keras import initializers, layers

from scsampler_tf.models.blocks import Build, convolution, he_normal, norm, relu
from scsampler_tf.models.conv3d import FoldedConv3D

KINDS = ("full", "spatial", "separable")
PADDINGS = ("symmetric", "same")
GATINGS = ("none", "temporal", "branches")


@dataclass(frozen=True)
class Style:
    """How all layers of one network are made.

    `padding`: "symmetric" as PyTorch pads, so that torchvision's S3D fits, or "same" as TensorFlow pads
    (at a stride often one zero more after than before), so that kinetics-i3d's weights fit. They agree at
    stride 1. On an odd size the last pooling leaves out the last place with "symmetric".
    `norm_scale`: whether BatchNorm has a scale besides its offset: PyTorch's has, kinetics-i3d's has not.
    `gating`: "none"; "temporal" behind every layer with a kernel in time, as in the paper's S3D-G;
    "branches" behind conv_2c and every branch of every block, as in the S3D-G published in TF-Slim.
    """

    build: Build
    padding: str
    norm_scale: bool
    gating: str


def pads_of(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: str
) -> tuple[tuple[int, int], ...]:
    """What to pad (before, after) each of the axes of `sizes`.

    "symmetric" is PyTorch's (k - 1) // 2 on both sides. "same" is TensorFlow's: as much as ceil(size /
    stride) places need, and an odd number has its larger half after.
    """
    if padding == "symmetric":
        return tuple(((k - 1) // 2,) * 2 for k in kernel)
    pairs = []
    for size, k, stride in zip(sizes, kernel, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        pairs.append((total // 2, total - total // 2))
    return tuple(pairs)


def explicitly_padded(x, kernel: tuple, strides: tuple, *, name: str, style: Style):
    """`x` `[B, F, H, W, C]` with the zeros that a kernel of "valid" padding needs; `x` itself for none."""
    pads = pads_of(x.shape[1:4], kernel, strides, style.padding)
    return layers.ZeroPadding3D(pads, name=f"{name}_pad")(x) if any(map(any, pads)) else x


def strided_convolution(x, filters: int, kernel: tuple, strides: tuple, *, name: str, style: Style):
    """`blocks.convolution` padded as `style` says, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`."""
    initializer = he_normal(name, style.build)
    x = explicitly_padded(x, kernel, strides, name=name, style=style)
    return FoldedConv3D(
        filters, kernel, strides, "valid", use_bias=False, kernel_initializer=initializer, name=name
    )(x)


def unit(x, filters: int, kernel: tuple, strides: tuple = (1, 1, 1), *, name: str, style: Style):
    """Convolution, BatchNorm and ReLU, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, filters]`."""
    if style.padding == "same" and max(strides) > 1:
        x = strided_convolution(x, filters, kernel, strides, name=name, style=style)
    else:
        x = convolution(x, filters, kernel, strides, name=name, build=style.build)
    x = norm(x, name=f"{name}_bn", build=style.build, scale=style.norm_scale)
    return relu(x, name=f"{name}_relu")


def space_time(
    x, filters: int, size: int, kind: str, strides: tuple[int, int] = (1, 1), *, name: str, style: Style
):
    """A layer of `kind` and kernel `size` with strides (time, space), `[B, F, H, W, C]` -> `[..., filters]`.

    "full" convolves over space and time at once, "spatial" each frame for itself (a stride in time then
    leaves frames out, as TF-Slim's S3D-G does), "separable" over space and then over time.
    """
    time, space = strides
    if kind == "full":
        return unit(x, filters, (size,) * 3, (time, space, space), name=name, style=style)
    if kind == "spatial":
        return unit(x, filters, (1, size, size), (time, space, space), name=name, style=style)
    x = unit(x, filters, (1, size, size), (1, space, space), name=f"{name}_space", style=style)
    return unit(x, filters, (size, 1, 1), (time, 1, 1), name=f"{name}_time", style=style)


def gate(x, *, name: str, style: Style):
    """Feature gating, sigmoid(W mean(x) + b) * x with the mean over space and time; the shape stays.

    Xie et al. (2018): one factor in (0, 1) for each example and channel.
    """
    channels = x.shape[-1]
    initializer = initializers.RandomNormal(stddev=0.01, seed=style.build.seed_for(f"{name}_gate"))
    # float16 would overflow in the sum over a large map.
    mean = layers.GlobalAveragePooling3D(keepdims=True, dtype="float32", name=f"{name}_gate_mean")(x)
    factor = layers.Dense(
        channels, activation="sigmoid", kernel_initializer=initializer, name=f"{name}_gate"
    )(mean)
    return layers.Multiply(name=f"{name}_gated")([x, factor])


def zero_padded_pool(x, kernel: tuple, strides: tuple, *, name: str, style: Style):
    """Max-pooling of what is not negative, `[B, F, H, W, C]` -> `[B, F/t, H/s, W/s, C]`.

    After a ReLU zeros are as good a padding as minus infinity.
    """
    x = explicitly_padded(x, kernel, strides, name=name, style=style)
    return layers.MaxPooling3D(kernel, strides, "valid", name=name)(x)


def inception(x, widths: Sequence[int], kind: str, *, name: str, style: Style):
    """The four branches of an Inception-v1 block, `[B, F, H, W, C]` -> `[B, F, H, W, sum of branches]`.

    `widths` are those of branch 0, of branches 1 and 2 before and after their 3x3 layers, of branch 3.
    A "spatial" block pools over space alone, so that its frames don't see each other.
    """
    over_time = kind != "spatial"
    first, narrow1, wide1, narrow2, wide2, last = widths
    b0 = unit(x, first, (1, 1, 1), name=f"{name}_b0", style=style)
    b1 = unit(x, narrow1, (1, 1, 1), name=f"{name}_b1_reduce", style=style)
    b1 = space_time(b1, wide1, 3, kind, name=f"{name}_b1", style=style)
    b2 = unit(x, narrow2, (1, 1, 1), name=f"{name}_b2_reduce", style=style)
    b2 = space_time(b2, wide2, 3, kind, name=f"{name}_b2", style=style)
    b3 = zero_padded_pool(x, (3 if over_time else 1, 3, 3), (1, 1, 1), name=f"{name}_b3_pool", style=style)
    b3 = unit(b3, last, (1, 1, 1), name=f"{name}_b3", style=style)
    branches = [b0, b1, b2, b3]
    for number in range(4):
        temporal = over_time and number in (1, 2)
        if style.gating == "branches" or (style.gating == "temporal" and temporal):
            branches[number] = gate(branches[number], name=f"{name}_b{number}", style=style)
    return layers.Concatenate(name=name)(branches)
