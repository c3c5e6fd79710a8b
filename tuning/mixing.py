"""Sets of trained samplers that were in no trial together: to try them costs no training."""

import itertools
import random

from scsampler_tf.config import SamplerConfig
from tuning.rows import Explored
from tuning.study import Study

LATE = 0.1  # of the minutes that a search may take: so much longer sets are tried


def mixed(study: Study, found: list[Explored], most: int) -> tuple[list[Explored], int]:
    """All free settings with sets of samplers that the trials `found` have in no common trial, at most so
    many sets, then drawn by the search's seed; and how many of these sets there was no time for."""
    explored = []
    drawn = _drawn(study, found, most)
    for number, samplers in enumerate(drawn, 1):
        if study.deadline.over(LATE):
            return explored, len(drawn) - len(explored)
        explored.append(study.explore(f"mix-{number:03d}", samplers))
    return explored, 0


def _drawn(study: Study, found: list[Explored], most: int) -> list[dict[str, SamplerConfig]]:
    kinds = [part.kind for part in study.space.parts]
    if len(kinds) < 2 or not most:
        return []
    known = {kind: list(dict.fromkeys(each.samplers[kind] for each in found)) for kind in kinds}
    tried = {tuple(each.samplers[kind] for kind in kinds) for each in found}
    sizes = [len(known[kind]) for kind in kinds]
    total = 1
    for size in sizes:
        total *= size
    if total <= 100 * most:
        left = [each for each in itertools.product(*known.values()) if each not in tried]
        drawn = left if len(left) <= most else random.Random(study.options.seed).sample(left, most)
    else:
        chance = random.Random(study.options.seed)
        some = (tuple(chance.choice(known[kind]) for kind in kinds) for _ in range(2 * most))
        drawn = [each for each in dict.fromkeys(some) if each not in tried][:most]
    return [dict(zip(kinds, each, strict=True)) for each in drawn]
