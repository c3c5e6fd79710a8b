"""Pictures made in a process of their own while the training goes on."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipelines.workers import LoneWorker, WorkerCrash
from scsampler_tf.board.guard import Guard

WAITING = 16  # jobs that may wait; their pictures' data is in memory
PATIENCE_S = 60.0  # with one picture: its video may lie on a disk that does not answer


class Painter:
    """Jobs in order, one at a time. A damaged video may crash the process: that costs one picture.

    With `apart` False everything is done at once, in this process.
    """

    def __init__(self, guard: Guard, apart: bool = True):
        self._guard, self._apart = guard, apart
        self._thread: ThreadPoolExecutor | None = None
        self._worker: LoneWorker | None = None
        self._waiting: deque[Future] = deque()
        self._over = False

    def submit(self, name: str, function: Callable, job: Any, done: Callable[[Any], None]) -> None:
        """`done(function(job))`, both guarded. What `done` touches, the training's thread may touch too.

        function, job and result are sent between processes; the module of `function` should be a light
        one. Waits when too much is waiting; one picture that takes too long is the last.
        """
        if not self._apart:
            self._guard(name, lambda: done(function(job)))
            return
        while self._waiting and (len(self._waiting) >= WAITING or self._waiting[0].done()):
            self._wait_for_first()
        if self._over:
            return
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="painter")
        self._waiting.append(self._thread.submit(self._guard, name, self._paint, function, job, done))

    def close(self) -> None:
        """Finishes what was begun and ends the process."""
        while self._waiting:
            self._wait_for_first()
        self._end()

    def abandon(self) -> None:
        """Ends the process at once; what waits is not made, and nothing is said of it."""
        self._over = True
        self._end()

    def _wait_for_first(self) -> None:
        try:
            self._waiting[0].result(timeout=PATIENCE_S)
        except TimeoutError:
            self._guard.say("more pictures", TimeoutError(f"one took more than {PATIENCE_S:.0f} s"))
            self.abandon()
        else:
            self._waiting.popleft()

    def _end(self) -> None:
        if self._worker:
            self._worker.close()
        if self._thread:
            self._thread.shutdown(wait=False, cancel_futures=True)
        self._thread = self._worker = None
        self._waiting.clear()

    def _paint(self, function: Callable, job: Any, done: Callable[[Any], None]) -> None:
        if self._over:
            return
        self._worker = self._worker or LoneWorker()
        result = self._worker.run(function, job)
        if self._over:
            return
        if isinstance(result, WorkerCrash):
            raise result
        done(result)
