"""SIGTERM during a training: the batch in hand is finished and the state kept, then the process ends."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from scsampler_tf.callbacks import Backup

EXIT_CODE = 128 + signal.SIGTERM  # as shells name a process that the signal has ended


@dataclass
class Asked:
    """Whether the process has been asked to end."""

    yes: bool = False


@contextlib.contextmanager
def sigterm_noted() -> Iterator[Asked]:
    """Within it SIGTERM is only noted; outside the main thread, which has no signals, nothing changes."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number, frame) -> None:
        asked.yes = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


class StopWhenAsked(keras.callbacks.Callback):
    """Ends the process with exit code 143 and one line on stderr once the batch in hand is done and kept.

    After an epoch's last batch, validation is finished first; give it as the last callback.
    """

    def __init__(self, asked: Asked, backup: Backup, steps: int):
        super().__init__()
        self._asked, self._backup, self._steps = asked, backup, steps

    def on_train_batch_end(self, batch, logs=None):
        if self._asked.yes and self._backup.step(batch) < self._steps:
            self._backup.write(batch)
            _end()

    def on_epoch_end(self, epoch, logs=None):
        if self._asked.yes:
            _end()


def _end() -> None:
    print("terminated; the same command goes on from here", file=sys.stderr, flush=True)
    raise SystemExit(EXIT_CODE)
