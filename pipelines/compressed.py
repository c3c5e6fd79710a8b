"""The streaming pass: motion displacements, RGB residuals and I-frames of every clip, in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from os import PathLike

import av
import numpy as np

from pipelines.clips import ClipPlan, cells, require_clips
from pipelines.errors import VideoError
from pipelines.frame_times import FrameTimes
from pipelines.motion import quantised
from pipelines.motion_source import DirectMotion, MotionFrame, TranscodedMotion
from pipelines.pictures import SquarePictures
from pipelines.residual import encode, residual
from pipelines.settings import FeatureSettings
from pipelines.video_file import (
    Damage,
    VideoStream,
    decoded_frames,
    frame_rate,
    opened_pictures,
    probe,
)

CODECS_WITH_VECTORS = ("mpeg4", "h264", "mpeg1video", "mpeg2video")


@dataclass
class ClipFeatures:
    """Compressed features of one clip; times in seconds since the first frame of the video.

    `md` int16 `[p, g, g, 2]` in sixteenths of a canvas pixel, `rgb_r` uint8 `[r, s, s, 3]` around 128,
    `iframe` uint8 `[i, i, 3]`.
    """

    index: int
    start_s: float
    end_s: float
    md: np.ndarray
    rgb_r: np.ndarray
    iframe: np.ndarray


def motion_policy(stream: VideoStream, motion: str, path: str | PathLike) -> str:
    """ "direct" or "transcode" for a stream under the setting `features.motion`.

    Raises `VideoError` when direct is demanded of a codec whose decoder gives no vectors.
    """
    exports = stream.codec in CODECS_WITH_VECTORS
    if motion == "direct" and not exports:
        raise VideoError(
            f"{path}: {stream.codec} gives no motion vectors; set features.motion to auto or transcode"
        )
    if motion == "auto":
        return "direct" if exports and not stream.has_b_frames else "transcode"
    return motion


class CompressedVideo:
    """One video's compressed features.

    `stream`, `policy`, `timing` and `damage` are filled while `clips()` runs and complete at its end.
    """

    stream: VideoStream
    policy: str
    timing: FrameTimes

    def __init__(self, path: str | PathLike, settings: FeatureSettings) -> None:
        self._path = path
        self._settings = settings
        self.damage: list[str] = []

    def clips(self) -> Iterator[ClipFeatures]:
        """Every clip of the clip plan, in order.

        Raises `VideoError` for a file that is no video, cannot be decoded or is shorter than a clip.
        """
        self.stream = probe(self._path)
        self.policy = motion_policy(self.stream, self._settings.motion, self._path)
        damage = Damage()
        with opened_pictures(self._path) as (container, stream):
            self.timing = FrameTimes(stream.time_base, [], [], frame_rate(stream))
            make = DirectMotion if self.policy == "direct" else TranscodedMotion
            source = make(stream.codec_context, self._settings.canvas, self.stream.rotation)
            frames = self._timed(decoded_frames(container, stream, damage))
            yield from self._assembled(source.frames(frames), source.rotation)
            damage.check_count(self.timing.count, stream.frames)
            self.damage = damage.sentences() + source.remarks(self.stream)

    def _timed(self, frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Notes the times of the original frames, whatever becomes of them afterwards."""
        for frame in frames:
            self.timing.add(frame.pts, frame.key_frame)
            yield frame

    def _assembled(self, frames: Iterable[MotionFrame], rotation: int) -> Iterator[ClipFeatures]:
        span = self._settings.span
        clip = _ClipBuilder(self._settings, rotation)
        count = 0
        for frame in frames:
            if count and count % span == 0:  # only now the time at which the clip ends is known
                yield self._finished(clip, count)
                clip.restart()
            clip.add(count % span, frame)
            count += 1
        plan = ClipPlan(count, self._settings.clip_frames, self._settings.clip_step)
        require_clips(plan, str(self._path))
        if plan.count * span >= count:  # else the tail is too short to be a clip
            yield self._finished(clip, count)

    def _finished(self, clip: "_ClipBuilder", stop: int) -> ClipFeatures:
        start = (stop - 1) // self._settings.span * self._settings.span
        return ClipFeatures(
            index=start // self._settings.span,
            start_s=self.timing.seconds(start),
            end_s=self.timing.seconds(stop),
            md=clip.md(),
            rgb_r=clip.residuals(),
            iframe=clip.iframe(),
        )


@dataclass
class _Cells:
    """Which frames of a clip are taken: the first P-frame of each cell."""

    bounds: np.ndarray
    taken: list[np.ndarray] = field(default_factory=list)
    last: int = -1

    def claims(self, offset: int) -> bool:
        """Whether the P-frame at `offset` is the first of its cell; then the cell counts as filled."""
        cell = int(np.searchsorted(self.bounds, offset, side="right")) - 1
        if cell == self.last:
            return False
        self.last = cell
        return True

    def restart(self) -> None:
        self.taken, self.last = [], -1


class _ClipBuilder:
    """Collects the features of one clip after the other; holds one clip and two decoded frames."""

    def __init__(self, settings: FeatureSettings, rotation: int) -> None:
        self._settings = settings
        self._md = _Cells(cells(settings.span, settings.md_frames))
        self._residuals = _Cells(cells(settings.span, settings.residual_frames))
        self._small = SquarePictures(settings.residual_size, rotation)
        self._still = SquarePictures(settings.iframe_size, rotation)
        self._previous: av.VideoFrame | None = None
        self._previous_small: np.ndarray | None = None
        self._latest_i: av.VideoFrame | None = None
        self._clip_i: av.VideoFrame | None = None

    def restart(self) -> None:
        self._md.restart()
        self._residuals.restart()
        self._clip_i = None

    def add(self, offset: int, motion: MotionFrame) -> None:
        """Takes what the frame at `offset` of the clip contributes."""
        small = None
        if motion.intra:
            self._latest_i = motion.frame
            self._clip_i = self._clip_i or motion.frame
        elif self._previous is not None:
            wants_md, wants_residual = self._md.claims(offset), self._residuals.claims(offset)
            if wants_md or wants_residual:
                grid = motion.grid()
            if wants_md:
                self._md.taken.append(quantised(grid))
            if wants_residual:
                small = self._small.array(motion.frame)
                self._residuals.taken.append(self._residual(small, grid))
        self._previous, self._previous_small = motion.frame, small
        self._latest_i = self._latest_i or motion.frame  # a damaged start may have no I-frame

    def _residual(self, small: np.ndarray, grid: np.ndarray) -> np.ndarray:
        previous = self._previous_small
        if previous is None:
            previous = self._small.array(self._previous)
        scale = np.float32(self._settings.residual_size / self._settings.canvas)
        return encode(residual(small, previous, grid * scale))

    def md(self) -> np.ndarray:
        grid = self._settings.grid
        return np.array(self._md.taken, np.int16).reshape(-1, grid, grid, 2)

    def residuals(self) -> np.ndarray:
        size = self._settings.residual_size
        return np.array(self._residuals.taken, np.uint8).reshape(-1, size, size, 3)

    def iframe(self) -> np.ndarray:
        return self._still.array(self._clip_i or self._latest_i)
