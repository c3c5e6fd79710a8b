"""A trained network on disk: `best.keras` and `model.json`, which says what it is and how it was made."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import keras

import scsampler_tf.models  # noqa: F401  (Keras has to know their layers before it loads them)
from pipelines.errors import UserError
from pipelines.files import read_json, write_json
from pipelines.index import FeatureIndex
from pipelines.settings import FeatureSettings, settings_from_dict

NETWORK_NAME, ABOUT_NAME, RUN_NAME = "best.keras", "model.json", "run.json"


@dataclass(frozen=True)
class TrainedModel:
    """A network with what is needed to use it. `about` holds its configuration and training record."""

    kind: str
    network: keras.Model
    labels: list[str]
    settings: FeatureSettings
    about: dict


def run_of(kind: str, config, index: FeatureIndex, seed: int, learned_from: dict | None = None) -> dict:
    """What a training depends on; `learned_from` says which score table a sampler learns from."""
    ids = [video.video_id for video in index.of_split("train")]
    return {
        "kind": kind,
        "config": dataclasses.asdict(config),
        "features": index.settings.digest(),
        "labels": index.labels,
        "train_videos": hashlib.sha256(repr(sorted(ids)).encode()).hexdigest()[:16],
        "seed": seed,
        "learned_from": learned_from,
    }


def begin_run(folder: Path, run: dict) -> bool:
    """Writes down what is about to be trained; True when this very training is already finished.

    Raises `UserError` when the folder holds another training.
    """
    path = folder / RUN_NAME
    if path.exists():
        there = read_json(path)
        for key in sorted(set(there) | set(run)):
            if there.get(key) != run.get(key):
                raise UserError(
                    f"{folder}: was begun with {key}={there.get(key)!r}, now {run.get(key)!r} is asked for; "
                    "use the same settings or delete that folder"
                )
    else:
        write_json(path, run)
    return is_finished(folder)


def is_finished(folder: Path) -> bool:
    """True when the training in this folder ran to its end."""
    return (folder / ABOUT_NAME).exists() and (folder / NETWORK_NAME).exists()


def finish_run(folder: Path, kind: str, labels: list[str], settings: FeatureSettings, about: dict) -> None:
    """Marks a training as done and says what its network is."""
    values = {"kind": kind, "labels": labels, "features": dataclasses.asdict(settings), **about}
    write_json(folder / ABOUT_NAME, values)


def load_model(folder: str | Path) -> TrainedModel:
    """A trained network; a missing, unfinished or damaged folder is one sentence."""
    folder = Path(folder)
    if not is_finished(folder):
        raise UserError(f"{folder}: no finished network here; train it with python -m scsampler_tf.train")
    about = read_json(folder / ABOUT_NAME)
    try:
        network = keras.saving.load_model(folder / NETWORK_NAME, compile=False)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder / NETWORK_NAME}: cannot be loaded ({error}); train it again") from None
    return TrainedModel(about["kind"], network, about["labels"], settings_from_dict(about["features"]), about)
