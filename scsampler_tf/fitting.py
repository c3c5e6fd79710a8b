"""One training run with `fit`: initial weights, schedule, checkpoints, resume, TensorBoard."""

import contextlib
import dataclasses
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from pipelines.errors import UserError
from pipelines.index import FeatureIndex, VideoRecord
from scsampler_tf.callbacks import Backup, BestModel, EpochSeeds, Seen, StopOnNaN, Validation, restore
from scsampler_tf.model_folder import NETWORK_NAME, finish_run
from scsampler_tf.models.layout import weights_by_path
from scsampler_tf.models.precision import FLOAT32, in_float32
from scsampler_tf.models.transfer import InitialWeights, transfer
from scsampler_tf.optimizer import SlowedAdamW
from scsampler_tf.runtime import versions
from scsampler_tf.schedules import Plateau, schedule
from scsampler_tf.termination import Asked, StopWhenAsked, sigterm_noted

# Settings that trainings of old do not know, with the values at which they change nothing.
LATER = {"rank_form": "standard", "schedule": "cosine", "pretrained_rate": 1.0}
LATER |= {"crop_area": 0.0, "colour": 0.0}
PROFILED = (2, 11)  # the first and last batch; the very first builds the graph
ONLY_WITH = {"step_epochs": "step", "patience": "plateau"}


@dataclass(frozen=True)
class Fit:
    """What is trained: `model` is fitted, `network` is the part of it that is kept."""

    kind: str
    model: keras.Model
    network: keras.Model
    loss: keras.losses.Loss
    metrics: list
    data: Callable[[int], tf.data.Dataset]
    """Endless batches from the epoch of this number on, counted from 0."""
    batch_videos: Callable[[int, int], list[VideoRecord]]
    """The videos of a batch that has been trained on, by epoch and number in it."""
    steps: int
    seed: int
    measure: Callable[[], dict[str, float]] | None
    monitor: str
    about: dict
    failure: Callable[[], UserError | None] = lambda: None
    """Why there is no data any more, where that is what ends the training."""
    precision: str = FLOAT32
    profile: bool = False
    """Write what some batches spend their time on beside the logs, for TensorBoard."""
    pretrained: frozenset[str] = frozenset()
    """Layers of the network that begin with weights of another one."""


def with_weights(run: dict, weights: InitialWeights | None, precision: str = FLOAT32) -> dict:
    """`run_of` with what is in the file of initial weights, wherever that file lies, and the precision."""
    there = run["config"]
    config = {
        key: value
        for key, value in there.items()
        if key != "weights"
        and not (key in LATER and value == LATER[key])
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

    With 0 epochs the network is measured and kept as it is.
    """
    best = BestModel(Float32(fit.network), folder / NETWORK_NAME, fit.monitor)
    began = time.monotonic()
    if config.epochs:
        _fit(fit, config, folder, best, strategy, quiet)
    else:
        measured = fit.measure() if fit.measure else {}
        best.on_epoch_end(-1, {f"val_{name}": value for name, value in measured.items()})
    about = {**fit.about, "precision": fit.precision, "best": best.best, "monitor": fit.monitor}
    about |= {"seconds": round(time.monotonic() - began, 1), "versions": versions()}
    finish_run(folder, fit.kind, index.labels, index.settings, about)
    shutil.rmtree(folder / "backup", ignore_errors=True)


def _fit(fit: Fit, config, folder: Path, best: BestModel, strategy, quiet: bool) -> None:
    with strategy.scope():
        optimizer = _optimizer(fit, config)
        fit.model.compile(optimizer=optimizer, loss=fit.loss, metrics=fit.metrics)
        seen = restore(fit.model, folder / "backup")
    history = keras.callbacks.CSVLogger(folder / "history.csv", append=True)
    with sigterm_noted() as asked, _told_in_a_sentence(fit), _closed(history):
        callbacks = _callbacks(fit, config, folder, best, history, seen, asked)
        if seen.steps:
            rest = fit.data(seen.epochs).skip(seen.steps)
            _epochs(fit, rest, seen.epochs, seen.epochs + 1, fit.steps - seen.steps, callbacks, quiet)
        first = seen.epochs + (seen.steps > 0)
        if first < config.epochs:
            _epochs(fit, fit.data(first), first, config.epochs, fit.steps, callbacks, quiet)


def _callbacks(
    fit: Fit,
    config,
    folder: Path,
    best: BestModel,
    history: keras.callbacks.CSVLogger,
    seen: Seen,
    asked: Asked,
) -> list[keras.callbacks.Callback]:
    backup = Backup(folder / "backup", seen)
    plateau = Plateau(config, fit.monitor, folder / "history.csv") if config.schedule == "plateau" else None
    return [
        *([Validation(fit.measure)] if fit.measure else []),
        *([plateau] if plateau else []),
        EpochSeeds(fit.network, fit.seed, seen),
        StopOnNaN(fit.batch_videos, seen),
        best,
        # After the best network, whose epoch can be done again; before the history, which must not list
        # an epoch twice.
        backup,
        keras.callbacks.TensorBoard(
            folder / "logs", write_graph=False, profile_batch=PROFILED if fit.profile else 0
        ),
        history,
        StopWhenAsked(asked, backup, fit.steps),
    ]


def _epochs(fit: Fit, data: tf.data.Dataset, first: int, end: int, steps: int, callbacks: list, quiet: bool):
    fit.model.fit(
        data.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)),
        initial_epoch=first,
        epochs=end,
        steps_per_epoch=steps,
        callbacks=callbacks,
        verbose=0 if quiet else (1 if sys.stdout.isatty() else 2),
        shuffle=False,  # the data set shuffles itself
    )


@contextlib.contextmanager
def _closed(table: keras.callbacks.CSVLogger) -> Iterator[None]:
    """Keras closes the file only after a training that nothing has ended early."""
    try:
        yield
    finally:
        if table.csv_file:
            table.csv_file.close()


@contextlib.contextmanager
def _told_in_a_sentence(fit: Fit) -> Iterator[None]:
    """What a user can mend, from under TensorFlow's errors."""
    try:
        yield
    except tf.errors.OpError as error:
        if failure := fit.failure():
            raise failure from None
        lacking = isinstance(error, tf.errors.UnimplementedError) or "No OpKernel" in str(error)
        if fit.precision != FLOAT32 and lacking:
            raise UserError(
                f"precision: {fit.precision} lacks an operation of {fit.network.name} on this device "
                f"({error.message.splitlines()[0][:120]}); use mixed_bfloat16 or float32"
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
