"""Training of the clip classifier f on RGB clips that are decoded on demand."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipelines.decoding import ClipJob, decode_job, draw_clips
from pipelines.errors import UserError
from pipelines.files import make_folder
from pipelines.index import FeatureIndex
from pipelines.training_clips import TrainingClips, augmented
from pipelines.workers import run_jobs
from scsampler_tf.config import ClassifierConfig
from scsampler_tf.cost import count
from scsampler_tf.fitting import Fit, begin_with, pretrained_layers, run_fit, with_weights
from scsampler_tf.model_folder import begin_run, run_of
from scsampler_tf.models import create
from scsampler_tf.models.transfer import InitialWeights, initial_weights, options_of, why_fresh
from scsampler_tf.runtime import even_batch, set_seed
from scsampler_tf.scoring import clip_probabilities, probability_function

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
) -> None:
    """Trains f on the train split and keeps the network with the highest log-likelihood of val clips.

    `precision` is what the network computes in meanwhile; the one that is kept computes in float32. With
    0 epochs f is the network of `config.weights` as it is, whose classes must include the labels.
    """
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
    source = TrainingClips(
        index,
        videos,
        resize=config.resize,
        clips_per_video=config.clips_per_video,
        batch=even_batch(config.batch, strategy),
        seed=seed,
        inside_action=inside,
        workers=workers,
        cache=config.cache,
    )
    run_fit(
        Fit(
            kind=KIND,
            model=network,
            network=network,
            loss=keras.losses.SparseCategoricalCrossentropy(True),
            metrics=["accuracy"],
            data=lambda epoch: _batches(source, config, epoch),
            batch_videos=source.batch_videos,
            steps=source.steps,
            seed=seed,
            failure=lambda: source.failure,
            measure=_validation(network, index, config, inside, workers, seed),
            monitor="val_log_likelihood",
            about={
                "config": dataclasses.asdict(config),
                "clips_from": "action segments" if inside else "whole videos",
                "cost": dataclasses.asdict(count(network)),
                **begun,
            },
            precision=precision,
            profile=profile,
            pretrained=pretrained_layers(begun),
        ),
        config,
        folder,
        index,
        strategy,
        quiet,
    )


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


def _batches(source: TrainingClips, config: ClassifierConfig, epoch: int) -> tf.data.Dataset:
    """Endless batches of changed clips from an epoch on."""
    first = epoch * source.steps * source.batch
    changes = (config.size, config.flip, source.seed, config.crop_area, config.colour, first)
    return augmented(source.clips(epoch), *changes).batch(source.batch, True).prefetch(2)


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


def _validation(
    network, index: FeatureIndex, config: ClassifierConfig, inside: bool, workers: int, seed: int
):
    """A function that measures the network on clips of the val videos, which are the same every time."""
    videos = index.of_split("val")
    if not videos:
        return None
    rng = np.random.default_rng(seed)
    jobs = [
        ClipJob(
            video,
            draw_clips(video, index.settings, config.clips_per_video, inside, rng),
            config.resize,
            config.size,
        )
        for video in videos
    ]
    kept = list(_decoded(jobs, index, workers)) if config.cache else None
    function = probability_function(network)

    def measure() -> dict[str, float]:
        own, right = [], []
        for clips, label in kept or _decoded(jobs, index, workers):
            probabilities = clip_probabilities(function, clips)
            own.append(probabilities[:, label])
            right.append(probabilities.argmax(axis=1) == label)
        if not own:
            return {}
        likelihood = np.log(np.maximum(np.concatenate(own), 1e-7))
        return {"log_likelihood": float(likelihood.mean()), "accuracy": float(np.concatenate(right).mean())}

    return measure


def _decoded(jobs: list[ClipJob], index: FeatureIndex, workers: int) -> Iterator[tuple[np.ndarray, int]]:
    for job, clips in run_jobs(decode_job, jobs, workers, ordered=True):
        if not isinstance(clips, UserError):
            yield clips, index.label_id(job.video)
