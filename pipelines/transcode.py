"""Re-codes pictures in memory to the one form of stream whose motion vectors are simple.

MPEG-4 part 2 with P-frames only and a key frame every 12 frames, the form that the paper's source of
compressed features (CoViAR) prepares with a temporary file; every vector refers to the frame before.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av

GOP = 12
LOWRES = 2  # halvings of pictures of which only the vectors are wanted
QUANTISER = 2
ENCODER = {
    "qmin": str(QUANTISER),
    "qmax": str(QUANTISER),
    "sc_threshold": "1000000000",  # key frames every GOP and nowhere else: cuts and fast motion stay P-frames
}


Sized = tuple[av.VideoFrame, tuple[int, int]]


def transcoded(frames: Iterable[av.VideoFrame], pictures, pixels: bool = True) -> Iterator[Sized]:
    """Frames of the re-coded stream with their size (height, width), one for each frame fed, in order.

    `pictures` makes the pictures that are coded (`frame(frame)`, 8-bit 4:2:0, even width and height).
    The frames carry motion vectors as side data (none on key frames). A fixed quantiser instead of a bit
    rate keeps the noise of coding equal for all videos; nothing but a frame or two is held in memory.
    With `pixels` False only the vectors are of interest, and the frames come decoded at a fourth of their
    size, which is faster.
    """
    recoder = None
    for number, frame in enumerate(frames):
        picture = pictures.frame(frame)
        size = picture.height, picture.width
        if recoder is None or recoder.size != size:  # streams may change their size midway
            yield from recoder.rest() if recoder else []
            recoder = _Recoder(size, pixels)
        yield from recoder.frames(picture, number)
    yield from recoder.rest() if recoder else []


class _Recoder:
    """An encoder and a decoder in a row, for pictures of one size `(height, width)`."""

    def __init__(self, size: tuple[int, int], pixels: bool) -> None:
        self.size = size
        self._encoder = _encoder(*size)
        self._decoder = _decoder(pixels)
        self._colours: tuple[int, int] | None = None

    def frames(self, picture: av.VideoFrame, number: int) -> Iterator[Sized]:
        """Codes a picture; hands out the frames that are ready."""
        self._colours = picture.colorspace, picture.color_range
        picture.pts, picture.time_base = number, self._encoder.time_base
        picture.pict_type = av.video.frame.PictureType.NONE  # the encoder would repeat the source's types
        for packet in self._encoder.encode(picture):
            yield from self._sized(self._decoder.decode(packet))

    def rest(self) -> Iterator[Sized]:
        """The frames still in the coders."""
        for packet in self._encoder.encode(None):
            yield from self._sized(self._decoder.decode(packet))
        yield from self._sized(self._decoder.decode(None))

    def _sized(self, frames: list[av.VideoFrame]) -> Iterator[Sized]:
        for frame in frames:
            # the stream in between has no word for colour matrices, so the frames get theirs back
            frame.colorspace, frame.color_range = self._colours
            yield frame, self.size


def _encoder(height: int, width: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.height, encoder.width = height, width
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(25)
    encoder.time_base = Fraction(1, 25)
    encoder.gop_size = GOP
    encoder.max_b_frames = 0
    encoder.thread_count = 1
    encoder.options = ENCODER
    return encoder


def _decoder(pixels: bool) -> av.VideoCodecContext:
    decoder = av.CodecContext.create("mpeg4", "r")
    decoder.flags2 |= av.codec.context.Flags2.export_mvs
    decoder.thread_count = 1
    decoder.thread_type = "NONE"
    if not pixels:
        decoder.options = {"lowres": str(LOWRES)}
    return decoder
