"""The callback that asks the panels."""

from collections.abc import Sequence
from pathlib import Path

import keras

from scsampler_tf.board.guard import Guard
from scsampler_tf.board.log import Log
from scsampler_tf.board.panel import Panel


class Board(keras.callbacks.Callback):
    """Writes the panels of a training to event files below `folder`, in the process that is the chief.

    It changes no state that training depends on. Put it after the callback that adds validation's values.
    `apart`: pictures are made in a process of their own.
    """

    def __init__(self, folder: str | Path, panels: Sequence[Panel], apart: bool = True):
        super().__init__()
        self._guard = Guard()
        self._log, self._panels = Log(folder, self._guard, apart), list(panels)

    def on_train_begin(self, logs=None):
        for panel in self._panels:
            self._guard(panel.name, panel.begin, self._log)
        self._guard("log", self._log.flush)

    def on_epoch_end(self, epoch, logs=None):
        for panel in self._panels:
            self._guard(panel.name, panel.after_epoch, self._log, epoch + 1, dict(logs or {}))
        self._guard("log", self._log.flush)

    def abandon(self) -> None:
        """For a training that something has ended: nothing is waited for."""
        self._guard("log", self._log.abandon)

    def on_train_end(self, logs=None):
        for panel in self._panels:
            self._guard(panel.name, panel.end, self._log)
        self._guard("log", self._log.close)
