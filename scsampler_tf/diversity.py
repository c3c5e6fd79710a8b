"""Top-K clips that are not all alike: temporal non-maximum suppression and greedy marginal relevance.

Beyond the paper, which chooses by saliency alone and so may choose neighbours that show the same. Both are
keras.ops and run inside the exported graph; both return what `selection.top_k` returns, indices `[V, K]`
int32, -1 where a video has fewer than K clips, and order scores as it does. With a K of each video's own,
int32 `[V]` or `[1]` and known only when the graph runs, they return what `selection.top_each` returns. Of
either choice fewer clips are the first of more.
"""

import numpy as np
from keras import ops

from scsampler_tf.config import SelectionConfig
from scsampler_tf.selection import (
    check_k,
    clip_counts,
    clip_numbers,
    finite_scores,
    gather_clips,
    order,
    ranks,
    top_each,
    top_k,
)

NOWHERE = 2**31 - 1  # a position after every clip of the video
LIKENESS_STEPS = 2.0**20
UNLIKE = -2.0  # below every cosine


def salient_clips(scores, mask, config: SelectionConfig, features=None, k=None):
    """The clips that are chosen by the settings: int32 `[V, K]` as `selection.top_k`.

    scores, mask: `[V, L]`; features: `[V, L, D]`, needed where `config.diversity` is above 0; k: a K of each
    video's own instead of that of the settings.
    """
    k = config.K if k is None else k
    if config.diversity:
        return relevant_top_k(scores, features, mask, k, config.diversity)
    return suppressed_top_k(scores, mask, k, config.nms_gap)


def suppressed_top_k(scores, mask, k, gap: int):
    """K salient clips, each at least `gap` clips away from the others where the video allows it.

    scores, mask: `[V, L]`; k: Python int or int32 `[V]`; gap: Python int. Distance is that of clip numbers,
    also where the mask has holes (a stride). Greedy non-maximum suppression: the most salient clip is taken,
    clips nearer than `gap` are suppressed, and so on (Neubeck and Van Gool, ICPR 2006, along time). When that
    leaves fewer than K, the most salient of the suppressed follow, so that as many clips are chosen as by
    `top_k`.

    Returns int32 `[V, K]`: the clips apart from each other, then those that fill up, each part most salient
    first; of equal scores the earlier clip. A gap of 0 or 1 suppresses nothing and equals `top_k`. Raises
    `ValueError` for k below 1 or a negative gap.
    """
    if gap < 0:
        raise ValueError(f"gap is {gap}; chosen clips lie 0 (anywhere) or more clips apart")
    if gap < 2:
        return _first(scores, mask, k)
    place, clip = ranks(scores, mask), clip_numbers(mask)

    def take(turn, free, apart):
        best = ops.min(ops.where(free, place, NOWHERE), axis=1, keepdims=True, initial=NOWHERE)
        taken = ops.logical_and(free, ops.equal(place, best))
        center = ops.sum(ops.where(taken, clip, 0), axis=1, keepdims=True)
        apart = ops.logical_or(apart, taken)
        # Without a taken clip the center says nothing, but then none is free any more.
        return turn + 1, ops.logical_and(free, ops.abs(clip - center) >= gap), apart

    free = ops.cast(mask, "bool")
    _, _, apart = _in_turns(take, k, free, ops.zeros_like(free))
    # Whole numbers, exact as float32 up to eight million clips.
    places = ops.where(apart, place, clip_counts(mask) + place)
    return _first(-ops.cast(places, "float32"), mask, k)


