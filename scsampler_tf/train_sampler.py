"""Training of a sampler (MD, RGB-R, I-frame or audio) with AC, SAL-CL or SAL-RANK."""

import dataclasses
import functools
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipelines.data_service import service_failure
from pipelines.datasets import batch_videos, epoch_steps, sampler_videos
from pipelines.errors import UserError
from pipelines.files import make_folder
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.jitter import Jitter
from pipelines.shards import all_offsets, shard_failure
from scsampler_tf.board.boards import sampler_board
from scsampler_tf.config import RECORD_FIELDS, SamplerConfig
from scsampler_tf.cost import count
from scsampler_tf.fitting import Fit, begin_with, pretrained_layers, run_fit, with_weights
from scsampler_tf.losses import SamplerLoss
from scsampler_tf.model_folder import begin_run, run_of
from scsampler_tf.models.sampler import (
    AC,
    frame_network,
    frames_per_clip,
    input_kind,
    train_only_head,
    training_model,
)
from scsampler_tf.models.transfer import InitialWeights, initial_weights, options_of
from scsampler_tf.runtime import even_batch, set_seed
from scsampler_tf.scoring import saliency_function, video_saliency
from scsampler_tf.tables import ScoreTable
from scsampler_tf.validation import SamplerValidation

WITHOUT_MOTION = ("audio", "iframe")


def train_sampler(
    kind: str,
    index: FeatureIndex,
    config: SamplerConfig,
    table: ScoreTable | None,
    folder: Path,
    *,
    K: int,
    strategy,
    seed: int,
    precision: str = "float32",
    quiet: bool = False,
    profile: bool = False,
    data_service: str | None = None,
    pictures: bool = True,
) -> None:
    """Trains one sampler on the train split and keeps the network that chooses best on the val split.

    `table` holds the classifier's probabilities on every clip; SAL-CL and SAL-RANK learn from them. Best
    means the highest mean score of the true class under f over the K chosen clips of a val video, which
    is what the sampler is for; AC needs no table and without one keeps the last network. `precision` is
    what the network computes in meanwhile; the one that is kept computes in float32. `data_service` is the
    address of a tf.data service that makes the batches; `pictures` says whether TensorBoard gets some.
    """
    videos = _learned_from(kind, index, config, table)
    weights = initial_weights(kind, config)
    run = run_of(kind, config, index, seed, None if table is None else table.made_by)
    if begin_run(make_folder(folder), with_weights(run, weights, precision)):
        return
    set_seed(seed)
    with strategy.scope():
        network = _network(kind, config, weights, index, strategy, seed, precision)
        labels = index.labels if config.objective == AC else None
        begun = begin_with(weights, network, labels, kind, quiet)
        if config.trainable == "head":
            train_only_head(network)
        frames = frames_per_clip(kind, index.settings)
        model = training_model(network, config.objective, config.clips_per_video, frames)
    batch = even_batch(min(config.batch, len(videos)), strategy)
    validation = _validation(network, kind, index, config, table, K)
    settings = {"kind": kind, **dataclasses.asdict(config), "K": K, "seed": seed, "precision": precision}
    shown = {"kinds": (kind,), "pictures": pictures}
    board = sampler_board(folder, settings, index, validation, config.epochs, **shown)
    fit = Fit(
        kind=kind,
        model=model,
        network=network,
        loss=SamplerLoss(config),
        metrics={},
        data=functools.partial(_batches, kind, index, config, videos, table, batch, seed, data_service),
        batch_videos=functools.partial(batch_videos, videos, batch, seed),
        steps=epoch_steps(len(videos), batch),
        batch=batch,
        seed=seed,
        validation=validation,
        monitor="val_chosen_score",
        about=_about(kind, index, config, videos, network, begun),
        failure=lambda error: data_failure(error, index, videos, validation, data_service),
        precision=precision,
        profile=profile,
        pretrained=pretrained_layers(begun),
        watchers=(board,),
    )
    run_fit(fit, config, folder, index, strategy, quiet)


