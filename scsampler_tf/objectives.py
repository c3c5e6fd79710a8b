"""The paper's learning objectives on the clips of each video: AC, SAL-CL, SAL-RANK (section 3.2).

All take padded `[V, N]` arrays, V videos with N clips each, and a boolean mask that names the clips to
keep, and return one loss a video `[V]` float32: 0, with zero gradient, for a video without a valid clip
or pair. N is the number of clips that training draws from a video, not the length of the video.
"""

from keras import ops

from scsampler_tf.config import OBJECTIVES
from scsampler_tf.selection import clip_counts, ranks, true_class_scores

RANK_FORMS = ("standard", "printed")


def check_objective(objective: str) -> None:
    """Raises `ValueError` for a name that is none of `OBJECTIVES`."""
    if objective not in OBJECTIVES:
        raise ValueError(f"objective '{objective}' is none of {', '.join(OBJECTIVES)}")


def ac(labels, log_probs, mask):
    """Action classification: mean cross-entropy of the video's label over its clips (section 3.2.1).

    labels: ints `[V]`; log_probs: `[V, N, C]`, log class probabilities of each clip; mask: `[V, N]`.
    Returns `[V]`: -1/n sum_i log h_y(clip i) over the n clips of the mask.
    """
    own = true_class_scores(ops.cast(log_probs, "float32"), labels)
    return _masked_mean(-own, mask, axis=1)


def sal_cl(true_scores, saliency, mask, fraction: float):
    """Saliency classification: binary cross-entropy against the oracle's top clips (section 3.2.2).

    true_scores: `[V, N]`, f's score of the true class; saliency: `[V, N]` in [0, 1]; mask: `[V, N]`;
    fraction: K_tr / L in (0, 1]. Of a video's n clips in the mask, the max(1, floor(fraction n)) with the
    highest true score (ties: the earlier) have label 1, the others 0. The paper's best are 1/2 for the
    visual and 1/4 for the audio sampler (appendix C.1). Returns `[V]`, the mean over the n clips.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}; the share of salient clips lies in (0, 1]")
    # 0.29 of 100 clips are 29, also where the product is rounded to 28.999998.
    top = ops.floor(fraction * ops.cast(clip_counts(mask), "float32") + 1e-3)
    positive = ranks(true_scores, mask) < ops.cast(ops.maximum(top, 1.0), "int32")
    saliency = ops.clip(_kept(saliency, mask, filler=0.5), 1e-7, 1 - 1e-7)
    return _masked_mean(-ops.log(ops.where(positive, saliency, 1 - saliency)), mask, axis=1)


def sal_rank(true_scores, saliency, mask, margin: float, form: str = "standard"):
    """Saliency ranking: clips that f scores higher for the true class shall be more salient (3.2.3).

    true_scores: `[V, N]`, f's score of the true class; saliency: `[V, N]`; mask: `[V, N]`; margin: eta.
    For every ordered pair (i, j) of a video's clips with different true scores, z is 1 where clip i has
    the higher one and -1 otherwise (equation 1; pairs of equal scores have no order and are left out):

        standard:  max(0, -z (s_i - s_j) + eta)
        printed:   max(0, -z (s_i - s_j + eta))        equation 2 as it stands in the paper

    The two agree for z = -1. For z = 1 the printed form is max(0, s_j - s_i - eta): it asks nothing until
    the better clip falls eta *below* the other, so the margin loosens the hinge in one order of the pair
    while it tightens it in the other. The standard form asks for the same lead of eta in both orders,
    which is what a margin is for, and is therefore the default.

    All ordered pairs among the N clips given are used, none are drawn: memory grows with V N^2, and N is
    bounded by the clips a video that training draws. Returns `[V]`, the mean over a video's pairs.
    """
    if form not in RANK_FORMS:
        raise ValueError(f"form '{form}' is none of {', '.join(RANK_FORMS)}")
    true_scores, saliency = ops.cast(true_scores, "float32"), _kept(saliency, mask)
    mask = ops.cast(mask, "bool")
    first, second = true_scores[:, :, None], true_scores[:, None, :]
    better, worse = first > second, first < second
    z = ops.cast(better, "float32") - ops.cast(worse, "float32")
    pairs = ops.logical_and(mask[:, :, None], mask[:, None, :])
    pairs = ops.logical_and(pairs, ops.logical_or(better, worse))
    lead = saliency[:, :, None] - saliency[:, None, :]
    hinge = -z * lead + margin if form == "standard" else -z * (lead + margin)
    return _masked_mean(ops.relu(hinge), pairs, axis=(1, 2))


def _kept(values, mask, filler: float = 0.0):
    # Padding is replaced before any arithmetic: whatever it holds must not reach loss or gradient.
    return ops.where(ops.cast(mask, "bool"), ops.cast(values, "float32"), filler)


def _masked_mean(values, mask, axis):
    count = ops.sum(ops.cast(mask, "float32"), axis=axis)
    return ops.sum(_kept(values, mask), axis=axis) / ops.maximum(count, 1.0)
