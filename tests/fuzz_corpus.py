"""Small sound files of many codecs and containers, to be damaged."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests import media

WIDTH, HEIGHT, FRAMES = 80, 64, 40
SOUND_RATE, OTHER_RATES = 16000, {"libopus": 48000, "libmp3lame": 22050}  # which not every container takes
SOUND_S = FRAMES / media.FPS
MPEG12 = {"qmin": "2", "qmax": "8", "sc_threshold": "1000000000"}
X264 = {"preset": "ultrafast", "crf": "26"}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"}
VPX = {"deadline": "realtime", "cpu-used": "8"}


@dataclass(frozen=True)
class Form:
    """A file of the corpus: `codec` and `sound` are FFmpeg's names of encoders."""

    name: str
    codec: str
    sound: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    b_frames: int = 0
    index_first: bool = False
    announces: bool = False
    """Whether the header tells how much video there is."""


def _form(name: str, codec: str, options: dict[str, str], **more) -> Form:
    return Form(name, codec, options=tuple(options.items()), **more)


FORMS = [
    _form("h264.mp4", "libx264", X264, sound="aac", announces=True),
    _form("h264-faststart.mp4", "libx264", X264, sound="aac", index_first=True, announces=True),
    _form("h264-b.mp4", "libx264", X264, b_frames=2, index_first=True, announces=True),
    _form("h264.mkv", "libx264", X264, sound="aac", announces=True),
    _form("h264-b.mkv", "libx264", X264, b_frames=3, sound="libopus", announces=True),
    _form("h264.mov", "libx264", X264, sound="pcm_s16le", announces=True),
    _form("h264-b.ts", "libx264", X264, b_frames=2, sound="aac"),
    _form("h264.avi", "libx264", X264, sound="pcm_s16le", announces=True),
    _form("h264.264", "libx264", X264),
    _form("mpeg4.avi", "mpeg4", MPEG12, sound="libmp3lame", announces=True),
    _form("mpeg4-b.mp4", "mpeg4", MPEG12, b_frames=2, index_first=True, announces=True),
    _form("mpeg1.mpg", "mpeg1video", MPEG12, b_frames=2, sound="mp2"),
    _form("mpeg2.mpg", "mpeg2video", MPEG12, sound="mp2"),
    _form("vp8.webm", "libvpx", VPX, sound="libopus", announces=True),
    _form("vp9.webm", "libvpx-vp9", VPX, announces=True),
    _form("hevc.mp4", "libx265", X265, b_frames=2, index_first=True, announces=True),
    _form("mjpeg.avi", "mjpeg", {}, sound="pcm_s16le", announces=True),
    _form("flv.flv", "flv", MPEG12, sound="libmp3lame", announces=True),
]


def make_corpus(folder: Path) -> None:
    """Writes every file of `FORMS` into `folder`."""
    pictures = media.pan(FRAMES, WIDTH, HEIGHT, (1.5, 1))
    for form in FORMS:
        _write(folder / form.name, form, pictures)


def _write(path: Path, form: Form, pictures: list[np.ndarray]) -> None:
    flags = {"fflags": "+bitexact"}  # the same bytes every time
    flags |= {"movflags": "faststart"} if form.index_first else {}
    with av.open(str(path), "w", container_options=flags) as container:
        stream = container.add_stream(form.codec, rate=media.FPS)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if form.codec == "mjpeg" else "yuv420p"
        stream.options = dict(form.options)
        context = stream.codec_context
        context.thread_count, context.gop_size, context.max_b_frames = 1, 12, form.b_frames
        rate = OTHER_RATES.get(form.sound, SOUND_RATE)
        sound = form.sound and container.add_stream(form.sound, rate=rate, layout="mono")
        blocks = _sound_frames(sound) if sound else iter(())
        for number, pixels in enumerate(pictures):  # picture and sound side by side, as in real files
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, media.FPS)
            container.mux(stream.encode(frame))
            for block in blocks:
                container.mux(sound.encode(block))
                if block.pts * media.FPS > number * block.sample_rate:
                    break
        container.mux(stream.encode(None))
        for block in blocks:
            container.mux(sound.encode(block))
        if sound:
            container.mux(sound.encode(None))


def _sound_frames(stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    rate = stream.sample_rate
    kind = stream.codec_context.format.name
    resampler = av.AudioResampler(format=kind, layout="mono", rate=rate)
    fifo = av.AudioFifo()
    samples = av.AudioFrame.from_ndarray(media.tone(SOUND_S, rate=rate)[None], format="fltp", layout="mono")
    samples.sample_rate, samples.pts, samples.time_base = rate, 0, Fraction(1, rate)
    for converted in resampler.resample(samples):
        fifo.write(converted)
    yield from fifo.read_many(stream.codec_context.frame_size or 1024, partial=True)


def lost_share(path: Path, length: int) -> float:
    """Share of the packets of the pictures of a whole file that are not in its first `length` bytes."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    lost = [packet for packet in packets if packet.pos is not None and packet.pos + packet.size > length]
    return len(lost) / len(packets)
