"""AV-joint-training: trained samplers fine-tuned with respect to their mean score (paper, section 3.3.3).

    s(clip) = (s_V + s_A) / 2,   s_V the mean of the visual networks' scores

The paper: "simply average the audio-based score and the video-based score and then finetune the two
networks with respect to this average". It names no loss for it. The mean of two saliencies is no
distribution over classes, so AC has nothing to learn from; SAL-RANK and SAL-CL do, and SAL-RANK, with
which the paper trains the audio sampler of all its combinations, is what `joint_config` takes.

The score is `fusion.joint` in training, in validation and afterwards, so silence means the same in all of
them: a video without sound is ranked, and its networks are trained, by sight alone; in a video with sound a
clip without any counts as the least audible of those drawn. A clip with nothing to see or hear counts in no
loss. Networks run as they do when scoring (BatchNorm keeps its statistics, which silent windows and padding
would shift, and there is no dropout), so what is trained is the very score that is used.
"""

import dataclasses
import functools
from collections import Counter
from pathlib import Path

import numpy as np
from keras import ops

from pipelines.datasets import batch_videos, epoch_steps, sampler_videos
from pipelines.errors import UserError
from pipelines.files import file_digest, make_folder, read_json, write_json, written_whole
from pipelines.index import FeatureIndex, VideoRecord, require_same
from scsampler_tf.board.boards import sampler_board
from scsampler_tf.config import RECORD_FIELDS, ExperimentConfig, SamplerConfig
from scsampler_tf.fitting import Fit, run_fit, with_weights
from scsampler_tf.fusion import joint
from scsampler_tf.losses import SamplerLoss
from scsampler_tf.model_folder import (
    ABOUT_NAME,
    NETWORK_NAME,
    RUN_NAME,
    TrainedModel,
    begin_run,
    finish_run,
    is_finished,
    load_model,
    run_of,
)
from scsampler_tf.models.joint import AUDIO, bundle, joint_model
from scsampler_tf.models.sampler import AC
from scsampler_tf.runtime import even_batch, is_chief, set_seed, summed
from scsampler_tf.scoring import saliency_function, video_saliency
from scsampler_tf.tables import ScoreTable
from scsampler_tf.train_sampler import data_failure
from scsampler_tf.validation import SamplerValidation

SLOWER = 10  # trained networks are moved a little, not trained anew
# Settings of a single sampler's training that have no say here.
UNUSED = ("weights", "trainable", "features", "dropout", "pretrained_rate", "crop_area", "flip", "mask")


def joint_config(config: ExperimentConfig) -> SamplerConfig:
    """The joint training of a run: the audio sampler's at a tenth of its learning rate, all layers alike.

    SAL-RANK takes the place of AC.
    """
    audio = config.audio
    return dataclasses.replace(
        audio,
        objective="sal_rank" if audio.objective == AC else audio.objective,
        learning_rate=audio.learning_rate / SLOWER,
        **{name: getattr(SamplerConfig(), name) for name in UNUSED},
    )


