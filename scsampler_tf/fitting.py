"""One training run: initial weights, schedule, checkpoints, resume, TensorBoard."""

import contextlib
import dataclasses
import functools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipelines.errors import LostWorker, UserError
from pipelines.files import read_json, write_json
from pipelines.full_disk import full_disk
from pipelines.index import FeatureIndex, VideoRecord
from scsampler_tf.board.boards import LOGS
from scsampler_tf.board.callback import Board
from scsampler_tf.board.profiler import Profiler
from scsampler_tf.callbacks import (
    Backup,
    BestModel,
    EpochSeeds,
    History,
    Seen,
    StopOnNaN,
    Validation,
    read_history,
    restore,
)
from scsampler_tf.model_folder import NETWORK_NAME, finish_run
from scsampler_tf.models.layout import weights_by_path
from scsampler_tf.models.precision import FLOAT32, in_float32
from scsampler_tf.models.transfer import InitialWeights, transfer
from scsampler_tf.optimizer import SlowedAdamW
from scsampler_tf.runtime import is_chief, summed, versions, worker_of
from scsampler_tf.schedules import Plateau, schedule
from scsampler_tf.termination import Asked, StopWhenAsked, end_process, sigterm_noted
from scsampler_tf.training_loop import run_epochs
from scsampler_tf.validation import ClassifierValidation, SamplerValidation, measured_by_all

# Settings that trainings of old do not know, with the values at which they change nothing.
LATER = {"rank_form": "standard", "schedule": "cosine", "pretrained_rate": 1.0}
LATER |= {"crop_area": 0.0, "colour": 0.0, "mask": 0.0}
LATER_OF_SAMPLERS = {"flip": False}
# What the others' steps end with where a worker is gone.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
LOST += (tf.errors.DeadlineExceededError, tf.errors.InternalError)
ONLY_WITH = {"step_epochs": "step", "patience": "plateau"}


@dataclass(frozen=True)
class Fit:
    """What is trained: `model` is fitted, `network` is the part of it that is kept."""

    kind: str
    model: keras.Model
    network: keras.Model
    loss: keras.losses.Loss
    metrics: dict[str, Callable]
    """Functions (target, prediction) -> `[B]` values, by name."""
    data: Callable[[int, tuple[int, int], int], tf.data.Dataset]
    """Endless batches from the epoch of this number on, counted from 0: the part of worker w of W (w, W),
    so many examples of it at a time."""
    batch_videos: Callable[[int, int], list[VideoRecord]]
    """The videos of a batch that has been trained on, by epoch and number in it."""
    steps: int
    batch: int
    """Examples of a step on all devices."""
    seed: int
    validation: ClassifierValidation | SamplerValidation | None
    monitor: str
    about: dict
    failure: Callable[[Exception], UserError | None] = lambda error: None
    """The sentence for an error that the data have caused."""
    precision: str = FLOAT32
    profile: bool = False
    """Write what some batches spend their time on beside the logs, for TensorBoard."""
    pretrained: frozenset[str] = frozenset()
    """Layers of the network that begin with weights of another one."""
    watchers: tuple[Board, ...] = ()
    """What looks on and writes for TensorBoard; one process has them."""


def with_weights(run: dict, weights: InitialWeights | None, precision: str = FLOAT32) -> dict:
    """`run_of` with what is in the file of initial weights, wherever that file lies, and the precision."""
    there = run["config"]
    later = LATER if run["kind"] == "classifier" else {**LATER, **LATER_OF_SAMPLERS}
    config = {
        key: value
        for key, value in there.items()
        if key != "weights"
        and not (key in later and value == later[key])
        and not (key in ONLY_WITH and there["schedule"] != ONLY_WITH[key])
    }
    mixed = {} if precision == FLOAT32 else {"precision": precision}  # trainings of old do not know it
    return {**run, "config": config, "weights": weights.digest if weights else None, **mixed}


