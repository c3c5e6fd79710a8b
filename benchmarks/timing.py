"""Ratios that hold on a shared machine: variants in turns, each against the base line of its own round."""

import gc
import time
from collections.abc import Callable
from statistics import median

SHORT_S = 0.3


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
