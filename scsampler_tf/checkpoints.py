"""Reads checkpoints of other programs into arrays by name.

Formats: PyTorch's .pth and .pt (with the package torch), .safetensors, TensorFlow's checkpoints (by their
prefix, such as model.ckpt, beside which model.ckpt.index lies), and KerasHub's presets by name or folder
(keras_hub:resnet_18_imagenet, with the package keras-hub).
"""

import contextlib
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import UserError

TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".bin", ".pyth", ".ckpt")
# Under what trainers keep the weights, and the names of the classes, beside other things.
STATES = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights")
CLASSES = ("classes", "class_names", "categories", "labels", "class_to_idx")
KERAS_HUB = "keras_hub:"
# What wrappers for several devices put before every name.
WRAPPER = "module."


@dataclass(frozen=True)
class Checkpoint:
    """Arrays by name as they are stored, and the names of the classes where they are stored too."""

    tensors: dict[str, np.ndarray]
    classes: list[str] | None = None


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint; a common beginning "module." of all names is left out.

    Raises `UserError` for a file that is missing, damaged, of an unknown kind, without arrays, or with
    values that are not finite, and when the package that reads it is not installed.
    """
    if str(path).startswith(KERAS_HUB):
        return _read_keras_hub(str(path).removeprefix(KERAS_HUB))
    path = Path(path)
    if path.suffix == ".safetensors":
        found = _read_safetensors(path)
    elif is_tensorflow(path):
        found = _read_tensorflow(path)
    elif path.suffix in TORCH_SUFFIXES:
        found = _read_torch(path)
    else:
        known = ", ".join((*TORCH_SUFFIXES, ".safetensors"))
        raise UserError(f"{path}: is no checkpoint; known are {known} and TensorFlow's .index")
    if not found.tensors:
        raise UserError(f"{path}: holds no arrays; give a checkpoint with the weights of a network")
    for name, array in found.tensors.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise UserError(f"{path}: {name} has values that are not finite; the checkpoint is damaged")
    if all(name.startswith(WRAPPER) for name in found.tensors):
        bare = {name.removeprefix(WRAPPER): array for name, array in found.tensors.items()}
        return Checkpoint(bare, found.classes)
    return found


def is_tensorflow(path: Path) -> bool:
    """Whether `path` is the prefix of a TensorFlow checkpoint, or its index file."""
    return path.suffix == ".index" or path.with_name(f"{path.name}.index").is_file()


@contextlib.contextmanager
def _readable(path: Path, *damaged: type[Exception]) -> Iterator[None]:
    """Turns what readers raise for a missing or damaged file into a `UserError`."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        yield
    except damaged as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: cannot be read ({why}); get the file again") from None


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        import safetensors
    except ImportError:
        raise UserError(
            f"{path}: reading it needs safetensors; install it with pip install 'scsampler-tf[convert]'"
        ) from None
    tensors = {}
    with (
        _readable(path, safetensors.SafetensorError, OSError, ValueError),
        safetensors.safe_open(path, framework="numpy") as stored,
    ):
        about = stored.metadata() or {}
        for name in stored.keys():  # noqa: SIM118 (it is no dictionary)
            tensors[name] = _as_numpy(stored.get_tensor(name))
    return Checkpoint(tensors, _class_names({key: _json(text) for key, text in about.items()}))


def _read_torch(path: Path) -> Checkpoint:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path}: reading it needs PyTorch; install it with pip install 'scsampler-tf[torch]', "
            "or give the weights as .safetensors"
        ) from None
    with _readable(path, RuntimeError, EOFError, OSError, KeyError, ValueError):
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            raise UserError(
                f"{path}: is damaged, or holds other Python objects than arrays, which could run a "
                "stranger's code; get the file again, or save its weights alone as .safetensors"
            ) from None
    if not isinstance(stored, Mapping):
        raise UserError(f"{path}: holds a {type(stored).__name__}, but a dictionary of weights is needed")
    inner = next((stored[key] for key in STATES if isinstance(stored.get(key), Mapping)), stored)
    tensors = {
        str(name): (value.float() if value.is_floating_point() else value).detach().numpy()
        for name, value in inner.items()
        if isinstance(value, torch.Tensor)
    }
    return Checkpoint(tensors, _class_names(stored))


def _read_tensorflow(path: Path) -> Checkpoint:
    import tensorflow as tf

    prefix = path.with_suffix("") if path.suffix == ".index" else path
    with _readable(prefix.with_name(f"{prefix.name}.index"), tf.errors.OpError, RuntimeError, ValueError):
        reader = tf.train.load_checkpoint(str(prefix))
        names = sorted(reader.get_variable_to_shape_map())
        numeric = [name for name in names if _is_numeric(reader, name)]
        return Checkpoint({name: np.asarray(reader.get_tensor(name)) for name in numeric})


def _read_keras_hub(preset: str) -> Checkpoint:
    try:
        import keras_hub
    except ImportError:
        raise UserError(
            f"{KERAS_HUB}{preset}: reading it needs KerasHub; install it with pip install keras-hub"
        ) from None
    from scsampler_tf.models.weights_keras_hub import keras_hub_tensors

    try:
        return Checkpoint(keras_hub_tensors(keras_hub.models.ImageClassifier.from_preset(preset)))
    except Exception as error:  # whatever its several sources of presets raise
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{KERAS_HUB}{preset}: cannot be had ({why})") from None


def _is_numeric(reader: Any, name: str) -> bool:
    kind = reader.get_variable_to_dtype_map()[name]
    return kind.is_floating or kind.is_integer


def _as_numpy(value: Any) -> np.ndarray:
    """An array of the numbers, float32 where they are of less than 64 bits and not whole."""
    array = np.asarray(value)
    # bfloat16 is no number to NumPy.
    return array.astype(np.float32) if array.dtype.kind in "fV" and array.dtype.itemsize < 4 else array


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _class_names(stored: Mapping) -> list[str] | None:
    """The names of the classes by their numbers, from a list or from a dictionary name -> number."""
    for key in CLASSES:
        found = stored.get(key)
        if isinstance(found, Mapping) and sorted(found.values()) == list(range(len(found))):
            return [str(name) for name in sorted(found, key=found.get)]
        if isinstance(found, (list, tuple)) and found and all(isinstance(name, str) for name in found):
            return list(found)
    return None
