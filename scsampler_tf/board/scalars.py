"""Loss, accuracies, scores, learning rate and speed, with training and validation in one chart."""

import math

from scsampler_tf.board.log import Log
from scsampler_tf.board.panel import ORACLE, TRAIN, VALIDATION, Panel

# What a value of the training is: run, tag, and sign.
KNOWN = {
    "loss": (TRAIN, "loss", 1),
    "accuracy": (TRAIN, "quality/top_1", 1),
    "top5_accuracy": (TRAIN, "quality/top_5", 1),
    "learning_rate": (TRAIN, "training/learning_rate", 1),
    "examples_per_second": (TRAIN, "training/examples_per_second", 1),
    "input_wait": (TRAIN, "training/input_wait", 1),
    # Cross-entropy, which the classifier's loss is, of the val clips.
    "val_log_likelihood": (VALIDATION, "loss", -1),
    "val_accuracy": (VALIDATION, "quality/top_1", 1),
    "val_top5_accuracy": (VALIDATION, "quality/top_5", 1),
    "val_chosen_score": (VALIDATION, "quality/true_class_score", 1),
    "val_oracle_score": (ORACLE, "quality/true_class_score", 1),
}


class Scalars(Panel):
    """A point in every chart after every epoch."""

    name = "scalars"

    def after_epoch(self, log: Log, epoch: int, logs: dict[str, float]) -> None:
        for name, value in logs.items():
            run, tag, sign = chart_of(name)
            log.scalar(run, tag, sign * float(value), epoch)


def chart_of(name: str) -> tuple[str, str, int]:
    """Run, tag and sign of one of the training's values; new ones get charts of their own."""
    if name in KNOWN:
        return KNOWN[name]
    if name.startswith("val_"):
        return VALIDATION, name.removeprefix("val_"), 1
    return TRAIN, name, 1


def best_of(monitored: float | None, best: float | None) -> bool:
    """Whether a monitored value is better than the best so far."""
    return monitored is not None and not math.isnan(monitored) and (best is None or monitored > best)
