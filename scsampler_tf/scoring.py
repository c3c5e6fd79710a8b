"""Networks on all clips of a video, in order and in bounded memory."""

import keras
import numpy as np
import tensorflow as tf

from pipelines.datasets import feature_clips
from pipelines.index import FeatureIndex, VideoRecord
from scsampler_tf.config import FIELDS
from scsampler_tf.models.sampler import clip_logits
from scsampler_tf.saliency import clip_saliency


def saliency_function(network: keras.Model, objective: str):
    """A compiled function (frames `[N, P, h, w, c]`, mask `[N, P]`) -> saliency `[N]` float32."""

    @tf.function(reduce_retracing=True)
    def saliency(frames, mask):
        logits = clip_logits(network, frames)
        return clip_saliency(logits, mask, objective)

    return saliency


def video_saliency(
    function, index: FeatureIndex, video: VideoRecord, kind: str, batch: int = 64
) -> np.ndarray:
    """Saliency `[L]` float32 of every clip of a video; NaN where a clip has nothing to look at (no sound)."""
    parts = []
    for frames, mask in feature_clips(index, video, FIELDS[kind], batch):
        there = mask.numpy().any(axis=1)
        parts.append(np.where(there, function(frames, mask).numpy(), np.nan))
    return np.concatenate(parts).astype(np.float32)


def probability_function(classifier: keras.Model):
    """A compiled function: clips `[N, F, S, S, 3]` (0-255) -> class probabilities `[N, C]` float32."""

    @tf.function(reduce_retracing=True)
    def probabilities(clips):
        return tf.nn.softmax(classifier(tf.cast(clips, tf.float32), training=False))

    return probabilities


def clip_probabilities(function, clips: np.ndarray, batch: int = 32) -> np.ndarray:
    """Class probabilities `[n, C]` of clips `[n, F, S, S, 3]`, `batch` at a time."""
    parts = [function(clips[first : first + batch]).numpy() for first in range(0, len(clips), batch)]
    return np.concatenate(parts)
