"""Jobs in worker processes: bounded in flight, and a crash of a worker costs one job, not the run."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from pipelines.errors import UserError


class WorkerCrash(UserError):
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
                waiting.append((job, pool.submit(function, job)))
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
                yield from ((item, _alone(function, item, done)) for item, done in suspects)
                pool = _pool(workers)
                continue
            yield job, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork copies the locks of TensorFlow's and FFmpeg's threads in any state.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _take_done(waiting: deque) -> tuple[Any, Future]:
    for place, (_, future) in enumerate(waiting):
        if future.done():
            item = waiting[place]
            del waiting[place]
            return item
    raise RuntimeError("no finished job after waiting for one")


def _alone(function: Callable, job: Any, future: Future) -> Any:
    if future.done() and not future.cancelled() and future.exception() is None:
        return future.result()
    with _pool(1) as pool:
        try:
            return pool.submit(function, job).result()
        except BrokenProcessPool:
            return WorkerCrash("the decoder crashed on this file; repair it or leave it out")
