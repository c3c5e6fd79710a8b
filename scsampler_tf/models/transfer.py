"""Initial weights from another network, such as one trained on ImageNet, Kinetics or AudioSet.

weights = initial_weights("md", config.md)          # a file of python -m scsampler_tf.convert
network = create(..., **options_of(weights, "md"))
transfer(network, weights.load(), classes=weights.about.classes, labels=None)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from pipelines.errors import UserError
from pipelines.files import file_digest
from scsampler_tf.models.layout import CLASS_LAYER, weights_by_path
from scsampler_tf.models.network_file import About, load_network, read_about

# What a training decides itself, whatever the network was built with whose weights it begins with.
OWN_OPTIONS = ("dropout", "seed", "sync_batchnorm", "features")
NAMED_AT_MOST = 4  # names that one sentence can bear


@dataclass(frozen=True)
class InitialWeights:
    """A file of weights that a training begins with: what it is, and a digest of its contents."""

    path: str
    about: About
    digest: str

    def load(self) -> keras.Model:
        """The network in the file."""
        return load_network(self.path)[0]


@dataclass(frozen=True)
class Transfer:
    """What became of a network's layers: copied as they are, adapted (how), left fresh (why)."""

    copied: list[str]
    adapted: dict[str, str]
    fresh: dict[str, str]

    def sentence(self) -> str:
        """All of it in one line."""
        parts = [f"{len(self.copied)} layers copied"]
        if self.adapted:
            parts.append(f"adapted {_told(self.adapted)}")
        if self.fresh:
            parts.append(f"fresh {_told(self.fresh)}")
        return "; ".join(parts)


def initial_weights(where: str, config) -> InitialWeights | None:
    """The weights that `config` (of a classifier or sampler) begins with, None when it names none.

    `where` is the part of the configuration, for messages. Raises `UserError` for a file that is missing,
    damaged or of another architecture.
    """
    if not config.weights:
        return None
    about = read_about(config.weights)
    if about.arch != config.arch:
        raise UserError(
            f"{where}.weights: {config.weights} holds the network {about.arch}, but {where}.arch is "
            f"{config.arch}; set one of them to match"
        )
    return InitialWeights(config.weights, about, file_digest(config.weights)[:16])


def options_of(weights: InitialWeights | None, inputs: str) -> dict:
    """Arguments of `scsampler_tf.models.create` that a network of `inputs` needs for these weights.

    They include ImageNet's stem for small pictures too, on which `create` alone would choose another.
    """
    if weights is None:
        return {}
    foreign = OWN_OPTIONS if inputs == "rgb" else (*OWN_OPTIONS, "pixels")
    return {name: value for name, value in weights.about.options.items() if name not in foreign}


def transfer(
    target: keras.Model,
    source: keras.Model,
    *,
    classes: Sequence[str] | None,
    labels: Sequence[str] | None,
) -> Transfer:
    """Copies the weights of `source` to the layers of `target` with the same names and shapes.

    `classes` are the names of the source's logits, `labels` those of the target's; None where they have no
    names, as the one logit of a saliency.

    - The first convolution may have another number of input channels: `adapted_kernel`.
    - The class layer takes the columns of its `labels`, when all of them are among `classes` but for case,
      spaces and underscores, and when it comes after the same layer; otherwise it stays fresh.
    - Other layers stay as they are.

    Raises `UserError` when nothing fits: the source is another network.
    """
    wanted, stored = _by_layer(target), _by_layer(source)
    first = next((name for name, own in wanted.items() if _is_convolution(own)), None)
    done = Transfer([], {}, {})
    for name, own in wanted.items():
        given = stored.get(name)
        if given is None:
            done.fresh[name] = "the weights have no such layer"
            continue
        reason = ""
        if name == CLASS_LAYER:
            reason = why_fresh(classes, labels) or _other_features(list(wanted), list(stored))
        values, note = (None, reason) if reason else _values(name, own, given, first, classes, labels)
        if values is None:
            done.fresh[name] = note
            continue
        for kind, weight in own.items():
            weight.assign(values[kind])
        if note:
            done.adapted[name] = note
        else:
            done.copied.append(name)
    if not done.copied and not done.adapted:
        raise UserError(f"none of the layers of {target.name} fits those of {source.name}, another network")
    return done


