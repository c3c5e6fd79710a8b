"""Jobs in worker processes: bounded in flight, and a crash of a worker costs one job, not the run."""

import contextlib
import multiprocessing
import os
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for_any
from typing import Any

from pipelines.errors import VideoError


class WorkerCrash(VideoError):
    """The worker process died on this job."""


def run_jobs(
    function: Callable,
    jobs: Iterable,
    workers: int,
    ahead: int = 2,
    ordered: bool = False,
    pool: "KeptPool | None" = None,
) -> Iterator[tuple[Any, Any]]:
    """Yields (job, result) of `function(job)`; `ordered` keeps the order of the jobs.

    `workers` of 0 runs everything in this process. At most `workers * ahead` jobs are in flight, so
    results that nobody has taken yet do not pile up. A job whose worker dies (a decoder can crash the
    interpreter) is tried once more alone; if it dies again its result is a `WorkerCrash`. Exceptions of
    `function` itself are raised here. Closing the iterator, or Ctrl-C, ends the workers at once, in the
    middle of their jobs; those of a `pool` of as many workers, which is used again, finish the jobs in hand.
    """
    if workers == 0:
        for job in jobs:
            yield job, function(job)
        return
    source = iter(jobs)
    waiting: deque = deque()
    own = pool or KeptPool(workers)
    try:
        while True:
            while len(waiting) < workers * ahead and (job := next(source, waiting)) is not waiting:
                waiting.append((job, own.submit(function, job)))
            if not waiting:
                return
            if not ordered:
                wait([future for _, future in waiting], return_when=FIRST_COMPLETED)
            job, future = waiting.popleft() if ordered else _take_done(waiting)
            try:
                result = future.result()
            except (BrokenProcessPool, CancelledError):
                if own.ended:  # by somebody who wants no more results
                    raise RuntimeError("the workers were ended in the middle of their jobs") from None
                suspects = [(job, future), *waiting]
                waiting.clear()
                own.renew()
                yield from _one_by_one(function, suspects)
                continue
            yield job, result
    finally:
        if pool is None:
            own.end()


class KeptPool:
    """Worker processes for several `run_jobs` in turn: starting them takes half a second and more."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = _Pool(workers)
        self.ended = False

    def submit(self, function: Callable, job: Any) -> Future:
        """The result of `function(job)`, when a worker has come to it."""
        return self._pool.submit(function, job)

    def renew(self) -> None:
        """Other workers in place of those that are there."""
        self._pool.end()
        self._pool = _Pool(self._workers)

    def end(self) -> None:
        """Ends the workers at once, for good."""
        self.ended = True
        self._pool.end()


class LoneWorker:
    """One worker process that is kept between jobs and replaced when it dies.

    For callers that have their jobs one at a time; threads that share it take turns.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._pool = _Pool(1)
        self._closed = False

    def run(self, function: Callable, job: Any, tries: int = 2) -> Any:
        """`function(job)`, or a `WorkerCrash` for a job that kills its worker every time."""
        with self._turn:
            for _ in range(tries):
                try:
                    return self._pool.submit(function, job).result()
                except (BrokenProcessPool, CancelledError):
                    if self._closed:
                        break
                    self._pool.end()
                    self._pool = _Pool(1)
            return WorkerCrash("the decoder crashed on this file; repair it or leave it out")

    def close(self) -> None:
        """Ends the worker, in the middle of a job if need be."""
        self._closed = True
        self._pool.end()


class _Pool:
    """Worker processes that can be ended at once, whatever they are doing."""

    def __init__(self, workers: int) -> None:
        # Spawned, not forked: a fork copies the locks of TensorFlow's and FFmpeg's threads in any state.
        context = multiprocessing.get_context("spawn")
        lifeline, ours = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_watch, initargs=(lifeline,)
        )
        # also called when nobody holds the pool any more, and at the latest before the interpreter ends
        self.end = weakref.finalize(self, _end, self._executor, lifeline, ours)

    def submit(self, function: Callable, job: Any) -> Future:
        try:
            with _interrupts_held_back():
                return self._executor.submit(function, job)
        except BrokenProcessPool as error:  # a worker has died since the last result
            future: Future = Future()
            future.set_exception(error)
            return future


def _end(executor: ProcessPoolExecutor, lifeline: Connection, ours: Connection) -> None:
    ours.send_bytes(b"end")  # read by nobody, so that all workers see it
    executor.shutdown(wait=False, cancel_futures=True)
    ours.close()
    lifeline.close()


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Workers started in here do not feel Ctrl-C, which a terminal sends to all processes.

    The main process does, afterwards, and decides what becomes of them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(lifeline: Connection) -> None:
    """Ends this worker when its pool is given up or the main process is killed."""

    def end() -> None:
        wait_for_any([lifeline, multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _take_done(waiting: deque) -> tuple[Any, Future]:
    for place, (_, future) in enumerate(waiting):
        if future.done():
            item = waiting[place]
            del waiting[place]
            return item
    raise RuntimeError("no finished job after waiting for one")


def _one_by_one(function: Callable, suspects: list[tuple[Any, Future]]) -> Iterator[tuple[Any, Any]]:
    """Finished jobs as they are, the others again, each alone in a worker."""
    worker = LoneWorker()
    try:
        for job, future in suspects:
            if future.done() and not isinstance(future.exception(), BrokenProcessPool):
                yield job, future.result()
            else:
                yield job, worker.run(function, job, tries=1)
    finally:
        worker.close()
