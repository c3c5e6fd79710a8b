"""One training run with `fit`: initial weights, schedule, checkpoints, resume, TensorBoard."""

import dataclasses
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from pipelines.index import FeatureIndex
from scsampler_tf.callbacks import Backup, BestModel, StopOnNaN, Validation, restore
from scsampler_tf.model_folder import NETWORK_NAME, finish_run
from scsampler_tf.models.layout import weights_by_path
from scsampler_tf.models.transfer import InitialWeights, transfer
from scsampler_tf.optimizer import SlowedAdamW
from scsampler_tf.runtime import versions
from scsampler_tf.schedules import Plateau, schedule

# Settings that trainings of old do not know, with the values at which they change nothing.
LATER = {"rank_form": "standard", "schedule": "cosine", "pretrained_rate": 1.0}
LATER |= {"crop_area": 0.0, "colour": 0.0}
ONLY_WITH = {"step_epochs": "step", "patience": "plateau"}


@dataclass(frozen=True)
class Fit:
    """What is trained: `model` is fitted, `network` is the part of it that is kept."""

    kind: str
    model: keras.Model
    network: keras.Model
    loss: keras.losses.Loss
    metrics: list
    data: tf.data.Dataset
    steps: int
    measure: Callable[[], dict[str, float]] | None
    monitor: str
    about: dict
    pretrained: frozenset[str] = frozenset()
    """Layers of the network that begin with weights of another one."""


def with_weights(run: dict, weights: InitialWeights | None) -> dict:
    """`run_of` with what is in the file of initial weights, wherever that file lies."""
    there = run["config"]
    config = {
        key: value
        for key, value in there.items()
        if key != "weights"
        and not (key in LATER and value == LATER[key])
        and not (key in ONLY_WITH and there["schedule"] != ONLY_WITH[key])
    }
    return {**run, "config": config, "weights": weights.digest if weights else None}


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
    """Runs a training in `folder`, or goes on with an interrupted one after its last whole epoch.

    With 0 epochs the network is measured and kept as it is.
    """
    best = BestModel(fit.network, folder / NETWORK_NAME, fit.monitor)
    began = time.monotonic()
    if config.epochs:
        _fit(fit, config, folder, best, strategy, quiet)
    else:
        measured = fit.measure() if fit.measure else {}
        best.on_epoch_end(-1, {f"val_{name}": value for name, value in measured.items()})
    about = {**fit.about, "best": best.best, "monitor": fit.monitor}
    about |= {"seconds": round(time.monotonic() - began, 1), "versions": versions()}
    finish_run(folder, fit.kind, index.labels, index.settings, about)
    shutil.rmtree(folder / "backup", ignore_errors=True)


def _fit(fit: Fit, config, folder: Path, best: BestModel, strategy, quiet: bool) -> None:
    with strategy.scope():
        optimizer = _optimizer(fit, config)
        fit.model.compile(optimizer=optimizer, loss=fit.loss, metrics=fit.metrics)
        seen = restore(fit.model, folder / "backup")
    data = fit.data.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    history = folder / "history.csv"
    callbacks = [
        *([Validation(fit.measure)] if fit.measure else []),
        *([Plateau(config, fit.monitor, history)] if config.schedule == "plateau" else []),
        StopOnNaN(),
        best,
        # After the best network, whose epoch can be done again; before the history, which must not list
        # an epoch twice.
        Backup(folder / "backup"),
        keras.callbacks.TensorBoard(folder / "logs", write_graph=False),
        keras.callbacks.CSVLogger(history, append=True),
    ]
    fit.model.fit(
        data,
        initial_epoch=seen,
        epochs=config.epochs,
        steps_per_epoch=fit.steps,
        callbacks=callbacks,
        verbose=0 if quiet else (1 if sys.stdout.isatty() else 2),
        shuffle=False,  # the data set shuffles itself
    )


def _optimizer(fit: Fit, config) -> keras.optimizers.Optimizer:
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