def relevant_top_k(scores, features, mask, k, diversity: float):
    """K clips by maximal marginal relevance: each salient, and unlike those taken before it.

    scores, mask: `[V, L]`; features: `[V, L, D]`; k: Python int or int32 `[V]`; diversity: weight d in
    [0, 1]. Clip after clip the highest (1 - d) score - d likeness is taken, likeness the largest cosine
    between its features and those of the clips already taken, nothing for the first (Carbonell and
    Goldstein, SIGIR 1998, with lambda = 1 - d). Both terms count as they are, so scores should lie in [0, 1].

    A clip whose features are all zero or not finite says nothing new: its likeness is 1, and no clip is
    like it (0). Likeness counts to six decimals (steps of 2^-20): clips with the same features tie exactly.

    Returns int32 `[V, K]` in the order taken; of equal marginal relevance the more salient clip, then the
    earlier. diversity 0 equals `top_k`. Raises `ValueError` for k below 1 or another diversity.
    """
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity is {diversity}; its weight against the score lies in [0, 1]")
    # In the order of the ranked list the first of equals is the more salient, then the earlier clip.
    listed, place = order(scores, mask), clip_numbers(mask)
    worth = (1 - diversity) * ops.take_along_axis(finite_scores(scores), listed, axis=1)
    directions = gather_clips(_directions(features, mask), listed)
    unknown = ops.logical_not(ops.any(ops.not_equal(directions, 0), axis=2))

    def take(turn, free, likeness, turns):
        marginal = ops.where(ops.equal(turn, 0), worth, worth - diversity * likeness)
        taken = _first_highest(marginal, free, place)
        now = ops.equal(place, taken)
        direction = gather_clips(directions, ops.where(taken < NOWHERE, taken, -1))
        alike = ops.where(unknown, 1.0, _cosines(directions, direction))
        free = ops.logical_and(free, ops.logical_not(now))
        return turn + 1, free, ops.maximum(likeness, alike), ops.where(now, turn, turns)

    free = place < clip_counts(mask)
    unlike, never = ops.full_like(worth, UNLIKE), ops.full_like(place, NOWHERE)
    turns = _in_turns(take, k, free, unlike, never)[-1]
    by_clip = ops.take_along_axis(turns, ranks(scores, mask), axis=1)
    return _first(-ops.cast(by_clip, "float32"), mask, k)


def _in_turns(take, k, free, *rest):
    """What is left of turn, `free` and `rest` after `take` of them for every one of K clips.

    A K of each video's own is a loop of the graph, which ends where no clip is free any more.
    """
    state = (0, free, *rest)
    if _same_for_all(k):
        check_k(k)
        for _ in range(k):
            state = take(*state)
        return state
    most = ops.max(ops.cast(k, "int32"), initial=0)
    return ops.while_loop(
        lambda turn, free, *_: ops.logical_and(turn < most, ops.any(free)), lambda *now: take(*now), state
    )


def _first(scores, mask, k):
    """The K highest, K a Python int or each video's own."""
    return top_k(scores, mask, k) if _same_for_all(k) else top_each(scores, mask, k)


def _same_for_all(k) -> bool:
    return isinstance(k, (int, np.integer))


def _first_highest(values, free, place):
    """Smallest `place` among the free of the highest value: int32 `[V, 1]`, `NOWHERE` when none is free."""
    # Not argmax, which tells -0 from 0.
    values = ops.where(free, values, -float("inf"))
    highest = ops.max(values, axis=1, keepdims=True, initial=-float("inf"))
    found = ops.logical_and(free, ops.equal(values, highest))
    return ops.min(ops.where(found, place, NOWHERE), axis=1, keepdims=True, initial=NOWHERE)


def _directions(features, mask):
    """Features scaled to length 1, `[V, L, D]` float32; zeros where there is nothing to scale."""
    features = ops.cast(features, "float32")
    usable = ops.logical_and(ops.all(ops.isfinite(features), axis=2), ops.cast(mask, "bool"))
    features = ops.where(ops.expand_dims(usable, -1), features, 0.0)
    # Scaled by the largest entry first: squares of the raw values could overflow or vanish.
    largest = ops.max(ops.abs(features), axis=2, keepdims=True, initial=0.0)
    known = largest >= float(np.finfo("float32").tiny)
    scaled = ops.where(known, features, 0.0) / ops.where(known, largest, 1.0)
    length = ops.sqrt(ops.sum(ops.square(scaled), axis=2, keepdims=True))
    return scaled / ops.maximum(length, 1.0)


def _cosines(directions, direction):
    """Cosines of `[V, L, D]` with `[V, 1, D]`: `[V, L]`."""
    # Rounded: sums of the same numbers differ in the last digit with the shape of the batch.
    return ops.round(ops.sum(directions * direction, axis=2) * LIKENESS_STEPS) / LIKENESS_STEPS
