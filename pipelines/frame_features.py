"""Motion and residuals of every frame, whole frames at the size of the stream: for looking and measuring.

The samplers' features are those of `pipelines.compressed`: the same motion, on the canvas and clip by clip.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from pipelines.damage import Damage, check_complete
from pipelines.errors import UserError
from pipelines.frame_times import FrameTimes
from pipelines.geometry import UPRIGHT, Geometry
from pipelines.motion import VectorField, motion_grids
from pipelines.motion_source import I_PICTURE, MotionFrame, StreamMotion, TranscodedMotion
from pipelines.pictures import WholePictures
from pipelines.policy import motion_policy
from pipelines.residual import ONE_THREAD, Residuals
from pipelines.settings import MACROBLOCK, RESIDUAL_FORMS, RESIDUAL_OFFSET, RESIDUAL_SHARES
from pipelines.video_file import VideoStream, decoded_frames, opened_pictures, probe

BATCH, BATCH_WITH_PICTURES = 32, 8  # frames rasterised together
FINE = 8  # cells of residuals where blocks may be smaller than macroblocks
SMALL = 256  # short side of the pictures that a re-coding works on
PLAIN = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p")


@dataclass(frozen=True)
class FrameBatch:
    """Consecutive frames of one size, upright.

    `md` `[n, h, w, 2]` float32: displacement since the frame before, x to the right, then y downwards, in
    pixels, of each 16x16 cell; zero for I-frames. `frame_type` `[n]`: I, P or B. `rgb_r`
    `[n, H, W, 3]` uint8 around 128, 128 everywhere for I-frames; None when not asked for.
    """

    md: np.ndarray
    frame_type: np.ndarray
    rgb_r: np.ndarray | None


class FrameFeatures:
    """The features of every frame of a video, in bounded memory.

    `mode` is a setting of `features.motion`. `share` asks for residuals at full size (1), half (2) or a
    quarter (4); `form` is step or accumulated. A re-coding works on pictures of at most 256 pixels on
    the short side; all sizes and displacements are then in its pixels. `stream`, `policy`, `timing` and
    `damage` are filled while `batches()` runs and complete at its end.
    """

    def __init__(
        self, path: str | PathLike, mode: str = "auto", share: int | None = None, form: str = "step"
    ) -> None:
        if share is not None and share not in RESIDUAL_SHARES:
            raise UserError(f"residual size 1/{share}: is none of 1/1, 1/2, 1/4")
        if form not in RESIDUAL_FORMS:
            raise UserError(f"residual form '{form}': is none of {', '.join(RESIDUAL_FORMS)}")
        self._path, self._mode, self._share, self._form = path, mode, share, form
        self.stream: VideoStream | None = None
        self.timing: FrameTimes | None = None
        self.damage: list[str] = []

    def batches(self) -> Iterator[FrameBatch]:
        """All frames in display order. Raises `VideoError` for a file without readable pictures."""
        self.stream = probe(self._path)
        self.policy = motion_policy(self.stream, self._mode, self._path)
        damage = Damage()
        with opened_pictures(self._path) as (container, stream):
            self.timing = FrameTimes(stream.time_base, [], [], self.stream.fps)
            source = self._source(stream)
            batch = _Batch(self._geometry(), self._residuals())
            for motion in source.frames(self._timed(decoded_frames(container, stream, damage))):
                if batch.full_for(motion):
                    yield batch.finish()
                batch.add(motion)
            if batch.fields:
                yield batch.finish()
            check_complete(damage, container, stream, self.timing)
            self.damage = damage.sentences() + source.remarks(self.stream)

    def _source(self, stream: av.VideoStream) -> StreamMotion | TranscodedMotion:
        pixels = self._share is not None
        if self.policy.name == "transcode":
            return TranscodedMotion(WholePictures(SMALL, self.stream.geometry, "yuv420p"), pixels)
        return StreamMotion(stream, pixels)

    def _geometry(self) -> Geometry:
        return UPRIGHT if self.policy.name == "transcode" else self.stream.geometry

    def _residuals(self) -> "_FrameResiduals | None":
        if self._share is None:
            return None
        fine = self.policy.name != "transcode" and self.stream.codec == "h264"
        return _FrameResiduals(self._share, self._form, FINE if fine else MACROBLOCK)

    def _timed(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for frame in frames:
            self.timing.add(frame.pts, frame.key_frame)
            yield frame


class _Batch:
    """Gathers frames of one size; rasterises them together."""

    def __init__(self, geometry: Geometry, residuals: "_FrameResiduals | None") -> None:
        self.fields: list[VectorField] = []
        self._types: list[str] = []
        self._frames: list[av.VideoFrame] = []
        self._geometry, self._residuals = geometry, residuals

    def full_for(self, motion: MotionFrame) -> bool:
        """Whether the frame must begin another batch."""
        if not self.fields:
            return False
        most = BATCH_WITH_PICTURES if self._residuals else BATCH
        size = motion.size or (motion.frame.height, motion.frame.width)
        return len(self.fields) == most or size != (self.fields[0].height, self.fields[0].width)

    def add(self, motion: MotionFrame) -> None:
        """Takes the frame's vectors; its picture only where residuals are wanted."""
        self.fields.append(motion.field())
        self._types.append(motion.letter)
        if self._residuals:
            self._frames.append(motion.frame)

    def finish(self) -> FrameBatch:
        """The batch; the next one begins."""
        md, rgb_r = motion_grids(self.fields), None
        if self._residuals:
            rgb_r = self._geometry.pictures(self._residuals.of(self._frames, self.fields, md))
        batch = FrameBatch(self._geometry.grids(md), np.array(self._types, "U4"), rgb_r)
        self.fields, self._types, self._frames = [], [], []
        return batch


class _FrameResiduals:
    """Residuals of consecutive whole frames at full size, half or a quarter."""

    def __init__(self, share: int, form: str, cell: int) -> None:
        self._share, self._cell = share, cell
        # At full size whole pixels are near enough and three times as fast.
        self._make = Residuals(subpel=share > 1, accumulated=form == "accumulated")
        self._reformatter = VideoReformatter()
        self._before: tuple[int, int] | None = None

    def of(self, frames: list[av.VideoFrame], fields: list[VectorField], md: np.ndarray) -> np.ndarray:
        """`[n, ceil(H/share), ceil(W/share), 3]` uint8 around 128; 128 for I-frames and after a new size."""
        fine = md if self._cell == MACROBLOCK else motion_grids(fields, self._cell)
        shape = -(-frames[0].height // self._share), -(-frames[0].width // self._share)
        result = np.empty((len(frames), *shape, 3), np.uint8)
        for to, frame, grid in zip(result, frames, fine, strict=True):
            picture = self._scaled(frame, shape)
            if frame.pict_type == I_PICTURE or self._before != shape:
                self._make.start(picture)
                to[...] = RESIDUAL_OFFSET
            else:
                to[...] = self._make(picture, grid / np.float32(self._share), self._cell // self._share)
            self._before = shape
        return result

    def _scaled(self, frame: av.VideoFrame, shape: tuple[int, int]) -> av.VideoFrame:
        if self._share == 1 and frame.format.name in PLAIN:
            return frame
        # The colours of 4:2:0 have half the size already, so 4:4:4 at half size keeps them as they are.
        return self._reformatter.reformat(
            frame, shape[1], shape[0], "yuv444p", interpolation="AREA", **ONE_THREAD
        )
