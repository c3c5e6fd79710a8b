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
    """Whether this process has been asked to end, and whether all that train together know of such a one."""

    yes: bool = False
    by_all: bool = False


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

    `worker` is its number and how many train together: they end after the same batch, and the first one
    says it. Give it as the last callback, and call `between_videos` during validation.
    """

    def __init__(self, asked: Asked, backup: Backup, steps: int, worker: tuple[int, int] = (0, 1)):
        super().__init__()
        self._asked, self._backup, self._steps = asked, backup, steps
        self._first, self._alone = worker[0] == 0, worker[1] == 1

    @property
    def _now(self) -> bool:
        return self._asked.by_all or (self._alone and self._asked.yes)

    def on_train_batch_end(self, batch, logs=None):
        if self._now and self._backup.step(batch) < self._steps:
            self._backup.write(batch)
            self._end()

    def on_epoch_end(self, epoch, logs=None):
        if self._now:
            self._end()

    def between_videos(self) -> None:
        """Ends a validation that is cut short, which is done anew; several workers finish it."""
        if self._alone and self._asked.yes:
            self._backup.write_before_validation(self._steps)
            self._end()

    def _end(self) -> None:
        end_process(says=self._first)


def end_process(says: bool = True) -> None:
    """Ends the process as SIGTERM does, with a line on stderr if it `says` so."""
    if says:
        print("terminated; the same command goes on from here", file=sys.stderr, flush=True)
    raise SystemExit(EXIT_CODE)
