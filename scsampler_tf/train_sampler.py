"""Training of a sampler (MD, RGB-R, I-frame or audio) with AC, SAL-CL or SAL-RANK."""

import dataclasses
import functools
from collections import Counter
from pathlib import Path

import keras
import numpy as np

from pipelines.datasets import batch_videos, epoch_steps, sampler_videos
from pipelines.errors import UserError
from pipelines.files import make_folder
from pipelines.index import FeatureIndex
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
) -> None:
    """Trains one sampler on the train split and keeps the network that chooses best on the val split.

    `table` holds the classifier's probabilities on every clip; SAL-CL and SAL-RANK learn from them. Best
    means the highest mean score of the true class under f over the K chosen clips of a val video, which
    is what the sampler is for; AC needs no table and without one keeps the last network. `precision` is
    what the network computes in meanwhile; the one that is kept computes in float32.
    """
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
    learned_from = None if table is None else table.made_by
    weights = initial_weights(kind, config)
    run = run_of(kind, config, index, seed, learned_from)
    if begin_run(make_folder(folder), with_weights(run, weights, precision)):
        return
    set_seed(seed)
    frames = frames_per_clip(kind, index.settings)
    with strategy.scope():
        network = _network(kind, config, weights, index, strategy, seed, precision)
        labels = index.labels if config.objective == AC else None
        begun = begin_with(weights, network, labels, kind, quiet)
        if config.trainable == "head":
            train_only_head(network)
        model = training_model(network, config.objective, config.clips_per_video, frames)
    batch = even_batch(min(config.batch, len(videos)), strategy)
    data = functools.partial(
        sampler_videos,
        index,
        videos,
        RECORD_FIELDS[kind],
        _true_scores(index, videos, table),
        clips_per_video=config.clips_per_video,
        batch=batch,
        seed=seed,
    )
    run_fit(
        Fit(
            kind=kind,
            model=model,
            network=network,
            loss=SamplerLoss(config),
            metrics=[],
            data=lambda epoch: data(first_epoch=epoch).map(_with_number_mask),
            batch_videos=functools.partial(batch_videos, videos, batch, seed),
            steps=epoch_steps(len(videos), batch),
            seed=seed,
            measure=_selection_quality(network, kind, index, config, table, K),
            monitor="val_chosen_score",
            about={
                "config": dataclasses.asdict(config),
                "objective": config.objective,
                "frames_per_clip": frames,
                "motion": {} if kind in WITHOUT_MOTION else Counter(video.policy for video in videos),
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


def _selection_quality(network, kind: str, index: FeatureIndex, config: SamplerConfig, table, K: int):
    """A function that measures how well the sampler chooses K clips of the val videos."""
    videos = _usable(index, "val", kind, table)
    if table is None or not videos:
        return None
    known = list(zip(videos, _true_scores(index, videos, table), strict=True))
    function = saliency_function(network, config.objective)

    def measure() -> dict[str, float]:
        chosen, best = [], []
        for video, scores in known:
            saliency = video_saliency(function, index, video, kind)
            order = np.argsort(-np.nan_to_num(saliency, nan=-1.0), kind="stable")[:K]
            chosen.append(scores[order].mean())
            best.append(np.sort(scores)[-K:].mean())
        return {"chosen_score": float(np.mean(chosen)), "oracle_score": float(np.mean(best))}

    return measure