def _learned_from(
    kind: str, index: FeatureIndex, config: SamplerConfig, table: ScoreTable | None
) -> list[VideoRecord]:
    """The train videos; raises `UserError` where there are none, or no scores that the objective needs."""
    videos = _usable(index, "train", kind, table)
    if not videos:
        sound = " with sound" if kind == "audio" else ""
        raise UserError(
            f"{index.folder}: no train video{sound} to train '{kind}' on; the manifest needs such rows"
        )
    if table is None and config.objective != AC:
        raise UserError(
            f"{config.objective} learns from the classifier's scores; run scsampler_tf.score classifier first"
        )
    return videos


def _about(
    kind: str, index: FeatureIndex, config: SamplerConfig, videos: list, network: keras.Model, begun: dict
) -> dict:
    """What model.json says of a sampler, but for how its training went."""
    return {
        "config": dataclasses.asdict(config),
        "objective": config.objective,
        "frames_per_clip": frames_per_clip(kind, index.settings),
        "motion": {} if kind in WITHOUT_MOTION else Counter(video.policy for video in videos),
        "cost": dataclasses.asdict(count(network)),
        **begun,
    }


def _batches(
    kind: str,
    index: FeatureIndex,
    config: SamplerConfig,
    videos,
    table,
    batch,
    seed,
    service,
    epoch,
    shard,
    each,
) -> tf.data.Dataset:
    """Endless batches of drawn clips, from an epoch on (`fitting.Fit`)."""
    data = sampler_videos(
        index,
        videos,
        RECORD_FIELDS[kind],
        _true_scores(index, videos, table),
        clips_per_video=config.clips_per_video,
        batch=batch,
        seed=seed,
        first_epoch=epoch,
        shard=shard,
        replica_batch=each,
        service=service,
        jitter=Jitter(config.crop_area, config.flip, config.mask),
    )
    return data.map(_with_number_mask)


def data_failure(
    error: Exception,
    index: FeatureIndex,
    videos: list[VideoRecord],
    validation: SamplerValidation | None,
    service: str | None = None,
) -> UserError | None:
    """The sentence for an error that features, or the service that reads them, have caused, else None."""
    measured = validation.videos if validation else []
    return service_failure(error, service) or shard_failure(error, index, [*videos, *measured])


def _network(
    kind: str,
    config: SamplerConfig,
    weights: InitialWeights | None,
    index: FeatureIndex,
    strategy,
    seed: int,
    precision: str,
) -> keras.Model:
    options = options_of(weights, input_kind(kind))
    if config.features:
        options["features"] = config.features
    return frame_network(
        kind,
        config.arch,
        config.objective,
        index.settings,
        len(index.labels),
        dtype=precision,
        dropout=config.dropout,
        seed=seed,
        sync_batchnorm=strategy.num_replicas_in_sync > 1,
        **options,
    )


def _with_number_mask(inputs: dict, target) -> tuple[dict, object]:
    """The frame mask as 0 and 1: Keras averages a first batch over the devices, which bool does not allow."""
    return {**inputs, "frame_mask": keras.ops.cast(inputs["frame_mask"], "float32")}, target


def _usable(index: FeatureIndex, split: str, kind: str, table: ScoreTable | None) -> list:
    """Videos that the sampler can learn from: with sound for audio, and seen by the classifier."""
    return [
        video
        for video in index.of_split(split)
        if (kind != "audio" or video.has_audio) and (table is None or video.video_id in table.values)
    ]


def _true_scores(index: FeatureIndex, videos: list, table: ScoreTable | None) -> list[np.ndarray]:
    """f's score of the true class on every clip `[L]` of each video; zeros where there is no table."""
    if table is None:
        return [np.zeros(video.clips, np.float32) for video in videos]
    rows = table.of([video.video_id for video in videos])
    return [row[:, index.label_id(video)] for row, video in zip(rows, videos, strict=True)]


def _validation(
    network, kind: str, index: FeatureIndex, config: SamplerConfig, table: ScoreTable | None, K: int
) -> SamplerValidation | None:
    """How well the sampler chooses K clips of the val videos; nothing without them or their scores."""
    videos = _usable(index, "val", kind, table)
    if table is None or not videos:
        return None
    all_offsets(index, videos)  # a broken file shows before the first epoch
    function = saliency_function(network, config.objective)

    def saliency(video: VideoRecord) -> np.ndarray:
        return video_saliency(function, index, video, kind)

    return SamplerValidation(saliency, index, videos, table.values, K)
