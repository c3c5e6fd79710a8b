"""A network as one `.keras` file that also says what it is: architecture, classes, where it comes from.

Keras reads such a file as any other. What is said lies in the archive as `scsampler.json`, so that it
cannot be lost on the way.
"""

import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras

from pipelines.errors import UserError
from pipelines.files import written_whole

MEMBER = "scsampler.json"


@dataclass(frozen=True)
class About:
    """What a network is. `options` are those of `scsampler_tf.models.create`, `classes` the names in the
    order of its logits or None, `source` says what its weights come from.
    """

    arch: str
    inputs: str
    input_shape: tuple[int, ...]
    options: dict = field(default_factory=dict)
    classes: list[str] | None = None
    source: dict = field(default_factory=dict)


def check_name(path: str | Path) -> None:
    """Raises `UserError` for a name that Keras would not write a network to."""
    if Path(path).suffix != ".keras":
        raise UserError(f"{path}: the name of a network's file must end in .keras")


def save_network(path: str | Path, model: keras.Model, about: About) -> None:
    """Writes the network and what it is, whole or not at all; `path` ends in `.keras`."""
    check_name(path)
    with written_whole(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MEMBER, json.dumps(asdict(about), indent=2))


def read_about(path: str | Path) -> About:
    """What the network in `path` is, without loading it.

    Raises `UserError` for a file that is missing, damaged, or no network written by `save_network`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(archive.read(MEMBER))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (KeyError, zipfile.BadZipFile, ValueError, OSError):
        raise UserError(
            f"{path}: is not a network of python -m scsampler_tf.convert, or it is damaged"
        ) from None
    return About(**{**values, "input_shape": tuple(values["input_shape"])})


def load_network(path: str | Path) -> tuple[keras.Model, About]:
    """The network and what it is; raises `UserError` as `read_about`."""
    about = read_about(path)
    try:
        return keras.saving.load_model(path, compile=False), about
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be loaded ({error}); convert it again") from None
