"""How the saliency of a video changes while its sampler is trained, with the clips that are chosen by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import VideoError
from pipelines.index import VideoRecord
from pipelines.settings import FeatureSettings
from scsampler_tf.board.drawn import name_of
from scsampler_tf.board.panel import VALIDATION, Panel
from scsampler_tf.board.png import as_png
from scsampler_tf.board.thumbnails import Thumbnails, decoded
from scsampler_tf.report import VISUAL, ChosenClip, Curve, Timeline, draw_timeline

if TYPE_CHECKING:
    from scsampler_tf.board.log import Log


@dataclass(frozen=True)
class TimelineJob:
    """What a timeline is drawn from: saliency `[L]`, the K chosen clips in order of time, the classifier's
    score of the true class `[L]` or None, and the thumbnails that are known. Without `decode` others are
    left out."""

    video: VideoRecord
    settings: FeatureSettings
    epoch: int
    saliency: np.ndarray
    chosen: list[int]
    scores: np.ndarray | None
    thumbnails: dict[int, np.ndarray]
    decode: bool


@dataclass(frozen=True)
class Painted:
    """The picture (width, height, PNG), thumbnails decoded for it, and why there are none of some clips."""

    png: tuple[int, int, bytes]
    decoded: dict[int, np.ndarray]
    lost: VideoError | None


class SaliencyTimeline(Panel):
    """One validation video, after each of the `drawn` epochs.

    `saliency` gives the network's saliency `[L]` of a video as it is now (NaN: nothing to hear), by which
    K clips are chosen; `scores` is the classifier's score of the true class on each `[L]`, if there is one.
    """

    def __init__(
        self,
        number: int,
        video: VideoRecord,
        settings: FeatureSettings,
        saliency: Callable[[VideoRecord], np.ndarray],
        *,
        K: int,
        drawn: frozenset[int],
        thumbnails: Thumbnails,
        scores: np.ndarray | None = None,
    ):
        self.name = f"timeline of {video.path}"
        self._tag = f"timeline/{name_of(number, video)}"
        self._video, self._settings, self._saliency = video, settings, saliency
        self._K, self._drawn, self._thumbnails, self._scores = K, drawn, thumbnails, scores
        self._readable = True

    def after_epoch(self, log: Log, epoch: int, logs: dict[str, float]) -> None:
        if epoch not in self._drawn:
            return
        saliency = np.asarray(self._saliency(self._video))
        chosen = most_salient(saliency, self._K)
        known = self._thumbnails.known(self._video.video_id, chosen)
        job = TimelineJob(
            self._video, self._settings, epoch, saliency, chosen, self._scores, known, self._readable
        )
        log.picture(VALIDATION, self._tag, epoch, paint, job, lambda painted: self._taken(log, painted))

    def _taken(self, log: Log, painted: Painted) -> tuple[int, int, bytes]:
        self._thumbnails.keep(self._video.video_id, painted.decoded)
        if painted.lost:
            self._readable = False
            log.guard.say(f"thumbnails of {self._video.path}", painted.lost)
        return painted.png


def paint(job: TimelineJob) -> Painted:
    """Draws a timeline; clips whose thumbnail is not known and cannot be decoded get a grey one."""
    found, lost = {}, None
    missing = [clip for clip in job.chosen if clip not in job.thumbnails]
    try:
        if job.decode:
            found = decoded(job.video, job.settings, missing)
    except VideoError as error:
        lost = error
    pictures = {**job.thumbnails, **found}
    bounds = job.video.clip_bounds_s(job.settings.span)
    timeline = Timeline(
        title=f"epoch {job.epoch}: {job.video.label}, {Path(job.video.path).name}",
        bounds_s=bounds,
        curves=[Curve("saliency", job.saliency, VISUAL)],
        chosen=[
            ChosenClip(*bounds[clip], _caption(job, clip, bounds), pictures.get(clip)) for clip in job.chosen
        ],
        segments=[tuple(segment) for segment in job.video.segments or ()],
        scores=job.scores,
    )
    return Painted(as_png(draw_timeline(timeline)), found, lost)


def most_salient(saliency: np.ndarray, K: int) -> list[int]:
    """The K clips with the highest saliency `[L]`, in order of time; of equal ones the earlier."""
    order = np.argsort(-np.nan_to_num(saliency, nan=-1.0), kind="stable")[:K]
    return sorted(order.tolist())


def _caption(job: TimelineJob, clip: int, bounds: list[tuple[float, float]]) -> str:
    second = f"{bounds[clip][0]:.1f} s"
    return second if job.scores is None else f"{second}\nclassifier {job.scores[clip]:.0%}"
