"""What SCSampler classifies and whether its answers are right, from score tables.

It is what the exported graph (`composite`) does, by the same functions.
"""

import numpy as np

from pipelines.errors import UserError
from scsampler_tf import selection as choose
from scsampler_tf.adaptive import Stopping, stopped, used_clips
from scsampler_tf.aggregate import correct
from scsampler_tf.config import SelectionConfig
from scsampler_tf.diversity import salient_clips
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.fusion import fuse
from scsampler_tf.weighting import weighted_probabilities

AT_ONCE = 64  # videos


def fused_scores(data: EvaluationSet, mask: np.ndarray, config: SelectionConfig, scheme: str) -> np.ndarray:
    """The ranking score `[V, L]` of a scheme among the clips of `mask`; a missing sampler is silent."""
    nothing = np.zeros(data.mask.shape, np.float32)
    visual = nothing if data.visual is None else data.visual
    audio = nothing if data.audio is None else data.audio
    fused = fuse(scheme, visual, audio, mask, data.has_audio, alpha=config.alpha, k_prime=config.K_prime)
    return np.asarray(fused)


def looked_at(data: EvaluationSet, config: SelectionConfig) -> np.ndarray:
    """The clips `[V, L]` bool that are scored: every `stride`-th one."""
    return np.asarray(choose.strided(data.mask, config.stride))


def saliency_choice(data: EvaluationSet, config: SelectionConfig, scheme: str) -> np.ndarray:
    """The clips `[V, K]` that SCSampler has classified with a fusion scheme, in that order.

    -1 where a video has fewer, or where its answer was confident before (`config.stop_margin`).
    """
    among = looked_at(data, config)
    scores = fused_scores(data, among, config, scheme)
    indices = _chosen(data, scores, among, config)
    if not config.stop_margin:
        return indices
    there = indices >= 0
    rule = Stopping(config.stop_margin, config.stop_least)
    needed = stopped(choose.gather_clips(data.probabilities, indices), there, rule)
    return np.where(used_clips(there, needed), indices, -1)


def _chosen(data: EvaluationSet, scores: np.ndarray, mask: np.ndarray, config: SelectionConfig) -> np.ndarray:
    if not config.diversity:
        return np.asarray(salient_clips(scores, mask, config))
    if data.features is None:
        raise UserError(
            "selection.diversity: the run has no activations of its sampler md (or rgb_r, without md) to "
            "compare clips by; make them with python -m scsampler_tf.score activations, or leave it out"
        )
    # Some videos at a time, because activations as float32 are large.
    parts = [slice(first, first + AT_ONCE) for first in range(0, len(scores), AT_ONCE)]
    return np.concatenate(
        [np.asarray(salient_clips(scores[part], mask[part], config, data.features[part])) for part in parts]
    )


def chosen_clips(data: EvaluationSet, indices: np.ndarray) -> np.ndarray:
    """Indices `[V, K]` (-1 for none) as a mask over clips `[V, L]`."""
    return np.asarray(choose.chosen_mask(indices, data.mask.shape[1])) & data.mask


def is_right(
    data: EvaluationSet, chosen: np.ndarray, saliency: np.ndarray | None = None, temperature: float = 0.0
) -> np.ndarray:
    """Whether each video `[V]` gets its label from the mean over its chosen clips `[V, L]` bool.

    With a temperature above 0 they are weighted by their saliency `[V, L]` (`weighting`).
    """
    saliency = np.zeros(chosen.shape, np.float32) if saliency is None else saliency
    answers = weighted_probabilities(data.probabilities, chosen, saliency, temperature or None)
    return np.asarray(correct(answers, data.labels))


def scheme_is_right(
    data: EvaluationSet, chosen: np.ndarray, config: SelectionConfig, scheme: str
) -> np.ndarray:
    """`is_right` with the weights that `config` gives the clips chosen by a fusion scheme."""
    if not config.temperature:
        return is_right(data, chosen)
    saliency = fused_scores(data, looked_at(data, config), config, scheme)
    return is_right(data, chosen, saliency, config.temperature)
