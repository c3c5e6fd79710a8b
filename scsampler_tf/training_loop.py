"""The training loop: one step after another under any strategy, with Keras' callbacks.

`fit` cannot run on several machines (Keras 3.15), gives its validation the wrong last batch under a strategy
and does not tell how long it waited for data; this loop serves one device and many alike.
"""

import math
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from scsampler_tf.callbacks import Seen
from scsampler_tf.runtime import worker_of
from scsampler_tf.termination import Asked

if TYPE_CHECKING:
    from scsampler_tf.fitting import Fit


def run_epochs(
    fit: "Fit", seen: Seen, epochs: int, callbacks: list, asked: Asked, strategy, quiet: bool
) -> None:
    """Trains the compiled `fit.model` from where it stands until `epochs` are done.

    Callbacks see the batches numbered from where the first epoch goes on, and after an epoch the means of
    loss and metrics, `learning_rate`, `examples_per_second` (of all devices) and `input_wait`, the share of
    the time spent waiting for data. SIGTERM in one process is told to the callbacks of all.
    """
    step, batches = make_step(fit, strategy), iter(_batches(fit, seen, strategy))
    verbose = 0 if quiet else (1 if sys.stdout.isatty() else 2)
    run = keras.callbacks.CallbackList(
        callbacks,
        add_progbar=verbose > 0,
        model=fit.model,
        verbose=verbose,
        epochs=epochs,
        steps=fit.steps,
    )
    run.on_train_begin()
    logs: dict[str, float] = {}
    for epoch in range(seen.epochs, epochs):
        run.on_epoch_begin(epoch)
        meter = Meter(tuple(fit.metrics), fit.batch)
        for number in range(fit.steps - seen.steps_before(epoch)):
            run.on_train_batch_begin(number)
            with meter.waiting():
                batch = next(batches)
            values = step(*batch, tf.constant(float(asked.yes))).numpy()
            asked.by_all = bool(values[-1] > 0)
            run.on_train_batch_end(number, meter.seen(values[:-1]))
        logs = {**meter.means(), **meter.rates(), "learning_rate": _rate(fit.model)}
        run.on_epoch_end(epoch, logs)
    run.on_train_end(logs)


def make_step(fit: "Fit", strategy):
    """A compiled function (inputs, target, asked) -> `[2 + metrics]` float32: the loss and the metrics as
    means over the whole batch, and the mean of `asked` over the devices. It moves the weights by a step."""
    model, optimizer, replicas = fit.model, fit.model.optimizer, strategy.num_replicas_in_sync

    def of_device(inputs, target, asked):
        with tf.GradientTape() as tape:
            predicted = tf.cast(model(inputs, training=True), tf.float32)
            # Not by calling the loss, which divides by the number of devices in some versions of Keras.
            loss = tf.reduce_mean(fit.loss.call(target, predicted))
            scaled = optimizer.scale_loss(loss / replicas)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        measured = [tf.reduce_mean(metric(target, predicted)) for metric in fit.metrics.values()]
        return tf.stack([loss, *measured, asked])

    @tf.function
    def step(inputs, target, asked):
        values = strategy.run(of_device, args=(inputs, target, asked))
        return strategy.reduce("SUM", values, axis=None) / replicas

    return step


def _batches(fit: "Fit", seen: Seen, strategy) -> tf.data.Dataset:
    """The batches from where a training goes on, each device's share of them at a time."""
    worker, workers = worker_of(strategy)
    devices = strategy.num_replicas_in_sync // workers

    def own(context) -> tf.data.Dataset:
        data = fit.data(seen.epochs, (worker, workers), fit.batch // (workers * devices))
        data = data.skip(seen.steps * devices)
        # A data set of unknown length would be asked before every step whether it goes on.
        return data.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    return strategy.distribute_datasets_from_function(own)


def _rate(model: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


@dataclass
class Meter:
    """Means and times of one epoch; `batch` counts examples."""

    names: tuple[str, ...]
    batch: int
    _sums: np.ndarray | float = 0.0
    _steps: int = 0
    _waited: float = 0.0
    _began: float = field(default_factory=time.perf_counter)

    def waiting(self) -> "Meter":
        """For `with`: the time within counts as waiting for data."""
        return self

    def __enter__(self):
        self._from = time.perf_counter()

    def __exit__(self, *error):
        self._waited += time.perf_counter() - self._from

    def seen(self, values: np.ndarray) -> dict[str, float]:
        """Adds the loss and the metrics of a step; returns the means up to it."""
        self._sums, self._steps = self._sums + values.astype(float), self._steps + 1
        return self.means()

    def means(self) -> dict[str, float]:
        """The mean loss and metrics of the epoch so far; no numbers where all its steps were done before."""
        names = ("loss", *self.names)
        if not self._steps:
            return dict.fromkeys(names, math.nan)
        return dict(zip(names, (self._sums / self._steps).tolist(), strict=True))

    def rates(self) -> dict[str, float]:
        """Examples a second, and the share of the time that went into waiting for data."""
        spent = time.perf_counter() - self._began
        return {
            "examples_per_second": self._steps * self.batch / spent,
            "input_wait": self._waited / spent,
        }
