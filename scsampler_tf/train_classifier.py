"""Training of the clip classifier f on RGB clips that are decoded on demand."""

import contextlib
import dataclasses
import functools
from pathlib import Path

import keras
import tensorflow as tf

from pipelines.data_service import refuse_clips
from pipelines.errors import UserError
from pipelines.files import make_folder
from pipelines.index import FeatureIndex
from pipelines.training_clips import TrainingClips, augmented
from scsampler_tf.board.boards import classifier_board
from scsampler_tf.config import ClassifierConfig
from scsampler_tf.cost import count
from scsampler_tf.fitting import Fit, begin_with, pretrained_layers, run_fit, with_weights
from scsampler_tf.model_folder import begin_run, run_of
from scsampler_tf.models import create
from scsampler_tf.models.transfer import InitialWeights, initial_weights, options_of, why_fresh
from scsampler_tf.runtime import even_batch, set_seed
from scsampler_tf.validation import ClassifierValidation

KIND = "classifier"


def train_classifier(
    index: FeatureIndex,
    config: ClassifierConfig,
    folder: Path,
    *,
    strategy,
    seed: int,
    workers: int,
    precision: str = "float32",
    quiet: bool = False,
    profile: bool = False,
    data_service: str | None = None,
    pictures: bool = True,
) -> None:
    """Trains f on the train split and keeps the network with the highest log-likelihood of val clips.

    `precision` is what the network computes in meanwhile; the one that is kept computes in float32. With
    0 epochs f is the network of `config.weights` as it is, whose classes must include the labels. `pictures`
    says whether TensorBoard gets some.
    """
    refuse_clips(data_service)
    videos = index.of_split("train")
    if not videos:
        raise UserError(f"{index.folder}: no train videos; the manifest needs rows with split 'train'")
    inside = _inside_action(config, videos, index)
    weights = initial_weights(KIND, config)
    if not config.epochs:
        _require_ready(config, why_fresh(weights.about.classes, index.labels))
    if begin_run(make_folder(folder), with_weights(run_of(KIND, config, index, seed), weights, precision)):
        return
    set_seed(seed)
    with strategy.scope():
        network = _network(config, weights, index, strategy, seed, precision)
        begun = begin_with(weights, network, index.labels, KIND, quiet)
    if not config.epochs:
        fresh = begun["initial_weights"]["fresh"]
        _require_ready(config, "; ".join(f"{layer}: {reason}" for layer, reason in fresh.items()))
    batch = even_batch(config.batch, strategy)
    source = _source(index, config, videos, batch, seed, inside, workers)
    validation = None
    if index.of_split("val"):
        validation = ClassifierValidation(network, index, config, inside, workers, seed)
    settings = {"kind": KIND, **dataclasses.asdict(config), "seed": seed, "precision": precision}
    board = classifier_board(folder, settings, index, validation, config.epochs, pictures=pictures)
    fit = Fit(
        kind=KIND,
        model=network,
        network=network,
        loss=keras.losses.SparseCategoricalCrossentropy(True),
        metrics={"accuracy": _right, "top5_accuracy": _among_five},
        data=functools.partial(_batches, source, config),
        batch_videos=source.batch_videos,
        steps=source.steps,
        batch=batch,
        seed=seed,
        failure=lambda error: source.failure,
        validation=validation,
        monitor="val_log_likelihood",
        about=_about(config, network, inside, begun),
        precision=precision,
        profile=profile,
        pretrained=pretrained_layers(begun),
        watchers=(board,),
    )
    with contextlib.closing(source):
        run_fit(fit, config, folder, index, strategy, quiet)


def _source(
    index: FeatureIndex, config: ClassifierConfig, videos, batch: int, seed: int, inside: bool, workers: int
) -> TrainingClips:
    return TrainingClips(
        index,
        videos,
        resize=config.resize,
        clips_per_video=config.clips_per_video,
        batch=batch,
        seed=seed,
        inside_action=inside,
        workers=workers,
        cache=config.cache,
    )


def _about(config: ClassifierConfig, network: keras.Model, inside: bool, begun: dict) -> dict:
    """What model.json says of f, but for how its training went."""
    return {
        "config": dataclasses.asdict(config),
        "clips_from": "action segments" if inside else "whole videos",
        "cost": dataclasses.asdict(count(network)),
        **begun,
    }


def _network(
    config: ClassifierConfig,
    weights: InitialWeights | None,
    index: FeatureIndex,
    strategy,
    seed: int,
    precision: str,
) -> keras.Model:
    return create(
        config.arch,
        num_classes=len(index.labels),
        input_shape=(index.settings.clip_frames, config.size, config.size, 3),
        inputs="rgb",
        dtype=precision,
        dropout=config.dropout,
        seed=seed,
        sync_batchnorm=strategy.num_replicas_in_sync > 1,
        **options_of(weights, "rgb"),
    )


def _batches(
    source: TrainingClips, config: ClassifierConfig, epoch: int, shard: tuple[int, int], each: int
) -> tf.data.Dataset:
    """Endless batches of changed clips from an epoch on (`fitting.Fit`)."""
    changes = (config.size, config.flip, source.seed, config.crop_area, config.colour)
    changed = augmented(source.clips(epoch, shard), *changes, source.numbers(epoch, shard))
    return changed.batch(each, True).prefetch(2)


def _right(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Whether the highest logit is the label's, `[B]`."""
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1), tf.cast(labels, tf.int64)), tf.float32)


def _among_five(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Whether the label's logit is among the five highest, `[B]`."""
    return tf.cast(tf.math.in_top_k(tf.cast(labels, tf.int32), logits, 5), tf.float32)


def _require_ready(config: ClassifierConfig, lacking: str) -> None:
    """Raises `UserError` when `lacking` says that the weights are no classifier for the labels."""
    if lacking:
        raise UserError(
            f"classifier.epochs=0 takes {config.weights} as it is, but {lacking}; "
            "train it with classifier.epochs above 0"
        )


def _inside_action(config: ClassifierConfig, videos: list, index: FeatureIndex) -> bool:
    annotated = all(video.segments for video in videos)
    if config.clips == "segments" and not annotated:
        raise UserError(
            f"{index.folder}: classifier.clips=segments needs action_segments for every train video"
        )
    return annotated and config.clips != "all"
