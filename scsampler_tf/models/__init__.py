"""Networks as Keras models: clip classifiers and samplers.

`create("r2plus1d_18", num_classes=400, input_shape=(16, 112, 112, 3))` gives a functional model from raw
float32 pixels `[B, *input_shape]` to float32 logits `[B, num_classes]`.
"""

import contextlib
import dataclasses
from collections.abc import Sequence

import keras

from pipelines.errors import UserError
from scsampler_tf.models.audio_vgg import build_audio_vgg
from scsampler_tf.models.blocks import INPUTS, PIXELS, Build, require_choice
from scsampler_tf.models.inception import build_inception
from scsampler_tf.models.precision import layer_dtype
from scsampler_tf.models.presets import PRESETS
from scsampler_tf.models.resnet2d import build_resnet2d
from scsampler_tf.models.resnet3d import build_resnet3d
from scsampler_tf.models.shufflenet import build_shufflenet

__all__ = ["INPUTS", "PRESETS", "create", "names"]

FAMILIES = {
    "resnet3d": build_resnet3d,
    "inception": build_inception,
    "resnet2d": build_resnet2d,
    "shufflenet": build_shufflenet,
    "audio_vgg": build_audio_vgg,
}
BUILD_OPTIONS = tuple(field.name for field in dataclasses.fields(Build))


def names() -> list[str]:
    """The names `create` knows, in the order of the table of presets."""
    return list(PRESETS)


def create(
    name: str,
    *,
    num_classes: int,
    input_shape: Sequence[int],
    inputs: str = "rgb",
    dtype: str | None = None,
    **options,
) -> keras.Model:
    """Builds a network, `[B, *input_shape]` float32 -> logits `[B, num_classes]` float32.

    `input_shape` is `[frames, height, width, channels]` for clips, `[height, width, channels]` for
    frames, `[bands, times, 1]` for sound. `inputs` says what the model is fed, always as the records hold
    it: "rgb" pixels in [0, 255]; "rgb_r" residuals + 128 in [0, 255]; "md" displacements in canvas pixels;
    "log_mel" log(magnitude + 0.01). `dtype` is the policy of its layers, such as "mixed_bfloat16" (None:
    Keras' own setting); rescaling, the average before the class layer and that layer are float32 under any.

    Options: `dropout` before the class layer (0), `seed` of the initial weights and of dropout (0: the
    same seed gives the same weights), `sync_batchnorm` to share BatchNorm's statistics between replicas
    (False), `norm_epsilon` and `norm_momentum` of BatchNorm (1e-5 and 0.9, in the Inception family as in
    its sources), `pixels`: to what range a network of "rgb" brings them first ("kinetics", "imagenet",
    "pytorchvideo", "signed" or "unit", see `blocks.PIXELS`), and any argument of the preset, such as
    `stem` of the 2D ResNets or `widths`.

    Raises `UserError` for an unknown name, option or kind of input, and for a shape that doesn't fit.
    """
    if name not in PRESETS:
        raise UserError(f"network '{name}' is unknown; known are {', '.join(names())}")
    preset = PRESETS[name]
    known = sorted({"dropout", *BUILD_OPTIONS, *preset["arguments"]})
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(f"{name}: unknown option '{unknown[0]}'; known are {', '.join(known)}")
    if num_classes < 1:
        raise UserError(f"{name}: {num_classes} classes; there must be at least one")
    arguments = {"dropout": 0.0, **preset["arguments"], **options}
    if not 0 <= arguments["dropout"] < 1:
        raise UserError(f"{name}: dropout {arguments['dropout']} is not within [0, 1)")
    build = Build(**{option: arguments.pop(option) for option in BUILD_OPTIONS if option in arguments})
    require_choice(f"{name}: pixels", build.pixels, PIXELS)
    with layer_dtype(dtype) if dtype else contextlib.nullcontext():
        return FAMILIES[preset["family"]](
            name,
            input_shape=tuple(input_shape),
            num_classes=num_classes,
            inputs=inputs,
            build=build,
            **arguments,
        )
