"""Pictures made in a process of their own while the training goes on."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipelines.workers import LoneWorker, WorkerCrash
from scsampler_tf.board.guard import Guard

WAITING = 16  # jobs that may wait; their pictures' data is in memory


class Painter:
    """Jobs in order, one at a time. A damaged video may crash the process: that costs one picture.

    With `apart` False everything is done at once, in this process.
    """

    def __init__(self, guard: Guard, apart: bool = True):
        self._guard, self._apart = guard, apart
        self._thread: ThreadPoolExecutor | None = None
        self._worker: LoneWorker | None = None
        self._waiting: deque[Future] = deque()

    def submit(self, name: str, function: Callable, job: Any, done: Callable[[Any], None]) -> None:
        """`done(function(job))`, both guarded. What `done` touches, the training's thread may touch too.

        function, job and result are sent between processes; the module of `function` should be a light
        one. Waits when too much is waiting.
        """
        if not self._apart:
            self._guard(name, lambda: done(function(job)))
            return
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="painter")
        while self._waiting and (len(self._waiting) >= WAITING or self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._guard, name, self._paint, function, job, done))

    def close(self) -> None:
        """Finishes what was begun and ends the process."""
        if self._thread:
            self._thread.shutdown(wait=True)
        if self._worker:
            self._worker.close()
        self._thread = self._worker = None
        self._waiting.clear()

    def _paint(self, function: Callable, job: Any, done: Callable[[Any], None]) -> None:
        self._worker = self._worker or LoneWorker()
        result = self._worker.run(function, job)
        if isinstance(result, WorkerCrash):
            raise result
        done(result)
