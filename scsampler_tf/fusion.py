"""The paper's ways of combining the visual and the audio sampler (section 3.3.3).

Each scheme is one fused score a clip, `[V, L]` float32, higher is better, after which `selection.top_k`
chooses: the same K best clips as the paper's procedures on lists, for every K at once. All take
`visual`, `audio`, `mask`, `has_audio`, each `[V, L]`; clips outside the mask get 0.

Silence. A video without any sound is ranked by its visual scores alone. In a video with sound, clips
without it stand at the end of the audio list, in the order of the visual list; where scores are mixed,
their audio score counts as the lowest of the video.

List schemes return positions as scores: (n - position) / n of n clips, from 1 for the first to 1 / n for
the last. Ties go to the earlier clip, as everywhere (`selection.ranks`).
"""

from keras import ops

from scsampler_tf.config import SCHEMES
from scsampler_tf.selection import HIGHEST, clip_counts, finite_scores, ranks, stable_argsort

ALPHA_STEPS = 10_000
PADDING = 2**31 - 1  # a key after every clip of the video

__all__ = [
    "SCHEMES",
    "audio_alone",
    "audio_ranks",
    "convex_list",
    "convex_score",
    "fuse",
    "intersect_list",
    "joint",
    "ranks",
    "union_list",
    "visual_alone",
]


def fuse(scheme: str, visual, audio, mask, has_audio, *, alpha: float, k_prime: int):
    """The fused score `[V, L]` of one of `SCHEMES`; alpha and k_prime are used where a scheme has them."""
    scores = (visual, audio, mask, has_audio)
    # Not a match statement: tf.function cannot trace one.
    schemes = {
        "visual": lambda: visual_alone(*scores),
        "audio": lambda: audio_alone(*scores),
        "convex_score": lambda: convex_score(*scores, alpha),
        "convex_list": lambda: convex_list(*scores, alpha),
        "intersect_list": lambda: intersect_list(*scores),
        "union_list": lambda: union_list(*scores, k_prime),
        "joint": lambda: joint(*scores),
    }
    if scheme not in schemes:
        raise ValueError(f"scheme '{scheme}' is none of {', '.join(SCHEMES)}")
    return schemes[scheme]()


def visual_alone(visual, audio, mask, has_audio):
    """The visual sampler's own scores `[V, L]`; audio and has_audio are not looked at."""
    return ops.where(ops.cast(mask, "bool"), finite_scores(visual), 0.0)


def audio_alone(visual, audio, mask, has_audio):
    """The audio sampler's list as scores `[V, L]`; a video without any sound has its visual list."""
    return _listed(audio_ranks(visual, audio, mask, has_audio), mask)


def convex_score(visual, audio, mask, has_audio, alpha: float):
    """AV-convex-score: alpha s_V + (1 - alpha) s_A, `[V, L]`; the paper's best alpha is 0.9."""
    _check_alpha(alpha)
    visual, mask = finite_scores(visual), ops.cast(mask, "bool")
    heard = ops.logical_and(ops.cast(has_audio, "bool"), mask)
    any_sound = ops.any(heard, axis=1, keepdims=True)
    audio = finite_scores(audio)
    lowest = ops.min(ops.where(heard, audio, HIGHEST), axis=1, keepdims=True, initial=HIGHEST)
    audio = ops.where(heard, audio, ops.where(any_sound, lowest, 0.0))
    fused = ops.where(any_sound, alpha * visual + (1 - alpha) * audio, visual)
    return ops.where(mask, fused, 0.0)


def joint(visual, audio, mask, has_audio):
    """AV-joint-training at test time: the mean of both scores `[V, L]`, trained as that mean."""
    return convex_score(visual, audio, mask, has_audio, 0.5)


def convex_list(visual, audio, mask, has_audio, alpha: float):
    """AV-convex-list: by alpha rank_V + (1 - alpha) rank_A, `[V, L]`; the paper's best alpha is 0.8.

    alpha counts to four decimals: in whole numbers equal averages tie exactly.
    """
    _check_alpha(alpha)
    share = round(alpha * ALPHA_STEPS)
    by_audio = audio_ranks(visual, audio, mask, has_audio)
    return _listed(share * ranks(visual, mask) + (ALPHA_STEPS - share) * by_audio, mask)


def intersect_list(visual, audio, mask, has_audio):
    """AV-intersect-list: by the larger of a clip's two ranks, `[V, L]`.

    A clip is in both top-m lists once m exceeds the larger of its two ranks, so the K smallest of these
    are the intersection that has grown to K clips. One step of m can bring two clips, the m-th of either
    list, and so pass K: then the one that the visual list places higher comes first, because the paper
    finds the visual sampler the better selector (table 7).
    """
    by_eye, by_ear = ranks(visual, mask), audio_ranks(visual, audio, mask, has_audio)
    return _listed(2 * ops.maximum(by_eye, by_ear) + ops.cast(by_eye > by_ear, "int32"), mask)


def union_list(visual, audio, mask, has_audio, k_prime: int):
    """AV-union-list: the visual sampler's K' best clips, then the audio list's others, `[V, L]`.

    The paper's best is K' = 8 of K = 10 (appendix C.2). K' of K or more leaves the visual sampler alone,
    0 the audio sampler.
    """
    if k_prime < 0:
        raise ValueError(f"k_prime is {k_prime}; the visual sampler chooses none (0) or more clips")
    by_eye, by_ear = ranks(visual, mask), audio_ranks(visual, audio, mask, has_audio)
    return _listed(ops.where(by_eye < k_prime, by_eye, k_prime + by_ear), mask)


def audio_ranks(visual, audio, mask, has_audio):
    """Position of every clip in the audio list, int32 `[V, L]`: heard clips first, the silent after.

    The silent keep the order of the visual list, so a video without sound has that list here too.
    """
    heard = ops.logical_and(ops.cast(has_audio, "bool"), ops.cast(mask, "bool"))
    return _positions(ops.where(heard, ranks(audio, heard), clip_counts(heard) + ranks(visual, mask)), mask)


def _positions(keys, mask):
    """Ranks by whole-numbered keys, smallest first: int32 `[V, L]`."""
    # Sorted as whole numbers: as float32 large keys that differ by one would tie.
    keys = ops.where(ops.cast(mask, "bool"), keys, PADDING)
    return stable_argsort(stable_argsort(keys))


def _listed(keys, mask):
    """Scores of a list sorted by whole-numbered keys, smallest first: (n - position) / n."""
    count = clip_counts(mask)
    score = ops.cast(count - _positions(keys, mask), "float32") / ops.cast(ops.maximum(count, 1), "float32")
    return ops.where(ops.cast(mask, "bool"), score, 0.0)


def _check_alpha(alpha: float) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; the visual sampler's weight lies in [0, 1]")
