"""How much of a training's time goes into waiting for its input."""

import time
from collections.abc import Callable, Iterable

import keras
import tensorflow as tf

from benchmarks.input_clips import source
from benchmarks.input_records import sampler_batches
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.training_clips import augmented
from scsampler_tf.config import SAMPLERS, ExperimentConfig
from scsampler_tf.losses import SamplerLoss
from scsampler_tf.models import create
from scsampler_tf.models.sampler import frame_network, frames_per_clip, training_model

WARM = 1  # steps before anything is measured: the first one builds the graph
WAYS = {
    "classifier, cached": {"workers": 0, "cache": True},
    "classifier, cached, nothing made ahead": {"workers": 0, "cache": True, "ahead": 0},
    "classifier, 0 workers": {"workers": 0},
    "classifier, 2 workers": {"workers": 2},
    "classifier, 2 workers, nothing made ahead": {"workers": 2, "ahead": 0},
}


def rows(
    index: FeatureIndex, videos: list[VideoRecord], config: ExperimentConfig, seconds: float
) -> list[dict]:
    """Trains for about `seconds` each way; examples a second and the share of the time spent waiting."""
    step = _classifier_step(index, config)
    batch = min(config.classifier.batch, len(videos) * config.classifier.clips_per_video)
    found = []
    for name, way in WAYS.items():
        data = clip_batches(index, videos, config, batch, **way)
        # From the second epoch on, in which clips that are kept are there.
        first = max(WARM, len(videos) * config.classifier.clips_per_video // batch)
        found.append({"training": name, **loop(data, step, seconds, batch, first)})
    for kind in SAMPLERS:
        data = sampler_batches(index, videos, config, kind, min(len(videos), getattr(config, kind).batch))
        batch = int(data.element_spec[1].shape[0])
        found.append(
            {"training": kind, **loop(data, _sampler_step(index, config, kind), seconds, batch, WARM)}
        )
    return found


def clip_batches(
    index, videos, config: ExperimentConfig, batch: int, workers: int, cache: bool = False, ahead: int = 2
) -> tf.data.Dataset:
    """The classifier's batches as `train_classifier` makes them."""
    clips = source(index, videos, config.classifier, workers, batch=batch, cache=cache).clips()
    return augmented(clips, config.classifier.size, False, 0).batch(batch, True).prefetch(ahead)


def loop(data: Iterable, step: Callable, seconds: float, batch: int, first: int) -> dict:
    """Steps on the data for so many seconds after the first ones, which are not measured."""
    batches, waited, worked = iter(data), [], []
    began = None
    while began is None or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        inputs, target = next(batches)
        ready = time.perf_counter()
        step(inputs, target)
        done = time.perf_counter()
        waited.append(ready - start)
        worked.append(done - ready)
        if len(waited) == first:
            began = time.perf_counter()
    return shares(waited[first:], worked[first:], batch)


def shares(waited: list[float], worked: list[float], batch: int) -> dict:
    """What the seconds of some steps of `batch` examples say."""
    total = sum(waited) + sum(worked)
    return {
        "examples a second": batch * len(waited) / total,
        "ms a step": 1000 * total / len(waited),
        "waiting for input": sum(waited) / total,
    }


def _step(model: keras.Model, loss: Callable) -> Callable:
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.build(model.trainable_variables)

    @tf.function
    def moved(inputs, target):
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(target, model(inputs, training=True)))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    return lambda inputs, target: moved(inputs, target).numpy()


def _classifier_step(index: FeatureIndex, config: ExperimentConfig) -> Callable:
    size, frames = config.classifier.size, index.settings.clip_frames
    network = create(
        config.classifier.arch,
        num_classes=len(index.labels),
        input_shape=(frames, size, size, 3),
        inputs="rgb",
    )
    return _step(network, keras.losses.SparseCategoricalCrossentropy(True))


def _sampler_step(index: FeatureIndex, config: ExperimentConfig, kind: str) -> Callable:
    own = getattr(config, kind)
    network = frame_network(kind, own.arch, own.objective, index.settings, len(index.labels))
    frames = frames_per_clip(kind, index.settings)
    model = training_model(network, own.objective, own.clips_per_video, frames)
    step = _step(model, SamplerLoss(own))

    def numbered(inputs, target):
        return step({**inputs, "frame_mask": tf.cast(inputs["frame_mask"], tf.float32)}, target)

    return numbered