def why_fresh(classes: Sequence[str] | None, labels: Sequence[str] | None) -> str:
    """Why a class layer for `labels` cannot come from one for `classes`; "" when it can."""
    if labels is None:
        return "a saliency is no class"
    if classes is None:
        return "the classes of the weights have no names"
    known = {_plain(name) for name in classes}
    absent = [label for label in labels if _plain(label) not in known]
    if not absent:
        return ""
    more = f" and {len(absent) - NAMED_AT_MOST} more" if len(absent) > NAMED_AT_MOST else ""
    return f"the weights have no class {', '.join(absent[:NAMED_AT_MOST])}{more}"


def class_columns(classes: Sequence[str], labels: Sequence[str]) -> list[int]:
    """The number among `classes` of each of `labels`, the first where several names are the same."""
    numbers: dict[str, int] = {}
    for number, name in enumerate(classes):
        numbers.setdefault(_plain(name), number)
    return [numbers[_plain(label)] for label in labels]


def adapted_kernel(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A convolution's kernel `[*sizes, in, out]` for another number of input `channels`.

    Each gets the mean over the old ones times old / new, so that the response to channels of equal values
    keeps its size.
    """
    mean = kernel.mean(axis=-2, keepdims=True) * (kernel.shape[-2] / channels)
    return np.repeat(mean, channels, axis=-2)


def _values(
    name: str, own: Mapping, given: Mapping, first: str | None, classes, labels
) -> tuple[dict[str, np.ndarray] | None, str]:
    """The values for a layer's weights and how they were adapted, or None and why they do not fit."""
    values = {kind: keras.ops.convert_to_numpy(weight) for kind, weight in given.items()}
    note = ""
    if name == CLASS_LAYER:
        columns = class_columns(classes, labels)
        note = "" if columns == list(range(len(classes))) else f"{len(columns)} of {len(classes)} classes"
        values = {kind: array[..., columns] for kind, array in values.items()}
    elif name == first and "kernel" in values and _fits_but_for_channels(own, values):
        before, after = values["kernel"].shape[-2], own["kernel"].shape[-2]
        note = f"{before} input channels to {after}"
        values["kernel"] = adapted_kernel(values["kernel"], after)
    here = {kind: tuple(weight.shape) for kind, weight in own.items()}
    there = {kind: array.shape for kind, array in values.items()}
    if here == there:
        return values, note
    return None, f"{_shapes(there)} in the weights, {_shapes(here)} here"


def _other_features(here: list[str], there: list[str]) -> str:
    """Says that the class layers come after different layers; "" when they do not."""
    ours, theirs = (names[names.index(CLASS_LAYER) - 1] for names in (here, there))
    return "" if ours == theirs else f"after {theirs} in the weights, after {ours} here"


def _fits_but_for_channels(own: Mapping, values: Mapping) -> bool:
    here, there = own["kernel"].shape, values["kernel"].shape
    return len(here) == len(there) and (*here[:-2], here[-1]) == (*there[:-2], there[-1]) and here != there


def _by_layer(model: keras.Model) -> dict[str, dict[str, keras.Variable]]:
    found: dict[str, dict[str, keras.Variable]] = {}
    for path, layer, weight in weights_by_path(model):
        found.setdefault(layer.name, {})[path.removeprefix(f"{layer.name}/")] = weight
    return found


def _is_convolution(weights: Mapping) -> bool:
    return "kernel" in weights and len(weights["kernel"].shape) >= 4


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _shapes(shapes: Mapping[str, tuple]) -> str:
    return ", ".join(f"{kind} {list(shape)}" for kind, shape in shapes.items())


def _told(notes: Mapping[str, str]) -> str:
    """`name (note)` of up to `NAMED_AT_MOST` layers."""
    listed = [f"{name} ({note})" for name, note in list(notes.items())[:NAMED_AT_MOST]]
    more = len(notes) - NAMED_AT_MOST
    return ", ".join(listed) + (f" and {more} more" if more > 0 else "")