def begin_with(
    weights: InitialWeights | None,
    network: keras.Model,
    labels: Sequence[str] | None,
    kind: str,
    quiet: bool = False,
) -> dict:
    """Puts the initial weights into a network and returns what model.json says of that.

    `labels` are the names of the network's classes, None for a saliency. Call it within the strategy's
    scope.
    """
    if weights is None:
        return {}
    done = transfer(network, weights.load(), classes=weights.about.classes, labels=labels)
    if not quiet:
        print(f"{kind}: begins with {weights.path}: {done.sentence()}", flush=True)
    known = {"file": Path(weights.path).name, "digest": weights.digest, "source": weights.about.source}
    return {"initial_weights": {**known, **dataclasses.asdict(done)}}


def run_fit(fit: Fit, config, folder: Path, index: FeatureIndex, strategy, quiet: bool = False) -> None:
    """Runs a training in `folder`, or goes on with an interrupted one where its newest backup stands: after
    its last whole epoch, or after the batch at which SIGTERM has ended it.

    With 0 epochs the network is measured and kept as it is. Of several processes the chief writes; all of
    them read what an earlier training has left in `folder`.
    """
    with _told_in_a_sentence(fit, folder, strategy):
        _run_fit(fit, config, folder, index, strategy, quiet)


def _run_fit(fit: Fit, config, folder: Path, index: FeatureIndex, strategy, quiet: bool) -> None:
    chief = is_chief(strategy)
    best = BestModel(Float32(fit.network), folder / NETWORK_NAME, fit.monitor, writes=chief)
    began = time.monotonic()
    asked = Asked()
    if config.epochs:
        asked = _fit(fit, config, folder, best, strategy, quiet or not chief)
    else:
        measured = measured_by_all(fit.validation, strategy) if fit.validation else {}
        best.on_epoch_end(-1, {f"val_{name}": value for name, value in measured.items()})
    if chief:
        about = {**fit.about, "precision": fit.precision, "best": best.best, "monitor": fit.monitor}
        about |= {"seconds": round(time.monotonic() - began, 1), "versions": versions()}
        finish_run(folder, fit.kind, index.labels, index.settings, about)
        shutil.rmtree(folder / "backup", ignore_errors=True)
    summed(strategy, np.zeros(1, np.float32))  # nobody leaves before the network is written
    if asked.yes:  # since the last epoch; whoever called shall not begin the next training
        end_process()


def _fit(fit: Fit, config, folder: Path, best: BestModel, strategy, quiet: bool) -> Asked:
    with sigterm_noted() as asked, _abandoned(fit.watchers):
        with strategy.scope():
            optimizer = _optimizer(fit, config)
            fit.model.compile(optimizer=optimizer, loss=fit.loss)
            optimizer.build(fit.model.trainable_variables)
            seen = restore(fit.model, folder / "backup")
        _require_same_start(fit, folder, seen, strategy)
        callbacks = _callbacks(fit, config, folder, best, seen, asked, strategy)
        run_epochs(fit, seen, config.epochs, callbacks, asked, strategy, quiet)
        return asked


@contextlib.contextmanager
def _abandoned(watchers: tuple[Board, ...]) -> Iterator[None]:
    """Lets the watchers go when a training is ended: they would finish their pictures first."""
    try:
        yield
    except BaseException:
        for watcher in watchers:
            watcher.abandon()
        raise


def _require_same_start(fit: Fit, folder: Path, seen: Seen, strategy) -> None:
    """Raises `UserError` where an epoch has other steps than before an interruption, `LostWorker` where the
    processes do not go on from the same place."""
    plan, known = {"batch": fit.batch, "steps": fit.steps}, folder / "plan.json"
    there = read_json(known) if any(seen) and known.exists() else plan
    if there != plan:
        raise UserError(
            f"{folder}: was begun with batches of {there['batch']}, {there['steps']} an epoch, now they are "
            f"of {fit.batch}; go on with as many devices as before, or delete that folder"
        )
    worker, workers = worker_of(strategy)
    if workers > 1:
        rows = np.zeros((workers, 3), np.float32)
        rows[worker] = *seen, len(read_history(folder / "history.csv"))
        if np.ptp(summed(strategy, rows), axis=0).any():
            raise LostWorker(
                f"{folder}: the workers do not see the same files there; give all of them the same folder, "
                "and start again"
            )
    if worker == 0:
        write_json(known, plan)


