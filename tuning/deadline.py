"""The minutes that a search may take. A training that they cut short goes on from there another time."""

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Iterator

from tuning.tuner import Enough

EXIT_CODE = 128 + signal.SIGTERM
AGAIN_S = 2.0  # until a training that has not noticed the signal gets another


class Deadline:
    """`minutes` from now; None never comes."""

    def __init__(self, minutes: float | None):
        self._minutes = minutes
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    def over(self, late: float = 0.0) -> bool:
        """Whether the time is up, and this share of the minutes more."""
        return self._end is not None and time.monotonic() >= self._end + 60 * late * self._minutes

    def check(self) -> None:
        """Raises `Enough` when the time is up."""
        if self.over():
            raise Enough(f"--max-minutes {self._minutes:g} are over")

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Ends the training or scoring within it when the time is up, and then raises `Enough`.

        It is ended as SIGTERM ends any: what is done is kept.
        """
        if self._end is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        done = threading.Event()
        before = signal.signal(signal.SIGTERM, functools.partial(self._asked, done))
        thread = threading.Thread(target=self._watch, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        except SystemExit:
            self.check()
            raise
        finally:
            done.set()
            thread.join()
            signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)

    def _watch(self, done: threading.Event) -> None:
        if done.wait(max(0.0, self._end - time.monotonic())):
            return
        while not done.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
            done.wait(AGAIN_S)

    def _asked(self, done: threading.Event, number: int, frame) -> None:
        """Outside of a training's batches, where the training itself takes the signal."""
        if not self.over():  # somebody else has asked
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        elif not done.is_set():
            raise SystemExit(EXIT_CODE)