def train_joint(
    index: FeatureIndex,
    config: SamplerConfig,
    table: ScoreTable | None,
    folder: Path,
    sources: dict[str, Path],
    *,
    K: int,
    strategy,
    seed: int,
    quiet: bool = False,
    profile: bool = False,
    data_service: str | None = None,
    pictures: bool = True,
) -> dict[str, Path]:
    """Fine-tunes the trained samplers among `sources` (kind -> model folder) together.

    Returns the folders of the results by kind, `folder/KIND`: ordinary networks, each with the objective
    that it had, for `scsampler_tf.score`. `table` holds the classifier's probabilities on every clip. The
    epoch is kept that chooses best on the val split by the joint score (`train_sampler`); without scored
    val videos the last one. Memory: `config.batch` times `config.clips_per_video` clips of all networks.

    Raises `UserError` without an audio or without a visual sampler, for AC, without the table, without
    train videos with sound, and for networks of other features or classes.
    """
    samplers = {kind: path for kind, path in sources.items() if is_finished(path)}
    videos = _checked_videos(index, config, table, samplers, sources)
    run = with_weights(run_of("joint", config, index, seed, table.made_by), None)
    run["sources"] = {kind: _digest(path) for kind, path in samplers.items()}
    with strategy.scope():
        models = {kind: _loaded(path, index) for kind, path in samplers.items()}
    if begin_run(make_folder(folder), run):
        return _written_networks(folder, index, strategy)
    set_seed(seed)
    with strategy.scope():
        networks = {kind: (model.network, model.about["objective"]) for kind, model in models.items()}
        about = {kind: _about(model, videos) for kind, model in models.items()}
        together = bundle(networks)
        model = joint_model(networks, config.clips_per_video, index.settings)
    batch = even_batch(min(config.batch, len(videos)), strategy)
    validation = _validation(networks, index, table, K)
    settings = {"kind": "joint", **dataclasses.asdict(config), "K": K, "seed": seed}
    settings = {name: value for name, value in settings.items() if name not in ("arch", *UNUSED)}
    shown = {"kinds": tuple(networks), "pictures": pictures}
    board = sampler_board(folder, settings, index, validation, config.epochs, **shown)
    fit = Fit(
        kind="joint",
        model=model,
        network=together,
        loss=SamplerLoss(config),
        metrics={},
        data=functools.partial(_batches, index, videos, networks, table, config, batch, seed, data_service),
        batch_videos=functools.partial(batch_videos, videos, batch, seed),
        steps=epoch_steps(len(videos), batch),
        batch=batch,
        seed=seed,
        profile=profile,
        validation=validation,
        watchers=(board,),
        failure=lambda error: data_failure(error, index, videos, validation, data_service),
        monitor="val_chosen_score",
        about={
            "config": dataclasses.asdict(config),
            "objective": config.objective,
            "networks": about,
        },
    )
    run_fit(fit, config, folder, index, strategy, quiet)
    return _written_networks(folder, index, strategy)


def _checked_videos(
    index: FeatureIndex, config: SamplerConfig, table: ScoreTable | None, samplers: dict, sources: dict
) -> list[VideoRecord]:
    """The train videos that f has scored, with or without sound, once nothing is missing."""
    eyes = [kind for kind in sources if kind != AUDIO] or ["md"]
    for wanted in ([AUDIO], eyes):
        if not any(kind in samplers for kind in wanted):
            raise UserError(
                f"joint training needs a trained sampler {' or '.join(wanted)}; make it with "
                f"python -m scsampler_tf.train sampler --kind {wanted[0]}"
            )
    if config.objective == AC:
        raise UserError(
            "joint training learns from the mean of two saliencies, which ac cannot; use sal_rank or sal_cl"
        )
    if table is None:
        raise UserError(
            "joint training learns from the classifier's scores; run scsampler_tf.score classifier first"
        )
    videos = [video for video in index.of_split("train") if video.video_id in table.values]
    if not any(video.has_audio for video in videos):
        raise UserError(
            f"{index.folder}: no train video with sound to train 'joint' on; the manifest needs such rows"
        )
    return videos


def _digest(folder: Path) -> str:
    return file_digest(folder / NETWORK_NAME)[:16]


def _loaded(folder: Path, index: FeatureIndex) -> TrainedModel:
    model = load_model(folder)
    require_same(model.settings, index.settings, str(folder))
    if model.labels != index.labels:
        raise UserError(
            f"{folder}: was trained on other classes than those of {index.folder}; train it again"
        )
    return model


def _about(model: TrainedModel, videos: list[VideoRecord]) -> dict:
    """What a network's model.json will say, but for how the joint training went."""
    motion = Counter(video.policy for video in videos) if model.about.get("motion") else {}
    return {**model.about, "name": model.network.name, "motion": motion}


