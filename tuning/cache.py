"""What every free setting gives with a set of samplers, kept on disk: a search that is taken up again, or
comes to the same samplers, computes nothing twice."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from pipelines.files import written_whole
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


def assessed(folder: Path, tables: dict, data: EvaluationSet, settings: list, costs: Costs) -> Assessed:
    """`assess_all`, from `folder` where it was done before."""
    path = Path(folder) / f"{digest_of(tables, data, settings, costs)}.npz"
    if (found := _read(path, len(settings))) is not None:
        return found
    found = assess_all(data, settings, costs)
    with written_whole(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **vars(found))
    return found


def _read(path: Path, settings: int) -> Assessed | None:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            found = Assessed(**{name: data[name] for name in data.files})
    except DAMAGE:
        return None
    return found if all(len(values) == settings for values in vars(found).values()) else None
