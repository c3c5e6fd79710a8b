"""The audio samplers of a search, one a margin of the ranking loss, each trained and scored once."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.files import read_json
from scsampler_tf.config import ExperimentConfig, SamplerConfig
from scsampler_tf.evaluation_set import EvaluationSet, evaluation_set
from scsampler_tf.model_folder import ABOUT_NAME
from scsampler_tf.tables import ScoreTable
from scsampler_tf.workdir import Workdir

TABLE_NAME = "scores.npz"


@dataclass(frozen=True)
class Place:
    """Where an audio sampler and its score table lie, relative to the run's folder."""

    folder: Path
    table: Path


def own_sampler(workdir: Workdir) -> SamplerConfig | None:
    """How the run's audio sampler was really trained; None where it has no trained audio sampler."""
    about = workdir.model("audio") / ABOUT_NAME
    return SamplerConfig(**read_json(about)["config"]) if about.exists() else None


def place_of(sampler: SamplerConfig, config: ExperimentConfig, made_from: dict) -> Place:
    """The folder of a sampler that a search trains: its name changes with whatever it is made from.

    `made_from` says which classifier's scores and which features it learns from.
    """
    key = {
        "sampler": dataclasses.asdict(sampler),
        "seed": config.seed,
        "K": config.selection.K,
        "made_from": made_from,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:6]
    folder = Path("tuning") / f"audio-margin-{sampler.margin:g}-{digest}"
    return Place(folder, folder / TABLE_NAME)


def train_and_score(
    workdir: Workdir, config: ExperimentConfig, place: Place, workers: int, quiet: bool
) -> ScoreTable:
    """Trains the audio sampler of `config` and scores every video; goes on where it stopped."""
    from scsampler_tf.score import score
    from scsampler_tf.train import train

    folder = workdir.path / place.folder
    train("audio", workdir, config, workers=workers, strategy=config.strategy, folder=folder, quiet=quiet)
    return score(
        "audio",
        workdir.index(config),
        folder,
        workdir.path / place.table,
        workers=workers,
        quiet=quiet,
    )


class AudioSamplers:
    """The validation scores that each margin's audio sampler leads to.

    `own` is the run's own audio sampler (None without one), whose margin needs no training. `make` trains
    and scores a sampler; it is called once a margin.
    """

    def __init__(
        self,
        workdir: Workdir,
        config: ExperimentConfig,
        tables: dict[str, ScoreTable],
        own: SamplerConfig | None,
        make: Callable[[ExperimentConfig, Place], ScoreTable],
    ):
        self._workdir, self._config, self._tables, self._own, self._make = workdir, config, tables, own, make
        self._index = workdir.index(config)
        self._sets: dict[float | None, EvaluationSet] = {}

    def place(self, margin: float | None) -> Place:
        """Where the sampler of this margin lies or will lie; None stands for the run's own."""
        if margin is None or self._own is None or margin == self._own.margin:
            run = self._workdir.path
            own = self._workdir.model("audio"), self._workdir.table("audio")
            return Place(*(path.relative_to(run) for path in own))
        return place_of(
            dataclasses.replace(self._own, margin=margin), self._config, self._tables["classifier"].made_by
        )

    def validation(self, margin: float | None) -> EvaluationSet:
        """The validation videos' scores with this margin's sampler, which is trained when it is missing."""
        if margin is None and self._own is not None:
            margin = self._own.margin
        if margin not in self._sets:
            self._sets[margin] = evaluation_set(self._index, self._scores(margin), "val")
        return self._sets[margin]

    def _scores(self, margin: float | None) -> dict[str, ScoreTable]:
        if self._own is None or margin == self._own.margin:
            return self._tables
        sampler = dataclasses.replace(self._own, margin=margin)
        table = self._make(dataclasses.replace(self._config, audio=sampler), self.place(margin))
        return {**self._tables, "audio": table}
