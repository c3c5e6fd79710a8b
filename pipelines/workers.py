"""Jobs in worker processes: bounded in flight, and a crash of a worker costs one job, not the run."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pipelines.errors import VideoError


class WorkerCrash(VideoError):
    """The worker process died on this job."""


def run_jobs(
    function: Callable, jobs: Iterable, workers: int, ahead: int = 2, ordered: bool = False
) -> Iterator[tuple[Any, Any]]:
    """Yields (job, result) of `function(job)`; `ordered` keeps the order of the jobs.

    `workers` of 0 runs everything in this process. At most `workers * ahead` jobs are in flight, so
    results that nobody has taken yet do not pile up. A job whose worker dies (a decoder can crash the
    interpreter) is tried once more alone; if it dies again its result is a `WorkerCrash`. Exceptions of
    `function` itself are raised here.
    """
    if workers == 0:
        for job in jobs:
            yield job, function(job)
        return
    source = iter(jobs)
    waiting: deque = deque()
    pool = _pool(workers)
    try:
        while True:
            while len(waiting) < workers * ahead and (job := next(source, waiting)) is not waiting:
                waiting.append((job, _submitted(pool, function, job)))
            if not waiting:
                return
            if not ordered:
                wait([future for _, future in waiting], return_when=FIRST_COMPLETED)
            job, future = waiting.popleft() if ordered else _take_done(waiting)
            try:
                result = future.result()
            except BrokenProcessPool:
                suspects = [(job, future), *waiting]
                waiting.clear()
                pool.shutdown(wait=False)
                yield from _one_by_one(function, suspects)
                pool = _pool(workers)
                continue
            yield job, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork copies the locks of TensorFlow's and FFmpeg's threads in any state.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_watch_parent)


def _watch_parent() -> None:
    """Ends this worker when the main process is killed; else it would wait for jobs for ever."""

    def end() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _submitted(pool: ProcessPoolExecutor, function: Callable, job: Any) -> Future:
    try:
        return pool.submit(function, job)
    except BrokenProcessPool as error:  # a worker has died since the last result
        future: Future = Future()
        future.set_exception(error)
        return future


def _take_done(waiting: deque) -> tuple[Any, Future]:
    for place, (_, future) in enumerate(waiting):
        if future.done():
            item = waiting[place]
            del waiting[place]
            return item
    raise RuntimeError("no finished job after waiting for one")


def _one_by_one(function: Callable, suspects: list[tuple[Any, Future]]) -> Iterator[tuple[Any, Any]]:
    """Finished jobs as they are, the others again, each alone in a worker."""
    pool = _pool(1)
    try:
        for job, future in suspects:
            if not future.done() or isinstance(future.exception(), BrokenProcessPool):
                future = _submitted(pool, function, job)
            try:
                result = future.result()
            except BrokenProcessPool:
                pool = _pool(1)
                result = WorkerCrash("the decoder crashed on this file; repair it or leave it out")
            yield job, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
