"""Networks on all clips of a video, in order and in bounded memory."""

import os
import time

import keras
import numpy as np
import tensorflow as tf

from pipelines.datasets import feature_clips
from pipelines.index import FeatureIndex, VideoRecord
from scsampler_tf.activations import before_class_layer, clip_activations
from scsampler_tf.config import RECORD_FIELDS
from scsampler_tf.models.sampler import clip_logits
from scsampler_tf.saliency import clip_saliency


class Timed:
    """A network's function on clips that notes how long each call took until its answer was in memory."""

    def __init__(self, function):
        self._function = function
        self._calls: list[tuple[int, float]] = []

    def __call__(self, *inputs) -> np.ndarray:
        """The function's answer as an array whose first axis is clips."""
        began = time.perf_counter()
        answer = np.asarray(self._function(*inputs))
        self._calls.append((len(answer), time.perf_counter() - began))
        return answer

    def summary(self) -> dict:
        """`seconds_per_clip` (the median over calls), `clips` timed, `device`; empty before a second call.

        The first call is left out: it builds the graph. Reading and decoding are not in it.
        """
        calls = [(clips, seconds) for clips, seconds in self._calls[1:] if clips]
        if not calls:
            return {}
        return {
            "seconds_per_clip": float(np.median([seconds / clips for clips, seconds in calls])),
            "clips": sum(clips for clips, _ in calls),
            "device": device_name(),
        }


def device_name() -> str:
    """What networks run on: the first GPU by its name, or how many CPU cores there are."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return f"{os.cpu_count()} CPU cores"


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
    for frames, mask in feature_clips(index, video, RECORD_FIELDS[kind], batch):
        there = mask.numpy().any(axis=1)
        parts.append(np.where(there, np.asarray(function(frames, mask)), np.nan))
    return np.concatenate(parts).astype(np.float32)


def activation_function(network: keras.Model):
    """A compiled function (frames `[N, P, h, w, c]`, mask `[N, P]`) -> activations `[N, D]` float16."""
    trunk = before_class_layer(network)

    @tf.function(reduce_retracing=True)
    def activations(frames, mask):
        return clip_activations(trunk, frames, mask)

    return activations


def video_activations(
    function, index: FeatureIndex, video: VideoRecord, kind: str, batch: int = 64
) -> np.ndarray:
    """Activations `[L, D]` float16 of every clip of a video by the sampler `kind`."""
    clips = feature_clips(index, video, RECORD_FIELDS[kind], batch)
    return np.concatenate([np.asarray(function(*each)) for each in clips])


def probability_function(classifier: keras.Model):
    """A compiled function: clips `[N, F, S, S, 3]` (0-255) -> class probabilities `[N, C]` float32."""

    @tf.function(reduce_retracing=True)
    def probabilities(clips):
        return tf.nn.softmax(classifier(tf.cast(clips, tf.float32), training=False))

    return probabilities


def clip_probabilities(function, clips: np.ndarray, batch: int = 32) -> np.ndarray:
    """Class probabilities `[n, C]` of clips `[n, F, S, S, 3]`, `batch` at a time."""
    parts = [np.asarray(function(clips[first : first + batch])) for first in range(0, len(clips), batch)]
    return np.concatenate(parts)
