"""Where motion comes from: the stream's own vectors, or those of an in-memory re-coding."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import av
import numpy as np

from pipelines.canvas import CanvasGrid
from pipelines.motion import frame_vectors, native_grid
from pipelines.transcode import transcoded
from pipelines.video_file import VideoStream

LONGEST_B_RUN = 32  # frames held while waiting for the picture after a run of B-frames
I_PICTURE, B_PICTURE = av.video.frame.PictureType.I, av.video.frame.PictureType.B


@dataclass
class MotionFrame:
    """A picture, whether it is an I-frame, and its displacements `[g, g, 2]` in canvas pixels on demand."""

    frame: av.VideoFrame
    intra: bool
    grid: Callable[[], np.ndarray]


class TranscodedMotion:
    """Motion of the stream re-coded to P-frames; its frames are upright squares already."""

    rotation = 0

    def __init__(self, context: av.VideoCodecContext, canvas: int, rotation: int) -> None:
        self._canvas = canvas
        self._source_rotation = rotation

    def frames(self, frames: Iterable[av.VideoFrame]) -> Iterator[MotionFrame]:
        """The re-coded frames, one for each of `frames`."""
        for frame in transcoded(frames, self._canvas, self._source_rotation):
            yield MotionFrame(frame, frame.pict_type == I_PICTURE, lambda frame=frame: self._grid(frame))

    def remarks(self, stream: VideoStream) -> list[str]:
        """Nothing to remark: every stream is re-coded alike."""
        return []

    def _grid(self, frame: av.VideoFrame) -> np.ndarray:
        return native_grid(frame_vectors(frame), self._canvas, self._canvas)


class DirectMotion:
    """Motion of the stream as it is.

    Vectors of B-frames, and of P-frames between which B-frames lie, refer to the I- or P-frames around
    them, so they are divided by the distance; that is coarser than re-coding.
    """

    def __init__(self, context: av.VideoCodecContext, canvas: int, rotation: int) -> None:
        context.flags2 |= av.codec.context.Flags2.export_mvs
        self.rotation = rotation
        self._canvas = canvas
        self._size: tuple[int, int] | None = None
        self._canvas_grid: CanvasGrid | None = None
        self._first_b: int | None = None

    def frames(self, frames: Iterable[av.VideoFrame]) -> Iterator[MotionFrame]:
        """The frames themselves; a run of B-frames waits for the frame after it."""
        for number, (frame, back, ahead) in enumerate(with_distances(frames)):
            if self._first_b is None and frame.pict_type == B_PICTURE:
                self._first_b = number
            intra = frame.pict_type == I_PICTURE
            yield MotionFrame(
                frame, intra, lambda frame=frame, back=back, ahead=ahead: self._grid(frame, back, ahead)
            )

    def remarks(self, stream: VideoStream) -> list[str]:
        """Tells when B-frames turned up in a stream whose header announces none."""
        if stream.has_b_frames or self._first_b is None:
            return []
        return [
            f"B-frames from frame {self._first_b} on although the header announces none: "
            "motion is less exact there; features.motion transcode avoids it"
        ]

    def _grid(self, frame: av.VideoFrame, back: int, ahead: int) -> np.ndarray:
        size = frame.height, frame.width
        if size != self._size:  # streams may change their size midway
            self._size = size
            self._canvas_grid = CanvasGrid(*size, self._canvas, self.rotation)
        return self._canvas_grid(native_grid(frame_vectors(frame), *size, back, ahead))


Distanced = tuple[av.VideoFrame, int, int]


def with_distances(frames: Iterable[av.VideoFrame]) -> Iterator[Distanced]:
    """Each frame with its distances to the I- or P-frame before it and, for B-frames, after it.

    A distance ahead of 0 means that there is none, or none near enough to wait for.
    """
    anchor = -1
    waiting: list[tuple[int, av.VideoFrame]] = []
    for number, frame in enumerate(frames):
        if frame.pict_type == B_PICTURE:
            waiting.append((number, frame))
            if len(waiting) == LONGEST_B_RUN:
                yield from _released(waiting, anchor, None)
            continue
        yield from _released(waiting, anchor, number)
        yield frame, number - anchor, 0
        anchor = number
    yield from _released(waiting, anchor, None)


def _released(waiting: list, before: int, after: int | None) -> Iterator[Distanced]:
    for number, frame in waiting:
        yield frame, number - before, 0 if after is None else after - number
    waiting.clear()
