"""What trainings of samplers and classifiers need, without a run: features of nine small videos, scores."""

import csv
import dataclasses
from pathlib import Path

import numpy as np

from pipelines.index import FeatureIndex
from pipelines.prepare import prepare
from scsampler_tf.config import tiny
from scsampler_tf.runtime import make_strategy
from scsampler_tf.tables import ScoreTable
from scsampler_tf.train_classifier import train_classifier
from scsampler_tf.train_sampler import train_sampler
from tests.tiny_set import make_tiny_set


@dataclasses.dataclass(frozen=True)
class TrainingSet:
    """The index of the tiny set, and what a classifier that knows nothing says of its clips."""

    index: FeatureIndex
    table: ScoreTable

    def train_sampler(
        self,
        folder: Path,
        kind: str = "audio",
        *,
        precision="float32",
        seed=0,
        profile=False,
        pictures=False,
        **changes,
    ):
        """Trains a sampler of the tiny preset with SAL-RANK; `changes` are settings of it."""
        config = dataclasses.replace(getattr(tiny(), kind), objective="sal_rank", **changes)
        options = {"K": 3, "strategy": make_strategy("one_device"), "seed": seed, "quiet": True}
        options |= {"precision": precision, "profile": profile, "pictures": pictures}
        train_sampler(kind, self.index, config, self.table, folder, **options)

    def train_classifier(self, folder: Path, *, precision="float32", seed=0, pictures=False, **changes):
        """Trains the classifier of the tiny preset; `changes` are settings of it."""
        config = dataclasses.replace(tiny().classifier, **changes)
        options = {"strategy": make_strategy("one_device"), "seed": seed, "workers": 0, "quiet": True}
        train_classifier(self.index, config, folder, precision=precision, pictures=pictures, **options)


def make_training_set(folder: Path) -> TrainingSet:
    """Makes the videos and their features in `folder`."""
    index = prepare(make_tiny_set(folder / "data"), folder / "features", tiny().features, 0, quiet=True)
    rng = np.random.default_rng(0)
    values = {video.video_id: rng.dirichlet([1, 1], video.clips).astype("f") for video in index.videos}
    return TrainingSet(index, ScoreTable("classifier", values, {"network": "f"}))


def history(folder: Path) -> list[dict]:
    """What a training noted after every epoch."""
    with (folder / "history.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))
