"""The samplers of a search: each is trained and scored once, and kept by what it was made from.

`WORKDIR/tuning/samplers/KIND-DIGEST/` holds `network/` (as `scsampler_tf.train` writes it), `scores.npz` and
`about.json`. The score table is all that a search needs of a sampler; only the networks of the best ones are
kept (`pruning`).
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import make_folder, read_json, write_json
from pipelines.folder_lock import writer_in_turn
from scsampler_tf.config import ExperimentConfig, SamplerConfig
from scsampler_tf.model_folder import ABOUT_NAME, NETWORK_NAME
from scsampler_tf.strategies import one_process
from scsampler_tf.tables import ScoreTable, load_table
from scsampler_tf.workdir import Workdir

SAMPLERS_NAME = Path("tuning") / "samplers"
NOTE_NAME, FAILED_NAME = "about.json", "failed.json"
NOT_NEEDED = ("backup", "logs")  # of a training that is done
DIVERGED = "not a number"  # what a training says of its loss before it ends


class Diverged(Exception):
    """A training whose loss was no number any more: these hyperparameters lead nowhere."""


@dataclass(frozen=True)
class Place:
    """Where a sampler's network and its score table lie, relative to the run's folder."""

    folder: Path
    table: Path


Make = Callable[[Workdir, ExperimentConfig, str, Place], ScoreTable]


def own_sampler(workdir: Workdir, kind: str) -> SamplerConfig | None:
    """How the run's sampler was really trained; None where it has none."""
    about = workdir.model(kind) / ABOUT_NAME
    return SamplerConfig(**read_json(about)["config"]) if about.exists() else None


def place_of(kind: str, sampler: SamplerConfig, config: ExperimentConfig, made_from: dict) -> Place:
    """The folder of a sampler that a search trains: its name changes with whatever it is made from.

    Settings at their defaults are left out of it. `made_from` says which videos, features and classifier's
    scores it learns from.
    """
    plain = SamplerConfig()
    key = {
        # A setting that a later version adds leaves the name alone as long as it changes nothing.
        "sampler": {name: value for name, value in vars(sampler).items() if value != vars(plain)[name]},
        "seed": config.seed,
        "K": config.selection.K,
        "precision": config.precision,
        "made_from": made_from,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    folder = SAMPLERS_NAME / f"{kind}-{digest}"
    return Place(folder / "network", folder / "scores.npz")


class Samplers:
    """The score tables of a run's samplers trained with any hyperparameters.

    `tables` and `own` are those of the run's own samplers, which need no training. `make` trains and scores
    a sampler; of several processes one does it, the others wait and call `waiting` now and then, whose
    errors end that.
    """

    def __init__(
        self,
        workdir: Workdir,
        config: ExperimentConfig,
        tables: dict[str, ScoreTable],
        own: dict[str, SamplerConfig],
        make: Make,
        waiting: Callable[[], None] = lambda: None,
    ):
        self._workdir, self._config, self._tables, self._own, self._make = workdir, config, tables, own, make
        self._waiting = waiting
        train = sorted(video.video_id for video in workdir.index(config).of_split("train"))
        videos = hashlib.sha256(repr(train).encode()).hexdigest()[:16]
        self._made_from = {**tables["classifier"].made_by, "train_videos": videos}
        self._held: dict[Place, ScoreTable] = {}

    def is_own(self, kind: str, sampler: SamplerConfig) -> bool:
        """Whether this is the run's own sampler."""
        return sampler == self._own[kind]

    def place(self, kind: str, sampler: SamplerConfig) -> Place:
        """Where a sampler lies or will lie."""
        if self.is_own(kind, sampler):
            run = self._workdir.path
            return Place(
                self._workdir.model(kind).relative_to(run), self._workdir.table(kind).relative_to(run)
            )
        return place_of(kind, sampler, self._config, self._made_from)

    def is_made(self, kind: str, sampler: SamplerConfig) -> bool:
        """Whether no training is needed: the sampler's scores of every video are there."""
        return self._found(kind, self.place(kind, sampler)) is not None

    def table(self, kind: str, sampler: SamplerConfig) -> ScoreTable:
        """A sampler's scores; trains it when they are missing. Raises `Diverged` where that cannot be done,
        now and ever."""
        place = self.place(kind, sampler)
        if (found := self._found(kind, place)) is not None:
            return found
        folder = make_folder((self._workdir.path / place.table).parent)
        with writer_in_turn(folder, self._waiting):
            if (found := self._found(kind, place)) is not None:  # another process was faster
                return found
            if (folder / FAILED_NAME).exists():
                raise Diverged(read_json(folder / FAILED_NAME)["why"])
            write_json(folder / NOTE_NAME, {"kind": kind, "sampler": dataclasses.asdict(sampler)})
            try:
                return self._make(
                    self._workdir, dataclasses.replace(self._config, **{kind: sampler}), kind, place
                )
            except UserError as error:
                if DIVERGED not in str(error):
                    raise
                write_json(folder / FAILED_NAME, {"why": str(error)})
                shutil.rmtree(self._workdir.path / place.folder, ignore_errors=True)
                raise Diverged(str(error)) from None
            finally:
                self._found(kind, place)

    def _found(self, kind: str, place: Place) -> ScoreTable | None:
        if place.table == self._workdir.table(kind).relative_to(self._workdir.path):
            return self._tables[kind]
        if place not in self._held:
            path = self._workdir.path / place.table
            table = load_table(path) if path.exists() else None
            if table is None or set(self._tables["classifier"].values) - set(table.values):
                return None
            self._held[place] = table
        return self._held[place]


def train_and_score(
    workdir: Workdir, config: ExperimentConfig, kind: str, place: Place, workers: int, quiet: bool
) -> ScoreTable:
    """Trains the sampler `kind` of `config` and scores every video; goes on where it stopped."""
    from scsampler_tf.score import score
    from scsampler_tf.train import train

    folder, table = workdir.path / place.folder, workdir.path / place.table
    if (folder / ABOUT_NAME).exists() and not (folder / NETWORK_NAME).exists():
        shutil.rmtree(folder)  # its network was not kept: what is left of that training helps no other
    options = {"strategy": one_process(config.strategy, "a search"), "pictures": False}
    train(kind, workdir, config, workers=workers, folder=folder, quiet=quiet, **options)
    made = score(kind, workdir.index(config), folder, table, workers=workers, quiet=quiet)
    for name in NOT_NEEDED:
        shutil.rmtree(folder / name, ignore_errors=True)
    return made
