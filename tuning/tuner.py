"""Keras Tuner for sets of samplers: what runs a trial, and how a search goes on."""

import contextlib
import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import keras_tuner as kt

from pipelines.errors import UserError
from pipelines.files import make_folder
from tuning.samplers import Diverged

IDLE_S = 0.5  # between two questions of a worker for whom there is no trial yet


class Enough(Exception):
    """The trainings or the minutes that a search may take are spent; says which."""


class SettingsTuner(kt.Tuner):
    """Runs a trial by `run(values)`, which returns its metrics, and reports each end to `after()`.

    `Diverged` makes a trial a failed one. Any other error ends the search with the trial unfinished, and
    the same command tries that trial again once the cause is mended.
    """

    def __init__(self, oracle: kt.Oracle, run: Callable[[dict], dict], **project):
        self._run = run
        self._after: Callable[[], None] = lambda: None
        super().__init__(oracle, **project)

    def pre_create_trial(self):
        """A pause, because an oracle that waits for others' trials is asked again at once."""
        if getattr(self, "_asked", None) is not None:
            time.sleep(IDLE_S)
        self._asked = True

    def on_trial_begin(self, trial):
        """Notes that the oracle had something to do."""
        self._asked = None

    def run_trial(self, trial, *args, **kwargs) -> dict[str, float]:
        """The metrics of a trial, the objective among them."""
        try:
            return self._run(trial.hyperparameters.values)
        except Diverged as error:
            raise kt.errors.FailedTrialError(str(error)) from error
        except Exception as error:
            raise kt.errors.FatalError(str(error)) from error

    def on_trial_end(self, trial):
        """Notes the trial as done."""
        with contextlib.redirect_stdout(io.StringIO()):  # it prints parts of what it sends to a chief
            super().on_trial_end(trial)
        self._after()

    def search_settings(self, after: Callable[[], None]) -> None:
        """Runs the trials that are left; what a trial raises comes out as it was raised."""
        self._after = after
        try:
            self.search(verbose=0)
        except kt.errors.FatalError as error:
            raise error.__cause__ or error from None


def open_tuner(make: Callable[[], kt.Oracle], run: Callable[[dict], dict], folder: Path) -> SettingsTuner:
    """A new search in `folder`, or the one that was begun there.

    Keras Tuner writes its notes in place, so a kill can leave them torn; such a search begins anew, which
    costs little because trained samplers and what they gave are kept elsewhere. Nothing else may lie in
    `folder`.
    """
    project = {"directory": str(make_folder(folder).parent), "project_name": folder.name}
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it announces a file name nobody needs
            tuner = SettingsTuner(make(), run, **project)
        # A trial that was written down before the oracle's own notes is unknown to it.
        torn = set(tuner.oracle.trials) != set(tuner.oracle.start_order)
    except (ValueError, KeyError, TypeError, RuntimeError, FileNotFoundError):
        torn = True
    if torn:
        print(f"{folder}: the notes of the search are torn; its trials are gone through again", flush=True)
        tuner = SettingsTuner(make(), run, overwrite=True, **project)
    return tuner


def open_worker(make: Callable[[], kt.Oracle], run: Callable[[dict], dict], folder: Path) -> SettingsTuner:
    """A worker of a search whose trials a chief gives out; its own notes hold nothing that is needed."""
    shutil.rmtree(folder, ignore_errors=True)
    return SettingsTuner(make(), run, directory=str(make_folder(folder.parent)), project_name=folder.name)


def require_packages(tuner: str, together: bool) -> None:
    """Raises `UserError` where the optional packages are missing; `together` with other processes."""
    import importlib.util

    needed = {"keras_tuner": "keras-tuner"}
    if tuner == "bayesian":
        needed |= {"scipy": "scipy", "sklearn": "scikit-learn"}
    if together:
        needed |= {"grpc": "grpcio"}
    for module, name in needed.items():
        if importlib.util.find_spec(module) is None:
            raise UserError(f"{name} is not installed; run pip install 'scsampler-tf[tuning]'")
