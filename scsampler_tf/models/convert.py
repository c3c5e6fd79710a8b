"""Weights of public checkpoints in our networks.

    tensors = scsampler_tf.checkpoints.read_checkpoint("r2plus1d_18.pth").tensors
    model = convert(tensors, "r2plus1d_18")

Works on arrays by name, so that it neither reads files nor needs PyTorch or TensorFlow; the command
`python -m scsampler_tf.convert` does the reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from pipelines.errors import UserError
from scsampler_tf.models import PRESETS, create
from scsampler_tf.models.layout import CLASS_LAYER, Layout, arranged, weights_by_path
from scsampler_tf.models.weights_audio import AUDIO_LAYOUTS
from scsampler_tf.models.weights_csn import CSN_LAYOUTS
from scsampler_tf.models.weights_inception import INCEPTION_LAYOUTS
from scsampler_tf.models.weights_keras_hub import KERAS_HUB_BACKBONE, KERAS_HUB_LAYOUT
from scsampler_tf.models.weights_resnet import RESNET_LAYOUTS

LAYOUTS: dict[str, tuple[Layout, ...]] = {
    **RESNET_LAYOUTS,
    "resnet18": (*RESNET_LAYOUTS["resnet18"], KERAS_HUB_LAYOUT, KERAS_HUB_BACKBONE),
    **CSN_LAYOUTS,
    **INCEPTION_LAYOUTS,
    **AUDIO_LAYOUTS,
}
NAMED_AT_MOST = 4  # names of each kind of mistake that one sentence can bear


@dataclass(frozen=True)
class Converted:
    """A network with the weights of a checkpoint.

    `options` are the arguments of `create` that made it, besides classes, shape and kind of input.
    `kept` are the paths of weights for which the layout has none: they keep their initial values.
    `left` are the keys of arrays that were not used.
    """

    model: keras.Model
    layout: str
    options: dict
    kept: list[str]
    left: list[str]


def convert(
    tensors: Mapping[str, np.ndarray],
    arch: str,
    *,
    layout: str | None = None,
    input_shape: Sequence[int] | None = None,
    **options,
) -> Converted:
    """Builds the network `arch` for as many classes as `tensors` have and fills it with them.

    `layout` is one of the names in `LAYOUTS[arch]`, by itself the one whose mark is there.
    `input_shape` is that of the preset by itself. `options` go to `create` and override those of the layout.

    Raises `UserError` for a network without layouts, and when arrays are missing, unexpected or of another
    shape, which it names.
    """
    chosen = choose_layout(tensors, arch, layout)
    options = {**chosen.options, **options}
    preset = PRESETS[arch]
    shape = tuple(input_shape or preset["input_shape"])
    model = create(
        arch,
        num_classes=classes_of(tensors, chosen) or preset["classes"],
        input_shape=shape,
        inputs=preset["inputs"],
        **options,
    )
    kept, left = fill(model, tensors, chosen)
    return Converted(model, chosen.name, options, kept, left)


def choose_layout(tensors: Mapping[str, np.ndarray], arch: str, name: str | None = None) -> Layout:
    """The layout called `name`, or the one whose mark is among `tensors`.

    Raises `UserError` for an unknown one, and when no layout of `arch` has its mark there.
    """
    if arch not in PRESETS:
        raise UserError(f"network '{arch}' is unknown; known are {', '.join(PRESETS)}")
    known = LAYOUTS.get(arch, ())
    if not known:
        raise UserError(f"{arch}: no published weights are known for it; those of {', '.join(LAYOUTS)} are")
    if name is not None:
        found = [layout for layout in known if layout.name == name]
        if not found:
            raise UserError(
                f"{arch}: layout '{name}' is none of {', '.join(layout.name for layout in known)}"
            )
        return found[0]
    for layout in known:
        if layout.mark in tensors:
            return layout
    raise UserError(
        f"{arch}: the checkpoint has none of {', '.join(layout.mark for layout in known)}, by which its "
        f"weights would be known; it begins with {_listed(list(tensors)) or 'nothing at all'}"
    )


def classes_of(tensors: Mapping[str, np.ndarray], layout: Layout) -> int | None:
    """Number of classes in the class layer of a checkpoint, None when it has none that fits."""
    bias = tensors.get(layout.key(f"{CLASS_LAYER}/bias") or "")
    return None if bias is None or not bias.size else int(bias.size)


def fill(
    model: keras.Model, tensors: Mapping[str, np.ndarray], layout: Layout
) -> tuple[list[str], list[str]]:
    """Assigns `tensors` to the weights of `model`; returns the weights kept and the keys left over.

    Either all of them are assigned or none: raises `UserError` that names what is missing, unexpected or
    of another shape.
    """
    values, kept, missing, misshaped, used = [], [], [], [], set()
    for path, layer, weight in weights_by_path(model):
        key = layout.key(path)
        if key is None:
            kept.append(path)
            continue
        if key not in tensors:
            missing.append(key)
            continue
        used.add(key)
        array = arranged(np.asarray(tensors[key]), layer, weight, layout.order)
        if layout.turn is not None:
            array = layout.turn(path, array)
        if array.shape != tuple(weight.shape):
            misshaped.append(f"{key} {list(tensors[key].shape)} for {path} {list(weight.shape)}")
        values.append((weight, array))
    left = sorted(key for key in tensors if key not in used and not key.endswith(tuple(layout.ignored)))
    _require_all(model.name, layout, missing, [] if layout.partial else left, misshaped)
    for weight, array in values:
        weight.assign(array)
    return kept, left


def _require_all(
    arch: str, layout: Layout, missing: list[str], unexpected: list[str], misshaped: list[str]
) -> None:
    """Raises `UserError` that names up to `NAMED_AT_MOST` of each kind of mistake."""
    told = [
        f"{len(names)} {what}: {_listed(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped))
        if names
    ]
    if told:
        raise UserError(
            f"the checkpoint is not that of {arch} in the layout '{layout.name}' ({'; '.join(told)}); "
            "check --arch, or the checkpoint is damaged"
        )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
