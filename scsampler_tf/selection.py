"""Which clips of a video are classified: SCSampler's top-K, the oracle and the paper's baselines.

Selectors return clip indices `[V, K]` int32, -1 where a video has fewer than K clips. `top_k`, `top_each`,
`ranks`, `strided`, `gather_clips`, `chosen_mask`, `dense` and `oracle_clips` are keras.ops and run inside the
exported graph; the baselines that draw or space clips (`random_clips`, `uniform_clips`,
`empirical_clips`, `fit_empirical`) are numpy only, for evaluation.

Scores are ordered alike everywhere: higher first, of equal scores the earlier clip first; a score that
is not a number counts as the lowest, and clips outside the mask come after all others.
"""

import keras
import numpy as np
from keras import ops

LOWEST, HIGHEST = float(np.finfo("float32").min), float(np.finfo("float32").max)


def check_k(k: int) -> None:
    """Raises `ValueError` for a K below 1."""
    if k < 1:
        raise ValueError(f"k is {k}; at least one clip has to be chosen")


def finite_scores(scores):
    """Scores `[...]` as float32 within the finite range; NaN becomes the lowest."""
    scores = ops.cast(scores, "float32")
    return ops.clip(ops.where(ops.isnan(scores), LOWEST, scores), LOWEST, HIGHEST)


def clip_numbers(mask):
    """0, 1, 2, ... along the clips: int32 `[V, L]`, also where L is known only when the graph runs."""
    return ops.cumsum(ops.ones_like(mask, dtype="int32"), axis=1) - 1


def clip_counts(mask):
    """Clips of every video inside the mask `[V, L]`: int32 `[V, 1]`."""
    return ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)


def stable_argsort(keys):
    """Places `[V, L]` int32 that sort keys `[V, L]` upwards; of equal keys the earlier place first."""
    # Keras promises no order of equal keys; all backends keep it but NumPy's.
    if keras.config.backend() == "numpy" and not isinstance(keys, keras.KerasTensor):
        return np.argsort(keys, axis=1, kind="stable").astype("int32")
    return ops.cast(ops.argsort(keys, axis=1), "int32")


def order(scores, mask):
    """The ranked list: clip indices int32 `[V, L]` from the most to the least salient.

    scores, mask: `[V, L]`. The clips outside the mask stand at the end.
    """
    # Finite scores keep clips of the video apart from padding, which alone is infinite.
    return stable_argsort(ops.where(ops.cast(mask, "bool"), -finite_scores(scores), float("inf")))


def ranks(scores, mask):
    """Position of every clip in its video's ranked list, 0 for the most salient: int32 `[V, L]`.

    scores, mask: `[V, L]`. Ties go to the earlier clip, so no two clips share a position; clips outside
    the mask have the positions after all others.
    """
    return ops.cast(ops.argsort(order(scores, mask), axis=1), "int32")


def top_k(scores, mask, k: int):
    """S(v; K), the K most salient clips of each video, most salient first (paper, section 3.1).

    scores, mask: `[V, L]`; k: Python int, may exceed L. Returns int32 `[V, K]`, padded with -1.
    """
    check_k(k)
    # Padding before the cut, because L may be unknown here; the reshape makes K a static dimension again.
    first = ops.reshape(ops.pad(order(scores, mask), [[0, 0], [0, k]])[:, :k], (-1, k))
    return ops.where(clip_counts(mask) > ops.arange(k, dtype="int32"), first, -1)


def top_each(scores, mask, counts):
    """`top_k` with a K of each video's own, known only when the graph runs.

    scores, mask: `[V, L]`; counts: int32 `[V]`. Returns int32 `[V, M]`, M the largest of the counts but no
    more than L; padded with -1.
    """
    counts = ops.expand_dims(ops.cast(counts, "int32"), 1)
    wanted = ops.minimum(counts, clip_counts(mask))
    chosen = ops.where(clip_numbers(mask) < wanted, order(scores, mask), -1)
    return chosen[:, : ops.max(counts, initial=0)]


def gather_clips(values, indices):
    """The chosen clips' values: `[V, L, ...]` and indices `[V, K]` give `[V, K, ...]`, zeros where -1."""
    trailing = len(values.shape) - 2
    # One appended row of zeros is what index -1 picks.
    padded = ops.pad(values, [[0, 0], [0, 1]] + [[0, 0]] * trailing)
    indices = ops.cast(indices, "int32")
    for _ in range(trailing):
        indices = ops.expand_dims(indices, -1)
    return ops.take_along_axis(padded, indices, axis=1)


def chosen_mask(indices, length):
    """Indices `[V, K]` as a mask over the clips: bool `[V, length]`; -1 chooses nothing.

    length: L, an int or a scalar tensor. Memory is V * K * L booleans.
    """
    clips = ops.arange(length, dtype="int32")
    return ops.any(ops.equal(ops.expand_dims(ops.cast(indices, "int32"), -1), clips), axis=1)