def _callbacks(
    fit: Fit,
    config,
    folder: Path,
    best: BestModel,
    seen: Seen,
    asked: Asked,
    strategy,
) -> list[keras.callbacks.Callback]:
    worker = worker_of(strategy)
    backup = Backup(folder / "backup", seen, writes=worker[0] == 0)
    history = folder / "history.csv"
    stop = StopWhenAsked(asked, backup, fit.steps, worker)
    measure = functools.partial(measured_by_all, fit.validation, strategy, stop.between_videos)
    return [
        *([Validation(measure)] if fit.validation else []),
        *([Plateau(config, fit.monitor, history)] if config.schedule == "plateau" else []),
        EpochSeeds(fit.network, fit.seed, seen),
        StopOnNaN(fit.batch_videos, seen),
        best,
        *([History(history)] if worker[0] == 0 else []),
        # After the best network and the history, which can do an epoch again; what they lack when the
        # training goes on after it they would lack for ever.
        backup,
        *(_shown(fit, folder) if worker[0] == 0 else []),
        stop,
    ]


def _shown(fit: Fit, folder: Path) -> list[keras.callbacks.Callback]:
    """What the chief writes for TensorBoard."""
    return [*fit.watchers, *([Profiler(folder / LOGS)] if fit.profile else [])]


@contextlib.contextmanager
def _told_in_a_sentence(fit: Fit, folder: Path, strategy) -> Iterator[None]:
    """What a user can mend, from under errors of TensorFlow and of files."""
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        if failure := full_disk(error, folder) or fit.failure(error):
            raise failure from None
        if worker_of(strategy)[1] > 1 and isinstance(error, LOST):
            raise LostWorker(
                "another worker has ended; start the same command on all machines again, it goes on from the "
                "last whole epoch"
            ) from None
        lacking = isinstance(error, tf.errors.UnimplementedError) or "No OpKernel" in str(error)
        if fit.precision != FLOAT32 and lacking:
            raise UserError(
                f"precision: {fit.precision} lacks an operation of {fit.network.name} on this device "
                f"({str(error).splitlines()[0][:120]}); use mixed_bfloat16 or float32"
            ) from None
        raise


@dataclass(frozen=True)
class Float32:
    """Saves a network that is trained in mixed precision as one of float32, which runs anywhere."""

    network: keras.Model

    def save(self, path: Path) -> None:
        """Writes the network with the weights that it has now."""
        in_float32(self.network).save(path)


def _optimizer(fit: Fit, config) -> keras.optimizers.Optimizer:
    plain = _adam(fit, config)
    # Small gradients would be zero in float16; bfloat16 has the range of float32.
    return keras.optimizers.LossScaleOptimizer(plain) if fit.precision == "mixed_float16" else plain


def _adam(fit: Fit, config) -> keras.optimizers.Optimizer:
    rate = schedule(config, fit.steps)
    if not fit.pretrained or config.pretrained_rate == 1:
        return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)
    slowed = {
        weight.path for _, layer, weight in weights_by_path(fit.network) if layer.name in fit.pretrained
    }
    return SlowedAdamW(rate, config.weight_decay, slowed, config.pretrained_rate)


def pretrained_layers(begun: dict) -> frozenset[str]:
    """The layers of which `begin_with` says that they begin with weights of another network."""
    known = begun.get("initial_weights", {})
    return frozenset((*known.get("copied", ()), *known.get("adapted", ())))
