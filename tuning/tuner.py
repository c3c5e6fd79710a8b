"""Keras Tuner for settings: what proposes the next trial, what runs it, and how a search goes on."""

import contextlib
import io
import random
from collections.abc import Callable
from pathlib import Path

import keras_tuner as kt

from tuning.spaces import Space

OBJECTIVE = "objective"


class SettingsTuner(kt.Tuner):
    """Runs a trial by `run(values)`, which returns its metrics, and reports each end to `after()`.

    Any error ends the search with the trial unfinished: settings don't fail by chance, and the same
    command tries that trial again once the cause is mended.
    """

    def __init__(self, oracle: kt.Oracle, run: Callable[[dict], dict], **project):
        self._run = run
        self._after: Callable[[kt.engine.trial.Trial], None] = lambda trial: None
        super().__init__(oracle, **project)

    def run_trial(self, trial, *args, **kwargs) -> dict[str, float]:
        """The metrics of a trial, the objective among them."""
        try:
            return self._run(trial.hyperparameters.values)
        except Exception as error:
            raise kt.errors.FatalError(str(error)) from error

    def on_trial_end(self, trial):
        """Notes the trial as done."""
        super().on_trial_end(trial)
        self._after(trial)

    def search_settings(self, after: Callable) -> None:
        """Runs the trials that are left; what a trial raises comes out as it was raised."""
        self._after = after
        try:
            self.search(verbose=0)
        except kt.errors.FatalError as error:
            raise error.__cause__ or error from None


class GridOracle(kt.Oracle):
    """Every setting of the space in its order.

    Keras Tuner's own grid keeps its place in memory only, so a search that is taken up again ends at once.
    """

    def __init__(self, space: Space, **options):
        self._grid = space.grid()
        super().__init__(**options)

    def populate_space(self, trial_id: str) -> dict:
        """The setting after the last one that was begun."""
        place = len(self.start_order)
        if place >= len(self._grid):
            return {"status": "STOPPED"}
        return {"status": "RUNNING", "values": dict(self._grid[place])}


class BayesianOracle(kt.oracles.BayesianOptimizationOracle):
    """Keras Tuner's Gaussian process; where it proposes a setting again, one by chance that is new."""

    def __init__(self, space: Space, **options):
        self._space = space
        super().__init__(**options)

    def populate_space(self, trial_id: str) -> dict:
        """The most promising setting that was not tried."""
        response = super().populate_space(trial_id)
        if response["status"] != "RUNNING":
            return response
        tried = {self._space.setting(trial.hyperparameters.values) for trial in self.trials.values()}
        if self._space.setting(response["values"]) in tried:
            left = [values for values in self._space.grid() if self._space.setting(values) not in tried]
            if not left:
                return {"status": "STOPPED"}
            response["values"] = random.Random(f"{self.seed}-{trial_id}").choice(left)
        return response


def hyperparameters(space: Space) -> kt.HyperParameters:
    """The space in Keras Tuner's words, each parameter under the schemes for which it matters."""
    found = kt.HyperParameters()
    for choice in space.choices():
        under = [scheme for scheme in choice.schemes if scheme in space.schemes]
        if len(under) == len(space.schemes):
            found.Choice(choice.name, list(choice.values))
        else:
            found.Choice(choice.name, list(choice.values), parent_name="fusion", parent_values=under)
    return found


def make_oracle(kind: str, space: Space, max_trials: int, seed: int) -> kt.Oracle:
    """`random`, `bayesian` or `grid`."""
    options = {
        "objective": kt.Objective(OBJECTIVE, "max"),
        "max_trials": max_trials,
        "hyperparameters": hyperparameters(space),
        "allow_new_entries": False,
        "seed": seed + 1,  # Keras Tuner takes 0 for no seed
    }
    if kind == "grid":
        return GridOracle(space, **options)
    if kind == "bayesian":
        return BayesianOracle(space, **options)
    return kt.oracles.RandomSearchOracle(**options)


def open_tuner(make: Callable[[], kt.Oracle], run: Callable[[dict], dict], folder: Path) -> SettingsTuner:
    """A new search in `folder`, or the one that was begun there.

    Keras Tuner writes its notes in place, so a kill can leave them torn; such a search begins anew, which
    costs its arithmetic only because trained samplers are kept elsewhere.
    """
    project = {"directory": str(folder.parent), "project_name": folder.name}
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it announces a file name nobody needs
            tuner = SettingsTuner(make(), run, **project)
        # A trial that was written down before the oracle's own notes is unknown to it.
        torn = set(tuner.oracle.trials) != set(tuner.oracle.start_order)
    except (ValueError, KeyError, TypeError, RuntimeError, OSError):
        torn = True
    if torn:
        print(f"{folder}: the notes of the search are torn; its trials are computed again", flush=True)
        tuner = SettingsTuner(make(), run, overwrite=True, **project)
    return tuner
