"""Whether one method is better than another on the same videos.

Two things are said about the differences d = a - b, one a video, of how often either method was right.
The interval: a percentile bootstrap over videos of their mean, the difference in accuracy. The p-value: the
exact two-sided sign test. Of the n videos on which the methods differ, a has the upper hand on k; if neither
were better, each such video would fall to either side with probability 1/2, and p is the probability of a
split at least as uneven. For methods without chance (right or wrong) that is McNemar's exact test. Against
a random method d is a fraction and only its sign counts, so the test then says on how many videos a is more
often right, not by how much: interval and test can disagree. p-values are not corrected for the number of
comparisons.
"""

import math
from dataclasses import dataclass

import numpy as np

from scsampler_tf.aggregate import bootstrap_interval

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """difference in [-1, 1] with its 95 % interval; on how many videos a and b are ahead; p-value."""

    difference: float
    interval: tuple[float, float]
    ahead: int
    behind: int
    p_value: float

    @property
    def verdict(self) -> str:
        """ "better" or "worse" only if the interval leaves out 0 and p < 0.05; else "not shown"."""
        low, high = self.interval
        if self.p_value >= LEVEL or low <= 0 <= high:
            return "not shown"
        return "better" if low > 0 else "worse"


def compare(a, b, seed: int) -> Comparison:
    """How often methods a and b `[V]` in [0, 1] were right on the same videos. Raises `ValueError` without
    videos or for different numbers of them."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} videos; compare methods on the same ones")
    differences = a - b
    ahead, behind = int((differences > 0).sum()), int((differences < 0).sum())
    interval = bootstrap_interval(differences, seed)
    return Comparison(float(differences.mean()), interval, ahead, behind, sign_test(ahead, behind))


def sign_test(ahead: int, behind: int) -> float:
    """P(a split at least as uneven as ahead : behind) of as many fair coins, both sides; 1 without any."""
    n, fewer = ahead + behind, min(ahead, behind)
    # Logarithms, because 2^-n of thousands of videos is no float.
    terms = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
        for k in range(fewer + 1)
    )
    return min(1.0, 2 * math.fsum(map(math.exp, terms)))
