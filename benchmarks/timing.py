"""Ratios that hold on a shared machine: variants in turns, each against the base line of its own round."""

import gc
import time
from collections.abc import Callable
from statistics import median


def ratios(
    base: Callable[[], object], variants: dict[str, Callable[[], object]], rounds: int
) -> tuple[float, dict[str, float]]:
    """Seconds of `base` and, for each variant, its time divided by that of `base`: medians over `rounds`.

    Processor time is taken, not the clock: everything compared here runs in one thread, and what others
    do on the machine counts less. In every round all run once, so slow moments hit all of them.
    """
    bases, found = [], {name: [] for name in variants}
    _warm_up(base, variants)
    for _ in range(rounds):
        base_s = _processor_s(base)
        bases.append(base_s)
        for name, run in variants.items():
            found[name].append(_processor_s(run) / base_s)
    return median(bases), {name: median(values) for name, values in found.items()}


def _warm_up(base: Callable, variants: dict[str, Callable]) -> None:
    for run in (base, *variants.values()):
        run()


def _processor_s(run: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start
