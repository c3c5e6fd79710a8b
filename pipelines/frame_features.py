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
from pipelines.motion_source import FOR_VECTORS, MotionFrame, StreamMotion, TranscodedMotion
from pipelines.pictures import WholePictures
from pipelines.policy import motion_policy
from pipelines.residual import ONE_THREAD, Residuals
from pipelines.settings import MACROBLOCK, RESIDUAL_FORMS, RESIDUAL_OFFSET, RESIDUAL_SHARES
from pipelines.video_file import VideoStream, decoded_frames, opened_pictures, probe

BATCH = 32  # frames that are worked on together, at most
BATCH_PIXELS = 720_000  # of the residuals of a batch, at most, if that is more than four frames
FINE = 8  # cells of residuals where blocks may be smaller than macroblocks
SMALL = 256  # short side of the pictures that a re-coding works on
HALVINGS = {1: 0, 2: 1, 4: 2}
# glibc gives large freed blocks back to the system, and getting them anew for every batch costs up to a sixth
# of the time. A larger block that was freed once, untouched and so for nothing, makes it keep them for reuse.
KEPT_BYTES = 31 << 20
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
    quarter (4); `form` is step or accumulated. Mode fast makes the smaller residuals of pictures that are
    decoded without what costs most, or smaller at once, so they are a little off. A re-coding works on
    pictures of at most 256 pixels on the short side; all sizes and displacements are then in its pixels.
    `stream`, `policy`, `timing` and `damage` are filled while `batches()` runs and complete at its end.
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
        np.empty(KEPT_BYTES, np.uint8)
        self.stream = probe(self._path)
        self.policy = motion_policy(self.stream, self._mode, self._path)
        damage = Damage()
        with opened_pictures(self._path) as (container, stream):
            self.timing = FrameTimes(stream.time_base, [], [], self.stream.fps)
            source = self._source(stream)
            batch = _Batch(self._geometry(), self._residuals())
            for motion in source.frames(self._timed(decoded_frames(container, stream, damage))):
                if finished := batch.take(motion):
                    yield finished
            if rest := batch.finish():
                yield rest
            check_complete(damage, container, stream, self.timing)
            self.damage = damage.sentences() + source.remarks(self.stream)

    def _source(self, stream: av.VideoStream) -> StreamMotion | TranscodedMotion:
        if self.policy.name == "transcode":
            pictures = WholePictures(SMALL, self.stream.geometry, "yuv420p")
            return TranscodedMotion(pictures, pixels=self._share is not None)
        if self._share is None:
            return StreamMotion(stream, FOR_VECTORS)
        return StreamMotion(stream, HALVINGS[self._share] if self._mode == "fast" else 0)

    def _geometry(self) -> Geometry:
        return UPRIGHT if self.policy.name == "transcode" else self.stream.geometry

    def _residuals(self) -> "_FrameResiduals | None":
        if self._share is None:
            return None
        own = self.policy.name != "transcode"
        fast = own and self._mode == "fast"
        # A quarter of 16 pixels is fine enough for a quick look.
        fine = own and self.stream.codec == "h264" and not (fast and self._share == 4)
        # The colours of 4:2:0 have half the size already, so 4:4:4 at half size keeps them as they are.
        pixels = "yuv420p" if fast else "yuv444p"
        return _FrameResiduals(self._share, self._form, FINE if fine else MACROBLOCK, pixels)

    def _timed(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for frame in frames:
            self.timing.add(frame.pts, frame.key_frame)
            yield frame


class _Batch:
    """Gathers frames of one kind; rasterises them together."""

    def __init__(self, geometry: Geometry, residuals: "_FrameResiduals | None") -> None:
        self._geometry, self._residuals = geometry, residuals
        self._kind: tuple | None = None
        self._begin()

    def _begin(self) -> None:
        self._fields: list[VectorField] = []
        self._types: list[str] = []
        self._pictures: list[av.VideoFrame] = []

    def take(self, motion: MotionFrame) -> FrameBatch | None:
        """Takes a frame; hands out the batch before where the frame begins another."""
        field = motion.field()
        kind = field.height, field.width
        if self._residuals:
            kind += self._residuals.kind(motion.frame)
        full = kind != self._kind or len(self._fields) == self._most
        finished = self.finish() if full else None
        if full:
            self._kind, self._most = kind, self._residuals.most(*kind[:2]) if self._residuals else BATCH
        self._fields.append(field)
        self._types.append(motion.letter)
        if self._residuals:
            self._pictures.append(self._residuals.picture(motion.frame, *kind[:2]))
        return finished

    def finish(self) -> FrameBatch | None:
        """The batch, None without frames; the next one begins."""
        if not self._fields:
            return None
        md, types, rgb_r = motion_grids(self._fields), np.array(self._types, "U4"), None
        if self._residuals:
            rgb_r = self._residuals.of(self._pictures, self._fields, md, types == "I", self._kind)
            rgb_r = self._geometry.pictures(rgb_r)
        self._begin()
        return FrameBatch(self._geometry.grids(md), types, rgb_r)


class _FrameResiduals:
    """Residuals of consecutive whole frames at full size, half or a quarter."""

    def __init__(self, share: int, form: str, cell: int, pixels: str) -> None:
        self._share, self._cell, self._pixels = share, cell, pixels
        self._accumulated = form == "accumulated"
        # At full size whole pixels are near enough and three times as fast.
        self._make = Residuals(subpel=share > 1, accumulated=self._accumulated)
        self._reformatter = VideoReformatter()
        self._before: tuple | None = None

    def kind(self, frame: av.VideoFrame) -> tuple:
        """What frames of a batch have in common beside their size."""
        return frame.format.name, frame.color_range, frame.colorspace

    def most(self, height: int, width: int) -> int:
        """How many frames are worked on together."""
        return min(BATCH, max(4, BATCH_PIXELS * self._share**2 // (height * width)))

    def picture(self, frame: av.VideoFrame, height: int, width: int) -> av.VideoFrame:
        """What the residual is taken from: the frame in its final size; it may come in that size."""
        shape = -(-height // self._share), -(-width // self._share)
        if shape == (frame.height, frame.width) and frame.format.name in PLAIN:
            return frame
        return self._reformatter.reformat(
            frame, shape[1], shape[0], self._pixels, interpolation="AREA", **ONE_THREAD
        )

    def of(
        self,
        pictures: list[av.VideoFrame],
        fields: list[VectorField],
        md: np.ndarray,
        intra: np.ndarray,
        kind: tuple,
    ) -> np.ndarray:
        """`[n, ceil(H/share), ceil(W/share), 3]` uint8 around 128; 128 for I-frames and after a new size."""
        grids = md if self._cell == MACROBLOCK else motion_grids(fields, self._cell)
        grids, cell = grids / np.float32(self._share), self._cell // self._share
        grey = intra.copy()
        if self._before != kind:
            self._before = kind
            grey[0] = True
            self._make.start(pictures[0])
        if self._accumulated:
            result = np.stack(list(self._each(pictures, grids, cell, grey)))
        else:
            result = self._make.batch(pictures, grids, cell)
        result[grey] = RESIDUAL_OFFSET
        return result

    def _each(
        self, pictures: list[av.VideoFrame], grids: np.ndarray, cell: int, starts: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Frame by frame; what comes out for those that start anew means nothing."""
        for picture, grid, start in zip(pictures, grids, starts, strict=True):
            if start:
                self._make.start(picture)
                grid = np.zeros_like(grid)
            yield self._make(picture, grid, cell)
