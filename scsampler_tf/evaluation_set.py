"""The score tables of one split, padded and joined: what evaluation and searches compute on."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from pipelines.errors import UserError
from pipelines.index import FeatureIndex, VideoRecord
from scsampler_tf.config import SAMPLERS
from scsampler_tf.selection_config import ACTIVATIONS, seer
from scsampler_tf.tables import ScoreTable, load_table, padded
from scsampler_tf.workdir import Workdir


@dataclass(frozen=True)
class EvaluationSet:
    """Scores of V videos with up to L clips, C classes.

    probabilities `[V, L, C]`: f on every clip. visual, audio `[V, L]` float32 in [0, 1], None without such
    a sampler. mask (real clips) and has_audio (clips that the audio sampler has heard) `[V, L]` bool.
    labels `[V]`. in_action `[V, L]`: at least half of the clip lies in a true segment; None without
    annotation. missing lists videos of the split that have no classifier scores. features `[V, L, D]`
    float16: activations of the sampler `selection_config.seer`, None if none of that network are stored.
    """

    videos: list[VideoRecord]
    labels: np.ndarray
    probabilities: np.ndarray
    mask: np.ndarray
    visual: np.ndarray | None
    audio: np.ndarray | None
    has_audio: np.ndarray
    in_action: np.ndarray | None
    missing: list[str]
    features: np.ndarray | None = None


def load_tables(workdir: Workdir) -> dict[str, ScoreTable]:
    """All score tables of a run by network; the classifier's must be there."""
    tables = {"classifier": load_table(workdir.table("classifier"))}
    for kind in (*SAMPLERS, ACTIVATIONS):
        if workdir.table(kind).exists():
            tables[kind] = load_table(workdir.table(kind))
    return tables


def evaluation_set(index: FeatureIndex, tables: dict[str, ScoreTable], split: str) -> EvaluationSet:
    """The videos of one split with everything that was scored on them."""
    classified = tables["classifier"].values
    videos = [video for video in index.of_split(split) if video.video_id in classified]
    if not videos:
        raise UserError(f"{index.folder}: no scored video in split '{split}'; the manifest needs such rows")
    ids = [video.video_id for video in videos]
    probabilities, mask = padded(tables["classifier"].of(ids))
    saliency = {kind: padded(tables[kind].of(ids))[0] for kind in SAMPLERS if kind in tables}
    eyes = [np.nan_to_num(saliency[kind]) for kind in ("md", "rgb_r") if kind in saliency]
    audio = saliency.get("audio")
    heard = mask & ~np.isnan(audio) if audio is not None else np.zeros_like(mask)
    return EvaluationSet(
        videos=videos,
        labels=np.array([index.label_id(video) for video in videos]),
        probabilities=probabilities,
        mask=mask,
        visual=np.mean(eyes, axis=0, dtype=np.float32) if eyes else None,
        audio=None if audio is None else np.nan_to_num(audio),
        has_audio=heard,
        in_action=_in_action(videos, index.settings.span, mask.shape[1])
        if all(video.segments for video in videos)
        else None,
        missing=[video.path for video in index.of_split(split) if video.video_id not in classified],
        features=_activations(tables, ids),
    )


def _activations(tables: dict[str, ScoreTable], ids: list[str]) -> np.ndarray | None:
    table, kind = tables.get(ACTIVATIONS), seer(tables)
    # Of a network that was trained again, or with others, they say nothing about this one.
    if table is None or kind is None or table.made_by["network"] != tables[kind].made_by["network"]:
        return None
    return padded(table.of(ids))[0].astype(np.float16)


def clips_in_action(video: VideoRecord, span: int) -> np.ndarray:
    """Which clips `[L]` bool lie by at least half of their time in a true segment."""
    bounds = np.array(video.clip_bounds_s(span))
    inside = np.zeros(len(bounds))
    for start, end in video.segments or ():
        inside += np.clip(np.minimum(bounds[:, 1], end) - np.maximum(bounds[:, 0], start), 0, None)
    return 2 * inside >= (bounds[:, 1] - bounds[:, 0])


def annotated(data: EvaluationSet, span: int) -> EvaluationSet | None:
    """The videos that have true segments, with `in_action`; None without any. span: frames of a clip."""
    rows = np.flatnonzero([bool(video.segments) for video in data.videos])
    if not len(rows):
        return None
    return dataclasses.replace(
        data,
        videos=[data.videos[row] for row in rows],
        in_action=_in_action([data.videos[row] for row in rows], span, data.mask.shape[1]),
        **{
            name: values[rows]
            for name in ("labels", "probabilities", "mask", "visual", "audio", "has_audio", "features")
            if (values := getattr(data, name)) is not None
        },
    )


def _in_action(videos: list[VideoRecord], span: int, longest: int) -> np.ndarray:
    inside = np.zeros((len(videos), longest), bool)
    for row, video in zip(inside, videos, strict=True):
        found = clips_in_action(video, span)
        row[: len(found)] = found
    return inside
