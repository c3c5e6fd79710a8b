"""Something that is shown of a training, and the TensorBoard runs that it may be shown in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the process that paints imports panels, and needs no TensorFlow
    from scsampler_tf.board.log import Log

SETTINGS, TRAIN, VALIDATION, ORACLE = "", "train", "validation", "oracle"


class Panel:
    """What a panel raises costs what it shows and a printed line, never a training."""

    name = "panel"

    def begin(self, log: Log) -> None:
        """Called before the first epoch, also of a training that goes on."""

    def after_epoch(self, log: Log, epoch: int, logs: dict[str, float]) -> None:
        """Called after each epoch, counted from 1, with the values of training and validation."""

    def end(self, log: Log) -> None:
        """Called when a training is done; not when it is interrupted."""
