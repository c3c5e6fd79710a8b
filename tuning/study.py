"""What all trials of a search share: the run, its validation scores, its samplers."""

import time
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import make_folder, write_text
from scsampler_tf.config import SAMPLERS, ExperimentConfig, SamplerConfig
from scsampler_tf.evaluate import network_costs
from scsampler_tf.evaluation_set import EvaluationSet, evaluation_set, load_tables
from scsampler_tf.model_folder import ABOUT_NAME
from scsampler_tf.selection_config import seer
from scsampler_tf.tables import ScoreTable
from scsampler_tf.workdir import Workdir
from tuning.assess import make_measure
from tuning.cache import assessed, forget_others, name_of
from tuning.deadline import Deadline
from tuning.exhaustive import assess_all
from tuning.free import make_free_space, neighbours
from tuning.options import SMOOTH, Options
from tuning.rows import OWN, Explored, Row
from tuning.samplers import Place, Samplers, own_sampler, train_and_score
from tuning.trained import Trainable, TrainedSpace
from tuning.tuner import Enough

AC = "ac"


class Study:
    """A run that is being searched. Raises `UserError` for what it lacks, before anything is written."""

    def __init__(self, workdir: Workdir, config: ExperimentConfig, options: Options):
        self.tables = load_tables(workdir)
        kinds = [kind for kind in SAMPLERS if kind in self.tables]
        for kind in ("classifier", *kinds):
            if not (workdir.model(kind) / ABOUT_NAME).exists():
                raise UserError(f"{workdir.model(kind)}: no trained network, but its scores are there")
        self.workdir, self.config, self.options = workdir, config, options
        self.index, self.costs = workdir.index(config), network_costs(workdir)
        self.own = {kind: own_sampler(workdir, kind) for kind in kinds}
        self.space = self._trained_space()
        self.validation = evaluation_set(self.index, self.tables, "val")
        self.free = make_free_space(
            config.selection,
            visual=self.validation.visual is not None,
            audio=self.validation.audio is not None,
            longest=self.validation.mask.shape[1],
            clips=options.clips,
        )
        self.settings = self.free.settings(options.free_budget, options.seed)
        self._near = neighbours(self.settings) if options.objective == SMOOTH else None
        self.measure = make_measure(options.objective, self.validation, self.costs)
        self.deadline = Deadline(options.max_minutes)
        self.samplers = Samplers(workdir, config, self.tables, self.own, self._make, self.deadline.check)
        self._claims: Path | None = None
        self._assessed_in, self._assessed = workdir.path / "tuning" / "assessed", set()

    @property
    def made_by(self) -> dict:
        """What made the score tables of the run's own networks."""
        return {kind: table.made_by for kind, table in self.tables.items()}

    def claims_in(self, folder: Path) -> None:
        """Notes every training of this search in `folder`, which the processes of a search share."""
        self._claims = make_folder(folder)

    def explore(self, trial: str, samplers: dict[str, SamplerConfig]) -> Explored:
        """What all free settings give with these samplers, which are trained when they are missing.

        Raises `Enough` where that would be more training than is allowed, `Diverged` where it fails.
        """
        tables = self.tables_of(samplers)
        data = evaluation_set(self.index, tables, "val")
        name = name_of(tables, data, self.settings, self.costs)
        self._assessed.add(name)
        found = assessed(self._assessed_in / name, data, self.settings, self.costs)
        most = self.options.max_gflops
        return Explored(trial, samplers, self.settings, found, self.measure, most, self._near)

    def forget_assessed(self) -> None:
        """Removes from the disk what this search has not asked for: other sets, other searches."""
        forget_others(self._assessed_in, self._assessed)

    def affordable(self) -> bool:
        """Whether any setting keeps to the budget; that depends on the run's networks alone."""
        costs = assess_all(self.validation, self.settings, self.costs).gflops_per_video
        return bool(costs.min() <= self.options.max_gflops)

    def own_row(self) -> Row:
        """The run's own settings with its own samplers."""
        return self.explore(OWN, self.samplers_of(self.space.own_values())).row(0)

    def samplers_of(self, values: dict) -> dict[str, SamplerConfig]:
        """The samplers that a trial may train."""
        return self.space.configs(values)

    def tables_of(self, samplers: dict[str, SamplerConfig]) -> dict[str, ScoreTable]:
        """The run's score tables with those of these samplers in place of its own."""
        return {**self.tables, **{kind: self._table(kind, each) for kind, each in samplers.items()}}

    def is_made(self, samplers: dict[str, SamplerConfig]) -> bool:
        """Whether these samplers need no training."""
        return all(self.samplers.is_made(kind, each) for kind, each in samplers.items())

    def data(self, samplers: dict[str, SamplerConfig], split: str) -> EvaluationSet:
        """The videos of a split with these samplers' scores."""
        return evaluation_set(self.index, self.tables_of(samplers), split)

    def metrics(self, values: dict) -> dict[str, float]:
        """The numbers of a trial: the best of its free settings."""
        samplers = self.samplers_of(values)
        if any(not self.samplers.is_own(kind, each) for kind, each in samplers.items()):
            self.deadline.check()
        best = self.explore("", samplers).best()
        if best is None:
            raise UserError(too_dear(self))
        return {"objective": best.objective, **vars(best.assessment)}

    def _table(self, kind: str, sampler: SamplerConfig) -> ScoreTable:
        if not self.samplers.is_made(kind, sampler):
            self._claim(self.samplers.place(kind, sampler))
        return self.samplers.table(kind, sampler)

    def _claim(self, place: Place) -> None:
        name, most = place.table.parent.name, self.options.max_trainings
        claim = self._claims / name if self._claims else None
        if claim is not None and claim.exists():
            return
        if most is not None and claim is not None and len(list(self._claims.iterdir())) >= most:
            raise Enough(f"--max-trainings {most} are spent")
        if claim is not None:
            write_text(claim, "")

    def _make(self, workdir: Workdir, config: ExperimentConfig, kind: str, place: Place) -> ScoreTable:
        began = time.monotonic()
        self.deadline.check()
        if not self.options.quiet:
            print(f"training {kind}: {place.folder}", flush=True)
        with self.deadline.kept():
            made = train_and_score(workdir, config, kind, place, self.options.workers, True)
        if not self.options.quiet:
            print(f"trained {kind} in {time.monotonic() - began:.0f} s", flush=True)
        return made

    def _trained_space(self) -> TrainedSpace:
        wanted = self.options.train
        compared = seer(self.own) if self.config.selection.diversity else None
        if wanted is None:
            wanted = [kind for kind, own in self.own.items() if own.objective != AC and kind != compared]
        if compared in wanted:
            raise UserError(
                f"--train {compared}: selection.diversity compares clips by the activations of the run's own "
                f"sampler {compared}; leave it out"
            )
        for kind in wanted:
            if kind not in self.own:
                raise UserError(
                    f"--train {kind}: the run has no scored sampler of that kind; leave it out, or run "
                    f"python -m scsampler_tf.train sampler --kind {kind} and scsampler_tf.score"
                )
        return TrainedSpace(tuple(Trainable(kind, self.own[kind]) for kind in self.own if kind in wanted))


def too_dear(study: Study) -> str:
    """The sentence for a budget that nothing keeps."""
    least = assess_all(study.validation, study.settings, study.costs).gflops_per_video.min()
    return (
        f"--max-gflops {study.options.max_gflops:g}: no setting is that cheap; the cheapest takes "
        f"{least:.4g} GFLOPs per video"
    )
