"""Where motion comes from: the stream's own vectors, or those of an in-memory re-coding."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import av

from pipelines.motion import VectorField, vector_bytes
from pipelines.transcode import transcoded
from pipelines.video_file import VideoStream

LONGEST_B_RUN = 32  # frames held while waiting for the picture after a run of B-frames
I_PICTURE, B_PICTURE = av.video.frame.PictureType.I, av.video.frame.PictureType.B
LETTERS = {int(kind): kind.name for kind in av.video.frame.PictureType}
SHRINKING = (
    "mpeg4",
    "mpeg1video",
    "mpeg2video",
)  # their decoders can make smaller pictures; vectors are the same
FOR_VECTORS = 2  # halvings of pictures that nobody looks at; more save nothing


@dataclass
class MotionFrame:
    """A picture, and what its motion vectors refer to."""

    frame: av.VideoFrame
    back: int = 1
    ahead: int = 0
    size: tuple[int, int] | None = None  # height and width of a picture that was decoded smaller

    @property
    def intra(self) -> bool:
        """Whether it is an I-frame, which has no motion."""
        return self.frame.pict_type == I_PICTURE

    @property
    def letter(self) -> str:
        """I, P or B; other codecs know further types."""
        return LETTERS.get(self.frame.pict_type, "?")

    def field(self) -> VectorField:
        """The vectors, without the picture."""
        height, width = self.size or (self.frame.height, self.frame.width)
        return VectorField(vector_bytes(self.frame), height, width, self.back, self.ahead)


class TranscodedMotion:
    """Motion of the stream re-coded to P-frames.

    `pictures` (`SquarePictures` or `WholePictures` in yuv420p) makes the upright pictures that are coded,
    so the motion has no geometry left to apply. With `pixels` False only vectors are of interest.
    """

    def __init__(self, pictures, pixels: bool = True) -> None:
        self._pictures = pictures
        self._pixels = pixels

    def frames(self, frames: Iterable[av.VideoFrame]) -> Iterator[MotionFrame]:
        """The re-coded frames, one for each of `frames`."""
        for frame, size in transcoded(frames, self._pictures, self._pixels):
            yield MotionFrame(frame, size=size)

    def remarks(self, stream: VideoStream) -> list[str]:
        """Nothing to remark: every stream is re-coded alike."""
        return []


class StreamMotion:
    """Motion of the stream as it is (policies direct and scaled).

    Vectors of B-frames, and of P-frames between which B-frames lie, refer to the I- or P-frames around
    them; `MotionFrame.back` and `.ahead` say how far away those are. `halvings` says how often the height
    and width of the pictures will be halved, `FOR_VECTORS` where nobody looks at them: MPEG then
    comes in that size at once, H.264 leaves out what small pictures hardly show. So pictures are
    less exact, until the next I-frame ever less; vectors stay the same.
    """

    def __init__(self, stream: av.VideoStream, halvings: int = 0) -> None:
        context = stream.codec_context
        context.flags2 |= av.codec.context.Flags2.export_mvs
        self._halvings = halvings
        self._full_size = None
        if halvings and context.name == "h264":
            context.options = {**context.options, "skip_loop_filter": "all"}
        elif halvings and context.name in SHRINKING:
            context.options = {**context.options, "lowres": str(halvings)}
            self._full_size = context.height, context.width
        self._first_b: int | None = None

    def frames(self, frames: Iterable[av.VideoFrame]) -> Iterator[MotionFrame]:
        """The frames themselves; a run of B-frames waits for the frame after it."""
        for number, (frame, back, ahead) in enumerate(with_distances(frames)):
            if self._first_b is None and frame.pict_type == B_PICTURE:
                self._first_b = number
            yield MotionFrame(frame, back, ahead, self._full_size and self._true_size(frame))

    def _true_size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Size of a picture decoded at low resolution; its vectors are still in full-size pixels."""
        shrunk = tuple(-(-side >> self._halvings) for side in self._full_size)
        if shrunk == (frame.height, frame.width):
            return self._full_size
        return (
            frame.height << self._halvings,
            frame.width << self._halvings,
        )  # the stream has changed its size midway

    def remarks(self, stream: VideoStream) -> list[str]:
        """Tells when B-frames turned up in a stream that was taken for one without."""
        if stream.has_b_frames or self._first_b is None:
            return []
        return [
            f"B-frames from frame {self._first_b} on although the stream announces none: "
            "motion is less exact there; features.motion transcode avoids it"
        ]


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
