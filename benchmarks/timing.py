"""Ratios that hold on a shared machine: variants in turns, each against the base line of its own round."""

import gc
import math
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

SHORT_S = 0.3
MEASURED_S = 0.05  # shorter runs are repeated until a measurement takes this long
LEAST_ROUNDS = 3


def ratios(
    base: Callable[[], object], variants: dict[str, Callable[[], object]], rounds: int
) -> tuple[float, dict[str, float]]:
    """Seconds of `base` and, for each variant, its time divided by that of `base`: medians over `rounds`.

    Processor time is taken, not the clock: everything compared here runs in one thread, and what others
    do on the machine counts less. In every round all run once, so slow moments hit all of them. A short
    `base` gets three times as many rounds, because it is disturbed more easily.
    """
    bases, found = [], {name: [] for name in variants}
    if _warm_up(base, variants) < SHORT_S and rounds > 1:
        rounds *= 3
    for _ in range(rounds):
        base_s = _processor_s(base)
        bases.append(base_s)
        for name, run in variants.items():
            found[name].append(_processor_s(run) / base_s)
    return median(bases), {name: median(values) for name, values in found.items()}


def _warm_up(base: Callable, variants: dict[str, Callable]) -> float:
    """Runs everything once; returns the seconds of another run of `base`."""
    for run in (base, *variants.values()):
        run()
    return _processor_s(base)


def _processor_s(run: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


class Spent(NamedTuple):
    """Seconds of a run by the clock, and of all its threads together on the processors.

    For work in several threads neither alone is honest on a shared machine. The clock is what a user waits
    for, but counts what others do there; processor time does not, but counts threads that wait for work by
    spinning, and a run that leaves a processor idle looks as good as one that doesn't. Ratios of both that
    agree can be trusted.
    """

    clock_s: float
    processor_s: float


def turns(
    runs: dict[str, Callable[[], object]], rounds: int, budget_s: float = math.inf
) -> dict[str, list[Spent]]:
    """What each of `runs` took in each of at most `rounds` rounds, in all of which every one has its turn.

    All run once before anything is measured: the first call compiles. After `budget_s` seconds there are
    no more than three rounds.
    """
    repeats = {}
    for name, run in runs.items():
        run()
        repeats[name] = max(1, math.ceil(MEASURED_S / max(_spent(run).clock_s, 1e-6)))
    found = {name: [] for name in runs}
    start = time.perf_counter()
    for number in range(rounds):
        if number >= LEAST_ROUNDS and time.perf_counter() - start >= budget_s:
            break
        for name, run in runs.items():
            found[name].append(_spent(run, repeats[name]))
    return found


def medians(spent: list[Spent]) -> Spent:
    """The median of each kind of seconds."""
    return Spent(*map(median, zip(*spent, strict=True)))


def ratio(spent: list[Spent], base: list[Spent]) -> Spent:
    """Times of one run over those of another in the same round: medians over the rounds, of each kind."""
    return medians(
        [
            Spent(one.clock_s / other.clock_s, one.processor_s / other.processor_s)
            for one, other in zip(spent, base, strict=True)
        ]
    )


def _spent(run: Callable[[], object], times: int = 1) -> Spent:
    gc.collect()
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(times):
        run()
    return Spent((time.perf_counter() - clock) / times, (time.process_time() - processor) / times)
