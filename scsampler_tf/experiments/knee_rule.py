"""Which of several points is the knee of accuracy against cost."""

from collections.abc import Sequence

import numpy as np

from scsampler_tf.experiments.paired import compare

RULE = (
    "the cheapest point whose accuracy is at most one standard error (over videos) below that of the most "
    "accurate point and that the comparison video by video does not show to be worse"
)


def best(costs: Sequence[float], accuracies: Sequence[float]) -> int:
    """The most accurate point, of equals the cheapest, then the first. Raises `ValueError` without points."""
    return max(range(len(costs)), key=lambda point: (accuracies[point], -costs[point], -point))


def knee(costs: Sequence[float], correct: Sequence[np.ndarray], seed: int) -> int:
    """The point that `RULE` names, of equally cheap ones the most accurate.

    `correct` holds for every point how often each video `[V]` was right. Raises `ValueError` without points.
    """
    rights = [np.asarray(each, "float64") for each in correct]
    accuracies = [float(each.mean()) for each in rights]
    top = best(costs, accuracies)
    least = accuracies[top] - standard_error(rights[top])
    near = [
        point
        for point, right in enumerate(rights)
        # Means of the same numbers in another order may differ in the last digits.
        if accuracies[point] >= least - 1e-12 and compare(right, rights[top], seed).verdict != "worse"
    ]
    return min(near, key=lambda point: (costs[point], -accuracies[point], point))


def standard_error(correct: np.ndarray) -> float:
    """Of the mean over videos `[V]`: their standard deviation (over V) over the square root of V."""
    return float(np.std(correct) / np.sqrt(len(correct)))


def front(costs: Sequence[float], accuracies: Sequence[float]) -> list[bool]:
    """The Pareto front: no other point is as cheap and as accurate and better in one of the two."""
    points = list(zip(costs, accuracies, strict=True))
    return [
        not any(c <= cost and a >= accuracy and (c, a) != (cost, accuracy) for c, a in points)
        for cost, accuracy in points
    ]
