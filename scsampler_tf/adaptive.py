"""As many clips as a video needs: classify in order of saliency, stop when the answer is confident.

Beyond the paper, which classifies K clips of every video. `running_margins`, `stopped` and `used_clips` are
keras.ops and run inside the exported graph; `tuned` is for evaluation, on the tables of validation videos.
"""

from dataclasses import dataclass

import numpy as np
from keras import ops

from scsampler_tf.aggregate import correct, video_probabilities

MARGINS = tuple(step / 100 for step in range(1, 101))  # without 0, which settings read as "never stop"


@dataclass(frozen=True)
class Stopping:
    """Stop once at least `least` clips were classified and the two best classes of their mean lie `margin`
    (in [0, 1]) or more apart. Raises `ValueError` for other values."""

    margin: float
    least: int = 1

    def __post_init__(self):
        if not 0 <= self.margin <= 1:
            raise ValueError(f"margin is {self.margin}; the gap of two probabilities lies in [0, 1]")
        if self.least < 1:
            raise ValueError(f"least is {self.least}; at least one clip has to be classified")


@dataclass(frozen=True)
class Tuned:
    """What `tuned` found. rule: None where every rule loses too much. accuracy in [0, 1] and mean number
    of clips with that rule; full_accuracy, full_clips_per_video: of all K clips."""

    rule: Stopping | None
    accuracy: float
    clips_per_video: float
    full_accuracy: float
    full_clips_per_video: float


def running_margins(clip_probs, there):
    """How far the best class leads after each clip: `[V, K, C]`, there `[V, K]` -> float32 `[V, K]`.

    The gap between the two largest class probabilities of the mean over the clips so far that are there;
    0 while there is none, or where two classes share the first place. A single class leads by all it has.
    """
    there = ops.cast(there, "bool")
    total = ops.cumsum(ops.where(there[..., None], ops.cast(clip_probs, "float32"), 0.0), axis=1)
    count = ops.cast(_counted(there), "float32")
    mean = total / ops.maximum(count, 1.0)[..., None]
    best = ops.max(mean, axis=2, keepdims=True, initial=0.0)
    leads = ops.equal(mean, best)
    second = ops.max(ops.where(leads, 0.0, mean), axis=2, initial=0.0)
    alone = ops.equal(ops.sum(ops.cast(leads, "int32"), axis=2), 1)
    return ops.where(alone, ops.squeeze(best, axis=2) - second, 0.0)


def stopped(clip_probs, there, rule: Stopping):
    """How many clips each video needs under `rule`: int32 `[V]`.

    clip_probs: `[V, K, C]`, the chosen clips in the order in which they are classified; there: bool
    `[V, K]`. All that are there are needed where the answer never becomes confident; a video without clips
    needs 0.
    """
    there = ops.cast(there, "bool")
    count = _counted(there)
    enough = ops.logical_and(count >= rule.least, running_margins(clip_probs, there) >= rule.margin)
    # Where it has stopped it stays stopped, so what counts is the first place.
    confident = ops.cumsum(ops.cast(ops.logical_and(enough, there), "int32"), axis=1) > 0
    unsure = ops.sum(ops.cast(ops.logical_and(there, ops.logical_not(confident)), "int32"), axis=1)
    return ops.minimum(unsure + 1, ops.sum(ops.cast(there, "int32"), axis=1))


def used_clips(there, count):
    """The first `count` `[V]` clips that are there `[V, K]`: bool `[V, K]`."""
    there = ops.cast(there, "bool")
    return ops.logical_and(there, _counted(there) <= ops.expand_dims(ops.cast(count, "int32"), -1))


def tuned(
    clip_probs,
    there,
    labels,
    *,
    tolerance: float,
    least: int = 1,
    margins: tuple[float, ...] = MARGINS,
) -> Tuned:
    """The margin that needs the fewest clips while accuracy falls by no more than `tolerance`.

    clip_probs: `[V, K, C]` in the order of saliency, there: `[V, K]`, labels: `[V]`, of validation videos.
    tolerance: in [0, 1], against all K clips. For evaluation, not for graphs. Of margins that need equally
    many clips the one with the higher accuracy, then the larger, is taken; rule None (classify all K)
    where no margin needs fewer. Raises `ValueError` without videos or for another tolerance.
    """
    there = np.asarray(there, bool)
    if not len(there):
        raise ValueError("no videos to tune on; a margin needs at least one")
    if not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance is {tolerance}; an accuracy that may be lost lies in [0, 1]")

    def outcome(rule: Stopping | None) -> tuple[float, float]:
        needed = there.sum(axis=1) if rule is None else stopped(clip_probs, there, rule)
        used = np.asarray(used_clips(there, needed))
        right = np.asarray(correct(video_probabilities(clip_probs, used), labels))
        return float(right.mean()), float(used.sum(axis=1).mean())

    full_accuracy, full_clips = outcome(None)
    best = (None, full_accuracy, full_clips)
    for margin in sorted(margins, reverse=True):
        rule = Stopping(margin, least)
        accuracy, clips = outcome(rule)
        # The slack is rounding: accuracies are shares of the same number of videos.
        if accuracy < full_accuracy - tolerance - 1e-9 or clips >= full_clips:
            continue
        if best[0] is None or (clips, -accuracy) < (best[2], -best[1]):
            best = (rule, accuracy, clips)
    return Tuned(*best, full_accuracy, full_clips)


def _counted(there):
    """Clips so far, this one included: int32 `[V, K]`."""
    return ops.cumsum(ops.cast(there, "int32"), axis=1)
