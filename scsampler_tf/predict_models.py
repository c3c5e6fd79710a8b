"""An exported model as a function: in this process, or on a server that runs it."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import UserError

Call = Callable[[str, dict], dict]
"""Runs a signature of the exported model: (name, inputs) -> outputs, arrays and nested lists of bytes."""


@dataclass(frozen=True)
class Server:
    """A model on a server with TF-Serving's REST interface."""

    url: str
    name: str


def local_model(folder: str | Path) -> Call:
    """Runs an exported model in this process; `folder` is a version or the folder of all versions."""
    import tensorflow as tf

    from scsampler_tf.serving.loaded_model import one_sentence

    folder = Path(folder)
    versions = [path for path in folder.glob("*/") if path.name.isdigit()] if folder.is_dir() else []
    if not (folder / "saved_model.pb").is_file():
        if not versions:
            raise UserError(f"{folder}: no exported model here; make one with python -m scsampler_tf.export")
        folder = max(versions, key=lambda path: int(path.name))
    try:
        model = tf.saved_model.load(str(folder))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: cannot be loaded ({error}); export the model again") from None
    missing = {"score", "select", "classify", "describe"} - set(model.signatures)
    if missing:
        raise UserError(
            f"{folder}: no signature '{min(missing)}'; this model was not made by scsampler_tf.export"
        )

    def call(signature: str, inputs: dict) -> dict:
        if signature not in model.signatures:
            raise UserError(
                f"{folder}: no signature '{signature}'; export the model again with scsampler_tf.export"
            )
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        try:
            outputs = model.signatures[signature](**tensors)
        except tf.errors.InvalidArgumentError as error:
            if "K" not in inputs:
                raise
            # Models of old do not take every K.
            raise UserError(f"{folder}: {one_sentence(error.message)}; or export the model again") from None
        return {name: value.numpy() for name, value in outputs.items()}

    return call


@contextlib.contextmanager
def remote_model(url: str, name: str) -> Iterator[Call]:
    """Runs an exported model on a server with TF-Serving's REST interface, over one connection."""
    from scsampler_tf.serving.client import ServingClient

    with ServingClient(url, name) as client:
        yield client.predict


def about_model(call: Call) -> dict:
    """What the model tells of itself: labels, sizes, feature settings, selection."""
    return json.loads(_text(call("describe", {"query": [b""]})["about"]))


def _text(value) -> str:
    item = np.asarray(value, dtype=object).reshape(-1)[0]
    return item.decode() if isinstance(item, bytes) else item
