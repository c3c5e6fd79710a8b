"""The streaming pass: motion displacements, RGB residuals and I-frames of every clip, in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike

import av
import numpy as np

from pipelines.clip_features import ClipBuilder
from pipelines.clips import ClipPlan, require_clips
from pipelines.damage import Damage, check_complete
from pipelines.frame_times import FrameTimes
from pipelines.geometry import UPRIGHT, Geometry
from pipelines.motion_source import MotionFrame, StreamMotion, TranscodedMotion
from pipelines.pictures import SquarePictures
from pipelines.policy import motion_policy
from pipelines.settings import FeatureSettings
from pipelines.video_file import VideoStream, decoded_frames, opened_pictures, probe


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
        policy = motion_policy(self.stream, self._settings.motion, self._path)
        self.policy = policy.name
        damage = Damage()
        with opened_pictures(self._path) as (container, stream):
            self.timing = FrameTimes(stream.time_base, [], [], self.stream.fps)
            source = self._source(stream)
            frames = self._timed(decoded_frames(container, stream, damage))
            yield from self._assembled(source.frames(frames))
            check_complete(damage, container, stream, self.timing)
            self.damage = damage.sentences() + source.remarks(self.stream)

    def _source(self, stream: av.VideoStream) -> StreamMotion | TranscodedMotion:
        if self.policy == "transcode":
            square = SquarePictures(self._settings.canvas, self.stream.geometry, "yuv420p")
            return TranscodedMotion(square)
        return StreamMotion(stream)

    def _geometry(self) -> Geometry:
        """That of the frames which carry the motion: re-coded ones are upright already."""
        return UPRIGHT if self.policy == "transcode" else self.stream.geometry

    def _timed(self, frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Notes the times of the original frames, whatever becomes of them afterwards."""
        for frame in frames:
            self.timing.add(frame.pts, frame.key_frame)
            yield frame

    def _assembled(self, frames: Iterable[MotionFrame]) -> Iterator[ClipFeatures]:
        span = self._settings.span
        clip = ClipBuilder(self._settings, self._geometry())
        count = 0
        for frame in frames:
            if count and count % span == 0:  # only now the time at which the clip ends is known
                yield self._finished(clip, count)
            clip.add(count % span, frame)
            count += 1
        plan = ClipPlan(count, self._settings.clip_frames, self._settings.clip_step)
        require_clips(plan, str(self._path))
        if plan.count * span >= count:  # else the tail is too short to be a clip
            yield self._finished(clip, count)

    def _finished(self, clip: ClipBuilder, stop: int) -> ClipFeatures:
        start = (stop - 1) // self._settings.span * self._settings.span
        md, rgb_r, iframe = clip.finish()
        return ClipFeatures(
            index=start // self._settings.span,
            start_s=self.timing.seconds(start),
            end_s=self.timing.seconds(stop),
            md=md,
            rgb_r=rgb_r,
            iframe=iframe,
        )