def strided(mask, stride: int):
    """The clips that a sampler looks at when it scores every N-th one: bool `[V, L]`.

    mask: `[V, L]`. The first clip of a video is always looked at, ceil(L / N) in all (appendix D).
    """
    if stride < 1:
        raise ValueError(f"stride is {stride}; 1 scores every clip, 2 every second one")
    mask = ops.cast(mask, "bool")
    position = ops.cumsum(ops.cast(mask, "int32"), axis=1) - 1
    return ops.logical_and(mask, ops.equal(position % stride, 0))


def dense(mask):
    """All clips of every video in order of time: int32 `[V, L]`, padded with -1.

    `chosen_mask` of this is the mask itself.
    """
    mask = ops.cast(mask, "bool")
    listed = order(ops.zeros_like(mask, dtype="float32"), mask)
    return ops.where(clip_numbers(mask) < clip_counts(mask), listed, -1)


def true_class_scores(class_scores, labels):
    """f_y(v), the classifier's score of each video's own class: `[V, L, C]`, `[V]` -> `[V, L]`."""
    labels = ops.cast(labels, "int32")[:, None, None]
    return ops.squeeze(ops.take_along_axis(class_scores, labels, axis=2), axis=2)


def oracle_clips(class_scores, labels, mask, k: int):
    """O(v, y; K): the K clips with the highest score for the true class (paper, section 3.1).

    class_scores: `[V, L, C]`; labels: `[V]`; mask: `[V, L]`. Returns int32 `[V, K]`, padded with -1.
    """
    return top_k(true_class_scores(class_scores, labels), mask, k)


def random_clips(mask, k: int, seed: int) -> np.ndarray:
    """K different clips of each video by chance: int32 `[V, K]` in the order drawn, padded with -1.

    Numpy only. What is drawn for a video depends on the seed, its row and its number of clips, not on
    padding; fewer clips from the same seed are the first of more.
    """
    return _each_video(mask, k, lambda row, count: np.random.default_rng([seed, row]).permutation(count))


def uniform_clips(mask, k: int) -> np.ndarray:
    """K evenly spaced clips, the first and the last included: int32 `[V, K]` in order of time.

    Numpy only. Of L clips the i-th choice is i (L - 1) / (K - 1), halves rounded to the later clip; K = 1
    takes the middle clip (the earlier of two). L < K: all clips, padded with -1 (paper, section 4.1.2).
    """

    def spaced(_, count):
        chosen = min(k, count)
        if chosen == 1:
            return np.array([(count - 1) // 2])
        # Whole numbers keep halves exact.
        return (2 * np.arange(chosen) * (count - 1) + chosen - 1) // (2 * max(chosen - 1, 1))

    return _each_video(mask, k, spaced)


def fit_empirical(true_scores, mask, k: int, bins: int = 20) -> np.ndarray:
    """Where in a video the oracle's clips lie, learned on the training set: `[bins]`, sums to 1.

    Numpy only. true_scores: `[V, L]`, f's score of the true class. Bin b holds the share of the oracle's
    top-K clips within b / bins to (b + 1) / bins of a video's length; a clip i of L covers i / L to
    (i + 1) / L, and every video counts alike. Without a single clip the histogram is flat.
    """
    check_k(k)
    mask = np.asarray(mask, bool)
    edges = np.arange(bins + 1) / bins
    total = np.zeros(bins)
    for scores, valid in zip(np.asarray(true_scores), mask, strict=True):
        count = int(valid.sum())
        if count:
            own = np.nan_to_num(scores[valid].astype("float64"), nan=-np.inf)
            chosen = np.zeros(count)
            chosen[np.argsort(-own, kind="stable")[:k]] = 1 / min(k, count)
            total += _rebinned(chosen, edges)
    return total / total.sum() if total.any() else np.full(bins, 1 / bins)


def empirical_clips(histogram, mask, k: int, seed: int) -> np.ndarray:
    """K different clips drawn from where the training set's oracle clips lie: int32 `[V, K]`, -1 padded.

    Numpy only; the poster's "Empirical" baseline. histogram: `[bins]` of `fit_empirical`. Clips are drawn
    one after the other without replacement, each in proportion to the histogram's mass over its stretch
    of the video; clips without mass come, by chance, after all others.
    """

    def drawn(row, count):
        edges = np.arange(count + 1) / count
        weights = _rebinned(np.asarray(histogram, "float64"), edges)
        # Exponential races: the order of arrival is a draw without replacement in proportion to weight.
        times = np.random.default_rng([seed, row]).exponential(size=count)
        late = weights <= 0
        return np.lexsort((times / np.where(late, 1.0, weights), late))

    return _each_video(mask, k, drawn)


def _rebinned(masses: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Masses of even bins over [0, 1], summed anew between the given edges."""
    cumulative = np.concatenate([[0.0], np.cumsum(masses)])
    return np.diff(np.interp(edges, np.linspace(0, 1, len(masses) + 1), cumulative))


def _each_video(mask, k: int, choose) -> np.ndarray:
    """Applies `choose(row, count) -> positions` to each video's own clips and pads the answers."""
    check_k(k)
    mask = np.asarray(mask, bool)
    indices = np.full((len(mask), k), -1, "int32")
    for row, valid in enumerate(mask):
        clips = np.flatnonzero(valid)
        if len(clips):
            chosen = clips[choose(row, len(clips))[:k]]
            indices[row, : len(chosen)] = chosen
    return indices
