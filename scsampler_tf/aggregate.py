"""From clip predictions to a video's prediction, and how often it is right."""

import numpy as np
from keras import ops

AT_ONCE = 1 << 18  # numbers that a bootstrap holds


def video_probabilities(clip_probs, chosen):
    """The video's class probabilities, the mean over its chosen clips (paper, section 3.1).

    clip_probs: `[V, L, C]`; chosen: bool `[V, L]`. Returns `[V, C]` float32; zeros for a video of which
    no clip was chosen.
    """
    chosen = ops.expand_dims(ops.cast(chosen, "bool"), -1)
    total = ops.sum(ops.where(chosen, ops.cast(clip_probs, "float32"), 0.0), axis=1)
    return total / ops.maximum(ops.sum(ops.cast(chosen, "float32"), axis=1), 1.0)


def correct(video_probs, labels):
    """Whether the most probable class is the label: `[V, C]`, `[V]` -> bool `[V]`.

    Of equally probable classes the first counts; a video without a prediction (all zeros) is wrong.
    """
    right = ops.equal(ops.cast(ops.argmax(video_probs, axis=-1), "int32"), ops.cast(labels, "int32"))
    return ops.logical_and(right, ops.sum(video_probs, axis=-1) > 0)


def accuracy(video_probs, labels):
    """Share of videos with the right class, a scalar in [0, 1]: `[V, C]`, `[V]`; 0 of no videos is 0."""
    right = ops.cast(correct(video_probs, labels), "float32")
    return ops.sum(right) / ops.maximum(ops.sum(ops.ones_like(right)), 1.0)


def bootstrap_interval(correct, seed: int, samples: int = 2000, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap over videos of the mean of `correct` `[V]`: the interval's low and high end.

    Numpy only. Takes any value a video, so differences of two methods work too. Raises `ValueError`
    without videos.
    """
    values = np.asarray(correct, "float64")
    if not len(values):
        raise ValueError("no videos to draw from; an interval needs at least one")
    generator = np.random.default_rng(seed)
    # Some draws at a time: all at once would hold samples * V numbers.
    at_once = max(1, AT_ONCE // len(values))
    sizes = [min(at_once, samples - first) for first in range(0, samples, at_once)]
    means = [values[generator.integers(len(values), size=(size, len(values)))].mean(axis=1) for size in sizes]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
