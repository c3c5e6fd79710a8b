"""Re-codes pictures in memory to the one form of stream whose motion vectors are simple.

MPEG-4 part 2 with P-frames only and a key frame every 12 frames, the form that the paper's source of
compressed features (CoViAR) prepares with a temporary file; every vector refers to the frame before.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av

from pipelines.pictures import SquarePictures

GOP = 12
QUANTISER = 2
ENCODER = {
    "qmin": str(QUANTISER),
    "qmax": str(QUANTISER),
    "sc_threshold": "1000000000",  # key frames every GOP and nowhere else: cuts and fast motion stay P-frames
}


def transcoded(frames: Iterable[av.VideoFrame], canvas: int, rotation: int = 0) -> Iterator[av.VideoFrame]:
    """Upright square frames `[canvas, canvas]` of the re-coded stream, one for each frame fed, in order.

    They carry motion vectors as side data (none on key frames). A fixed quantiser instead of a bit rate
    keeps the noise of coding equal for all videos; nothing but a frame or two is held in memory.
    """
    square = SquarePictures(canvas, rotation, "yuv420p")
    encoder, decoder = _encoder(canvas), _decoder()
    colours = None
    for number, frame in enumerate(frames):
        picture = square.frame(frame)
        colours = picture.colorspace, picture.color_range
        picture.pts, picture.time_base = number, encoder.time_base
        picture.pict_type = av.video.frame.PictureType.NONE  # the encoder would repeat the source's types
        for packet in encoder.encode(picture):
            yield from _coloured(decoder.decode(packet), colours)
    for packet in encoder.encode(None) if colours else []:
        yield from _coloured(decoder.decode(packet), colours)
    yield from _coloured(decoder.decode(None), colours)


def _coloured(frames: list[av.VideoFrame], colours: tuple[int, int]) -> list[av.VideoFrame]:
    """The stream in between has no word for colour matrices, so the frames get theirs back."""
    for frame in frames:
        frame.colorspace, frame.color_range = colours
    return frames


def _encoder(canvas: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.width = encoder.height = canvas
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(25)
    encoder.time_base = Fraction(1, 25)
    encoder.gop_size = GOP
    encoder.max_b_frames = 0
    encoder.thread_count = 1
    encoder.options = ENCODER
    return encoder


def _decoder() -> av.VideoCodecContext:
    decoder = av.CodecContext.create("mpeg4", "r")
    decoder.flags2 |= av.codec.context.Flags2.export_mvs
    decoder.thread_count = 1
    decoder.thread_type = "NONE"
    return decoder
