"""What a search is asked for, and whether it can be had."""

from dataclasses import dataclass

from pipelines.errors import UserError
from scsampler_tf.config import SAMPLERS

SMOOTH = "val_smooth_accuracy"
OBJECTIVES = (SMOOTH, "val_accuracy", "val_mean_class_accuracy", "val_true_score")
TUNERS = ("random", "bayesian", "hyperband", "grid")
TRIALS, KEEP, COMBINATIONS = 20, 5, 200


@dataclass(frozen=True)
class Options:
    """The options of `python -m tuning.search`; None is no limit, or for `train` and `clips` what the run
    suggests."""

    tuner: str = "random"
    seed: int = 0
    objective: str = SMOOTH
    max_gflops: float | None = None
    train: tuple[str, ...] | None = None
    clips: tuple[int, ...] | None = None
    free_budget: int | None = None
    max_trials: int = TRIALS
    max_trainings: int | None = None
    max_minutes: float | None = None
    combinations: int = COMBINATIONS
    keep: int = KEEP
    test: bool = True
    workers: int = 2
    lost_after: float = 60.0
    quiet: bool = False

    def __post_init__(self):
        for name, known in (("tuner", TUNERS), ("objective", OBJECTIVES)):
            if getattr(self, name) not in known:
                raise UserError(f"--{name} {getattr(self, name)}: is none of {', '.join(known)}")
        for kind in self.train or ():
            if kind not in SAMPLERS:
                raise UserError(f"--train {kind}: is none of {', '.join(SAMPLERS)}")
        for name, least in (("max_trials", 1), ("free_budget", 1), ("keep", 1)):
            self._at_least(name, least)
        for name in ("max_trainings", "combinations", "seed", "workers"):
            self._at_least(name, 0)
        for name in ("max_gflops", "max_minutes", "lost_after"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"--{name.replace('_', '-')} {value:g}: give a number above 0")

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} {value}: give {least} or more")

    def about(self) -> dict:
        """What makes it another search, as plain data."""
        names = ("tuner", "seed", "objective", "max_gflops", "free_budget", "clips")
        return {name: getattr(self, name) for name in names}
