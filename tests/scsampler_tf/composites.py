"""A composite with a classifier that counts, score tables drawn at random, settings beyond the paper."""

import functools

import keras
import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from pipelines.settings import FeatureSettings
from pipelines.wire import pack_strip
from scsampler_tf.composite import Composite
from scsampler_tf.config import SelectionConfig
from scsampler_tf.evaluation_set import EvaluationSet

CLASSES, SIZE, FRAMES = 3, 8, 2


class Counted(keras.layers.Layer):
    """Counts the clips that pass."""

    def build(self, shape):
        self.clips = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, clips):
        self.clips.assign_add(keras.ops.shape(clips)[0])
        return clips


def brightness_classifier() -> keras.Model:
    """Three classes by the brightness of a clip `[N, 2, 8, 8, 3]`."""
    entry = keras.Input((FRAMES, SIZE, SIZE, 3))
    x = keras.layers.GlobalAveragePooling3D()(Counted(name="counted")(entry))
    outputs = keras.layers.Dense(CLASSES)(x)
    network = keras.Model(entry, outputs)
    kernel = np.array([[-0.01, 0.0, 0.008]] * 3, "float32")
    network.layers[-1].set_weights([kernel, np.array([3.0, 1.0, -1.5], "float32")])
    return network


def strip(level: int) -> bytes:
    return pack_strip(np.full((FRAMES, SIZE, SIZE, 3), level, np.uint8), 95)


STRIPS = {level: strip(level) for level in range(256)}


def composite(classifier, config: SelectionConfig) -> Composite:
    samplers = {"md": (sampler(), "sal_rank")} if config.diversity else {}
    return Composite(classifier, samplers, FeatureSettings(), config, ["a", "b", "c"], {})


@functools.cache
def sampler() -> keras.Model:
    entry = keras.Input((14, 14, 2))
    x = keras.layers.GlobalAveragePooling2D()(entry)
    return keras.Model(entry, keras.layers.Dense(1, name="logits")(x))


def scores(seed: int, videos: int, longest: int, classifier):
    """Score tables of videos with 0 to `longest` clips, some without sound, and the clips' strips."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, longest + 1, videos)
    mask = np.arange(longest) < lengths[:, None]
    levels = rng.integers(0, 256, (videos, longest))
    pictures = np.broadcast_to(levels[..., None, None, None, None], (*levels.shape, FRAMES, SIZE, SIZE, 3))
    logits = classifier(pictures.reshape(-1, FRAMES, SIZE, SIZE, 3).astype("float32"), training=False)
    data = EvaluationSet(
        videos=[None] * videos,
        labels=rng.integers(0, CLASSES, videos),
        probabilities=np.reshape(tf.nn.softmax(logits), (videos, longest, CLASSES)),
        mask=mask,
        # Few different values, so that there are ties.
        visual=(rng.integers(0, 5, mask.shape) / 4 * mask).astype("float32"),
        audio=(rng.integers(0, 5, mask.shape) / 4 * mask).astype("float32"),
        has_audio=mask & (rng.random(mask.shape) < 0.7) & (rng.random((videos, 1)) < 0.7),
        in_action=None,
        missing=[],
        # Few directions, so that clips look alike.
        features=(rng.integers(-1, 2, (*mask.shape, 2)) * mask[..., None]).astype("float16"),
    )
    strips = [
        [STRIPS[level] if real else b"" for level, real in zip(*row, strict=True)]
        for row in zip(levels, mask, strict=True)
    ]
    return data, np.array(strips, object).reshape(mask.shape)


def seen(classifier) -> int:
    return int(classifier.get_layer("counted").clips)


def picked(strips, indices):
    return np.array(
        [[strips[row, i] if i >= 0 else b"" for i in line] for row, line in enumerate(indices)], object
    ).reshape(indices.shape)


CHOICES = st.builds(
    lambda K, share, least, unlike, **rest: SelectionConfig(
        **{"K": K, "K_prime": min(K, share), "stop_least": min(K, least), **unlike, **rest}
    ),
    K=st.integers(1, 5),
    share=st.integers(0, 5),
    least=st.integers(1, 3),
    fusion=st.sampled_from(["visual", "audio", "union_list", "convex_score", "intersect_list"]),
    stride=st.integers(1, 2),
    unlike=st.sampled_from([{}, {"nms_gap": 2}, {"nms_gap": 3}, {"diversity": 0.25}, {"diversity": 1.0}]),
    stop_margin=st.sampled_from([0.0, 0.05, 0.3, 0.6, 1.0]),
    temperature=st.sampled_from([0.0, 0.05, 1.0]),
)