def _true_scores(index: FeatureIndex, videos: list[VideoRecord], table: ScoreTable) -> list[np.ndarray]:
    """f's score of the true class on every clip `[L]` of each video."""
    return [table.values[video.video_id][:, index.label_id(video)] for video in videos]


def _batches(
    index: FeatureIndex,
    videos: list,
    kinds,
    table: ScoreTable,
    config,
    batch,
    seed,
    service,
    epoch: int,
    shard,
    each: int,
):
    """Endless batches of drawn clips, from an epoch on, with the inputs of `joint_model` (`fitting.Fit`)."""
    data = sampler_videos(
        index,
        videos,
        tuple(RECORD_FIELDS[kind] for kind in kinds),
        _true_scores(index, videos, table),
        clips_per_video=config.clips_per_video,
        batch=batch,
        seed=seed,
        first_epoch=epoch,
        shard=shard,
        replica_batch=each,
        service=service,
    )
    return data.map(_with_number_masks)


def _with_number_masks(inputs: dict, target) -> tuple[dict, object]:
    """Masks as 0 and 1: Keras averages a first batch over the devices, which bool does not allow."""
    numbers = {name: ops.cast(value, "float32") for name, value in inputs.items() if name.endswith("_mask")}
    return {**inputs, **numbers}, target


def joint_saliency(functions: dict, index: FeatureIndex, video: VideoRecord) -> np.ndarray:
    """The joint score `[L]` float32 of every clip of a video, as `evaluation_set` and `fusion.joint` have it.

    `functions` maps kinds to what `scoring.saliency_function` gives.
    """
    scores = {kind: video_saliency(function, index, video, kind) for kind, function in functions.items()}
    eyes = [np.nan_to_num(values) for kind, values in scores.items() if kind != AUDIO]
    heard = ~np.isnan(scores[AUDIO])
    visual, audio = np.mean(eyes, axis=0, dtype=np.float32), np.nan_to_num(scores[AUDIO])
    return np.asarray(joint(visual[None], audio[None], np.ones((1, len(heard)), bool), heard[None]))[0]


def _validation(networks: dict, index: FeatureIndex, table: ScoreTable, K: int) -> SamplerValidation | None:
    """How well the joint score chooses K clips of the val videos; nothing without them."""
    videos = [video for video in index.of_split("val") if video.video_id in table.values]
    if not videos:
        return None
    functions = {kind: saliency_function(*network) for kind, network in networks.items()}
    return SamplerValidation(
        lambda video: joint_saliency(functions, index, video), index, videos, table.values, K
    )


def _written_networks(folder: Path, index: FeatureIndex, strategy) -> dict[str, Path]:
    """The results' folders, which one process writes and all wait for."""
    if is_chief(strategy):
        _write_networks(folder, index)
    summed(strategy, np.zeros(1, np.float32))
    return {kind: folder / kind for kind in read_json(folder / ABOUT_NAME)["networks"]}


def _write_networks(folder: Path, index: FeatureIndex) -> dict[str, Path]:
    """The best epoch's networks in folders of their own; those that are there already are left alone."""
    about = read_json(folder / ABOUT_NAME)
    folders = {kind: folder / kind for kind in about["networks"]}
    if all(is_finished(path) for path in folders.values()):
        return folders
    together = load_model(folder).network
    went = {key: about[key] for key in ("best", "monitor", "seconds", "versions")}
    jointly = {"config": about["config"], "with": list(folders), **went}
    for kind, path in folders.items():
        values = about["networks"][kind]
        network = together.get_layer(kind)
        network.name = values.pop("name")
        write_json(make_folder(path) / RUN_NAME, {"kind": kind, "jointly": read_json(folder / RUN_NAME)})
        with written_whole(path / NETWORK_NAME) as temporary:
            network.save(temporary)
        finish_run(path, kind, index.labels, index.settings, {**values, **went, "joint": jointly})
    return folders
