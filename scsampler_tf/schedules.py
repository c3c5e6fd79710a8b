"""How the learning rate goes over a training: cosine, steps, or down when validation gets no better."""

from collections.abc import Sequence
from pathlib import Path

import keras

from scsampler_tf.callbacks import read_history

WARM_UP_FROM = 0.1  # share of the learning rate with which a warm-up begins
REDUCTION = 0.1  # what steps and plateaus multiply it with


class StepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over `warm` steps, then `rate` times 0.1 after every `every` steps."""

    def __init__(self, rate: float, warm: int, every: int):
        self.rate, self.warm, self.every = rate, warm, every

    def __call__(self, step):
        """The learning rate of a step."""
        step = keras.ops.cast(step, "float32")
        share = WARM_UP_FROM + (1 - WARM_UP_FROM) * step / max(self.warm, 1)
        reductions = keras.ops.floor(keras.ops.maximum(step - self.warm, 0.0) / self.every)
        rate = keras.ops.where(step < self.warm, share, REDUCTION**reductions)
        return self.rate * rate

    def get_config(self):
        """The constructor's arguments."""
        return {"rate": self.rate, "warm": self.warm, "every": self.every}


def schedule(config, steps: int) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """What the optimizer is given for `config.schedule`, with `steps` in an epoch.

    "cosine": linear warm-up, then half a cosine down to zero. "step": `StepDecay` every `step_epochs`.
    "plateau": a plain number, which `Plateau` changes.
    """
    warm = config.warmup_epochs * steps
    if config.schedule == "plateau":
        return config.learning_rate
    if config.schedule == "step":
        return StepDecay(config.learning_rate, warm, config.step_epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate * WARM_UP_FROM,
        warmup_target=config.learning_rate,
        warmup_steps=max(warm, 1),
        decay_steps=max(config.epochs * steps - warm, 1),
    )


class Plateau(keras.callbacks.Callback):
    """Divides the learning rate by 10 whenever `monitor` has not risen for `patience` epochs.

    Warm-up is linear from epoch to epoch. Without the monitored value (no validation videos) it is the loss
    that must fall. What was seen before an interruption is read from `history`, the training's CSV, so that
    a resumed run goes on with the same rates.
    """

    def __init__(self, config, monitor: str, history: Path):
        super().__init__()
        self._config, self._monitor = config, monitor
        self._values = {int(row["epoch"]): _value(row, monitor) for row in read_history(history)}

    def on_epoch_begin(self, epoch, logs=None):
        warm = self._config.warmup_epochs
        share = WARM_UP_FROM + (1 - WARM_UP_FROM) * epoch / max(warm, 1) if epoch < warm else 1.0
        reduced = REDUCTION ** reductions(self._before(epoch), self._config.patience)
        self.model.optimizer.learning_rate = self._config.learning_rate * share * reduced

    def on_epoch_end(self, epoch, logs=None):
        self._values[epoch] = _value(logs, self._monitor)

    def _before(self, epoch: int) -> list[float]:
        return [self._values[each] for each in sorted(self._values) if each < epoch]


def reductions(values: Sequence[float], patience: int) -> int:
    """How often the rate has been reduced after epochs with these values: once for every `patience` epochs
    in a row without a new highest one."""
    best, waited, count = float("-inf"), 0, 0
    for value in values:
        best, waited = (value, 0) if value > best else (best, waited + 1)
        if waited == patience:
            waited, count = 0, count + 1
    return count


def _value(logs: dict, monitor: str) -> float:
    return float(logs[monitor]) if logs.get(monitor) is not None else -float(logs["loss"])
