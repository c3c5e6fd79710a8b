"""What every free setting gives with a set of samplers, kept on disk: a search that is taken up again, or
comes to the same samplers, computes nothing twice."""

import dataclasses
import hashlib
import json
from collections.abc import Container
from pathlib import Path

import numpy as np

from pipelines.files import PART, written_whole
from scsampler_tf.config import SelectionConfig
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.methods import Costs
from scsampler_tf.tables import DAMAGE, ScoreTable
from tuning.exhaustive import Assessed, assess_all


def digest_of(
    tables: dict[str, ScoreTable], data: EvaluationSet, settings: list[SelectionConfig], costs: Costs
) -> str:
    """What an assessment depends on: networks, videos, settings and costs."""
    key = {
        "networks": {kind: table.made_by for kind, table in sorted(tables.items())},
        "videos": [video.video_id for video in data.videos],
        "labels": data.labels.tolist(),
        "settings": [dataclasses.astuple(setting) for setting in settings],
        "costs": [
            costs.classifier,
            {name: dataclasses.astuple(each) for name, each in costs.samplers.items()},
        ],
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def name_of(tables: dict, data: EvaluationSet, settings: list, costs: Costs) -> str:
    """The file name of an assessment."""
    return f"{digest_of(tables, data, settings, costs)}.npz"


def assessed(path: Path, data: EvaluationSet, settings: list, costs: Costs) -> Assessed:
    """`assess_all`, from the file `path` where it was done before."""
    if (found := _read(path, len(settings))) is not None:
        return found
    found = assess_all(data, settings, costs)
    with written_whole(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **vars(found))
    return found


def forget_others(folder: Path, names: Container[str]) -> None:
    """Removes the assessments that are not among `names`; they would be computed again."""
    for path in Path(folder).glob("*.npz"):
        if path.name not in names and not path.name.startswith(PART):
            path.unlink(missing_ok=True)


def _read(path: Path, settings: int) -> Assessed | None:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            found = Assessed(**{name: data[name] for name in data.files})
    except DAMAGE:
        return None
    return found if all(len(values) == settings for values in vars(found).values()) else None
