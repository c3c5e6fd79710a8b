"""What every table starts from: a run's score tables of one split, its costs and its seeds."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UserError
from pipelines.files import read_json
from pipelines.index import FeatureIndex
from scsampler_tf.config import SAMPLERS, ExperimentConfig, SelectionConfig, to_dict
from scsampler_tf.selection_config import ACTIVATIONS
from scsampler_tf.workdir import Workdir

if TYPE_CHECKING:  # they load Keras, which the command's own start does not need
    from scsampler_tf.evaluation_set import EvaluationSet
    from scsampler_tf.methods import Bench, Costs

DRAWS = 100
TEST_SPLIT = "test"
SAMPLER_WORDS = {"visual": ("md or rgb_r", "md"), "audio": ("audio", "audio")}


@dataclass(frozen=True)
class Run:
    """A run with its score tables. `train` is None without scored training videos; random methods are
    averaged over `draws` seeds from `config.seed` on."""

    workdir: Workdir
    config: ExperimentConfig
    index: FeatureIndex
    tables: dict
    split: str
    draws: int
    data: "EvaluationSet"
    train: "EvaluationSet | None"
    costs: "Costs"

    @property
    def selection(self) -> SelectionConfig:
        """The run's K, K', alpha, fusion and stride."""
        return self.config.selection

    @property
    def longest(self) -> int:
        """Clips of the longest video."""
        return self.data.mask.shape[1]

    @property
    def bench(self) -> "Bench":
        """What makes the rows."""
        from scsampler_tf.methods import Bench

        return Bench(self.data, self.train, self.costs, self.config.seed, self.draws)

    @property
    def used(self) -> dict:
        """What the numbers stand on: videos used and refused, networks, seeds, settings of the choice."""
        return used(self.index, self.data, self.tables, self.split, self.config.seed, self.draws)

    def about(self) -> dict:
        """`used` and `config` for a `Table`."""
        return {
            "used": {**self.used, "selection": dataclasses.asdict(self.selection)},
            "config": to_dict(self.config),
        }

    def need(self, table: str, *senses: str) -> None:
        """Raises `UserError` unless the run has scores of these samplers ("visual", "audio")."""
        for sense in senses:
            if getattr(self.data, sense) is None:
                kinds, example = SAMPLER_WORDS[sense]
                where = f"--workdir {self.workdir.path}"
                raise UserError(
                    f"{table}: this run has no scores of a sampler {kinds}; make them with python -m "
                    f"scsampler_tf.train sampler --kind {example} {where} and python -m scsampler_tf.score "
                    f"{example} {where}"
                )

    def of_split(self, split: str) -> "EvaluationSet | None":
        """The videos of another split; None if none of them is scored."""
        return scored_split(self.index, self.tables, split)

    def together(self) -> "Run | None":
        """The run with its samplers as joint training has left them; None unless all of them are scored."""
        from scsampler_tf.evaluation_set import evaluation_set
        from scsampler_tf.tables import load_table

        workdir = self.workdir.jointly()
        paths = {kind: workdir.table(kind) for kind in self.tables if kind != "classifier"}
        if self.data.visual is None or self.data.audio is None or not all(map(Path.exists, paths.values())):
            return None
        tables = {**self.tables, **{kind: load_table(path) for kind, path in paths.items()}}
        data = evaluation_set(self.index, tables, self.split)
        return dataclasses.replace(self, workdir=workdir, tables=tables, data=data)


def open_run(workdir: Workdir, config: ExperimentConfig, split: str = TEST_SPLIT, draws: int = DRAWS) -> Run:
    """Loads what tables are made of. Raises `UserError` without score tables or scored videos."""
    from scsampler_tf.evaluation_set import evaluation_set, load_tables

    if draws < 1:
        raise UserError(f"--draws {draws}: give 1 or more")
    index = workdir.index(config)
    tables = load_tables(workdir)
    data = evaluation_set(index, tables, split)
    train = scored_split(index, tables, "train")
    return Run(workdir, config, index, tables, split, draws, data, train, network_costs(workdir, tables))


def scored_split(index: FeatureIndex, tables: dict, split: str) -> "EvaluationSet | None":
    """The videos of a split with their scores; None if none of them has any."""
    from scsampler_tf.evaluation_set import evaluation_set

    scored = any(video.video_id in tables["classifier"].values for video in index.of_split(split))
    return evaluation_set(index, tables, split) if scored else None


def network_costs(workdir: Workdir, tables: dict | None = None):
    """Multiply-adds of the run's networks, as counted when they were trained, and their times if scoring
    has noted those of all `tables` on one device."""
    from scsampler_tf.cost import Sampler
    from scsampler_tf.methods import Costs
    from scsampler_tf.model_folder import ABOUT_NAME

    about = {
        kind: read_json(workdir.model(kind) / ABOUT_NAME)
        for kind in ("classifier", *SAMPLERS)
        if workdir.table(kind).exists()  # a network that was not scored has no part in the table
    }
    samplers = {
        kind: Sampler(values["cost"]["multiply_adds"], values["frames_per_clip"])
        for kind, values in about.items()
        if kind != "classifier"
    }
    return Costs(about["classifier"]["cost"]["multiply_adds"], samplers, measured_seconds(tables or {}))


def measured_seconds(tables: dict) -> dict[str, float]:
    """Seconds a clip of every network; empty unless all were timed, on the same device."""
    timings = {kind: table.timing for kind, table in networks_of(tables).items()}
    devices = {timing.get("device") for timing in timings.values()}
    if len(devices) != 1 or None in devices:
        return {}
    return {kind: timing["seconds_per_clip"] for kind, timing in timings.items()}


def networks_of(tables: dict) -> dict:
    """The score tables without that of activations, which a sampler has made beside its scores."""
    return {kind: table for kind, table in tables.items() if kind != ACTIVATIONS}


def used(index: FeatureIndex, data, tables: dict, split: str, seed: int, draws: int) -> dict:
    """What the numbers stand on: videos used and refused, networks, seeds."""
    return {
        "split": split,
        "videos": len(data.videos),
        "videos_with_sound": int(data.has_audio.any(axis=1).sum()),
        "longest_video_clips": int(data.mask.sum(axis=1).max()),
        "refused": [dataclasses.asdict(item) for item in index.refused],
        "not_scored": data.missing,
        "networks": {kind: table.made_by for kind, table in networks_of(tables).items()},
        "timing": {kind: table.timing for kind, table in networks_of(tables).items()},
        "seed": seed,
        "random_draws": draws,
    }
