"""A video's prediction as the mean of its chosen clips' weighted by their saliency (beyond the paper).

The paper averages the chosen clips alike (section 3.1, `aggregate.video_probabilities`).
"""

import math

from keras import ops

from scsampler_tf.aggregate import video_probabilities
from scsampler_tf.selection import HIGHEST, LOWEST, finite_scores


def weighted_probabilities(clip_probs, chosen, saliency, temperature: float | None):
    """The video's class probabilities, the chosen clips weighted by softmax(saliency / temperature).

    clip_probs: `[V, L, C]`; chosen: bool `[V, L]`; saliency: `[V, L]`, one that is not a number counts as
    the lowest. temperature: above 0; the smaller, the more the most salient clips decide; None or infinite
    is the plain mean. Returns `[V, C]` float32; zeros for a video of which no clip was chosen. Raises
    `ValueError` for another temperature.
    """
    check_temperature(temperature)
    if temperature is None or math.isinf(temperature):
        return video_probabilities(clip_probs, chosen)
    chosen = ops.cast(chosen, "bool")
    saliency = ops.where(chosen, finite_scores(saliency), LOWEST)
    highest = ops.max(saliency, axis=1, keepdims=True, initial=LOWEST)
    # Halves, because the whole range is more than a float32 holds; beyond this lag a weight is 0 anyway.
    lag = ops.maximum(saliency / 2 - highest / 2, -min(64 * temperature, HIGHEST))
    weights = ops.where(chosen, ops.exp(lag / (temperature / 2)), 0.0)
    # The most salient chosen clip has weight 1, so the total is less than that only where none is chosen.
    weights = ops.expand_dims(weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0), -1)
    clip_probs = ops.where(ops.expand_dims(chosen, -1), ops.cast(clip_probs, "float32"), 0.0)
    return ops.sum(weights * clip_probs, axis=1)


def check_temperature(temperature: float | None) -> None:
    """Raises `ValueError` for a temperature that is not above 0."""
    if temperature is not None and not temperature > 0:
        raise ValueError(f"temperature is {temperature}; give a number above 0, or None for the plain mean")
