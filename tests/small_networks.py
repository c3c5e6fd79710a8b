"""Every network of the zoo, small and thin enough to be built, run and trained in a second."""

import contextlib
from unittest import mock

import keras
import numpy as np

from scsampler_tf import models
from scsampler_tf.models import inception

SMALL_SHAPES = {
    "resnet3d": (8, 16, 16, 3),
    "inception": (8, 32, 32, 3),
    "resnet2d": (14, 14, 2),
    "shufflenet": (14, 14, 2),
    "audio_vgg": (16, 32, 1),
}
POOLED_SHAPE = (8, 32, 32, 3)  # for 3D ResNets whose stem shrinks by 4
KINDS = {"resnet3d": "rgb", "inception": "rgb", "resnet2d": "md", "shufflenet": "md", "audio_vgg": "log_mel"}
LIGHT = ["r2plus1d_small", "csn_small", "s3d_small", "resnet_small", "vgg_audio_small"]
# The same kinds of layers, but fewer and with fewer channels.
THIN = {
    "widths": (8, 12, 16, 20),
    "repeats": (1, 1, 1, 2),
    "stem_width": 8,
    "units": (16, 16),
    "width": 1 / 8,
}
THIN_SHUFFLENET = {"widths": (12, 24, 36), "repeats": (1, 1, 2), "stem_width": 6}
# One block a stage of an Inception. Where its forms differ are the borders of the stages, so they still do.
SHALLOW = ("mixed_3b", "mixed_4b", "mixed_5b")


def family(name):
    return models.PRESETS[name]["family"]


def small(name, **options):
    """The network itself at a small input size, with three classes."""
    pooled = models.PRESETS[name]["arguments"].get("stem") == "pooled"
    shape = POOLED_SHAPE if pooled else SMALL_SHAPES[family(name)]
    defaults = {"num_classes": 3, "input_shape": shape, "inputs": KINDS[family(name)]}
    return models.create(name, **{**defaults, **options})


def thin_options(name):
    """What is changed in a preset to make it thin; the light ones stay as they are."""
    if name in LIGHT:
        return {}
    arguments = models.PRESETS[name]["arguments"]
    values = THIN_SHUFFLENET if family(name) == "shufflenet" else THIN
    options = {key: value for key, value in values.items() if key in arguments}
    if family(name) == "inception":
        kind_of = dict(zip(inception.LAYERS, arguments["kinds"], strict=True))
        options["kinds"] = tuple(kind_of[layer] for layer in (*inception.STEM, *SHALLOW))
    return options


def thin(name, **options):
    """The network with fewer layers and channels at a small input size, with three classes."""
    arguments = {**thin_options(name), **options}
    shallow = family(name) == "inception" and name not in LIGHT
    with shallow_inception() if shallow else contextlib.nullcontext():
        return small(name, **arguments)


@contextlib.contextmanager
def shallow_inception():
    """Within it, Inceptions have the blocks of `SHALLOW` alone."""
    blocks = {block: inception.BLOCKS[block] for block in SHALLOW}
    with (
        mock.patch.object(inception, "BLOCKS", blocks),
        mock.patch.object(inception, "LAYERS", (*inception.STEM, *SHALLOW)),
    ):
        yield


def twins():
    """Names that are the same network as another once thin, such as the depths of a ResNet -> the other."""
    first, same = {}, {}
    for name in models.names():
        arguments = {**models.PRESETS[name]["arguments"], **thin_options(name)}
        key = family(name), repr(sorted({"midplanes": "block", **arguments}.items()))
        if key in first:
            same[name] = first[key]
        first.setdefault(key, name)
    return same


TWINS = twins()
DISTINCT = [name for name in models.names() if name not in TWINS]


def example(model, count=4):
    """Inputs in the range of the records, `[count, *input_shape]`."""
    rng = np.random.default_rng(0)
    top = 255.0 if model.input_shape[-1] == 3 else 4.0
    return rng.uniform(0, top, (count, *model.input_shape[1:])).astype("float32")


def output(model, pictures):
    return keras.ops.convert_to_numpy(model(pictures, training=False))


@contextlib.contextmanager
def dtype_policy(policy):
    """Layers made within it have this policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
