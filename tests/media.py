"""Small real media files for the tests, made on the spot."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS = 25
SOUND_RATE = 16000
MPEG4, H264 = "mpeg4", "libx264"


def texture(height: int, width: int, seed: int = 0, smooth: int = 3) -> np.ndarray:
    """A random periodic picture `[height, width, 3]` uint8, blurred so that motion can be found in it."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    for axis in (0, 1):
        for _ in range(2):
            noise = sum(np.roll(noise, shift, axis) for shift in range(-smooth, smooth + 1))
    noise -= noise.mean()
    return np.clip(128 + 55 * noise / noise.std(), 0, 255).astype(np.uint8)


def pan(
    count: int, width: int = 160, height: int = 128, step: tuple[float, float] = (2, 1), seed: int = 0
) -> list[np.ndarray]:
    """`count` pictures whose content moves by `step` = (right, down) pixels a frame, fractions bilinear."""
    picture = texture(height, width, seed).astype(np.float64)
    return [_shifted(picture, number * step[0], number * step[1]) for number in range(count)]


def _shifted(picture: np.ndarray, right: float, down: float) -> np.ndarray:
    for axis, amount in ((1, right), (0, down)):
        whole, part = int(np.floor(amount)), amount - np.floor(amount)
        near, far = np.roll(picture, whole, axis), np.roll(picture, whole + 1, axis)
        picture = near * (1 - part) + far * part
    return np.rint(picture).astype(np.uint8)


def noise(count: int, width: int = 64, height: int = 48, seed: int = 0) -> list[np.ndarray]:
    """`count` pictures that have nothing in common, so that no two decoded frames are alike."""
    return [texture(height, width, seed * 10007 + number, smooth=1) for number in range(count)]


def write_video(
    path: str | Path,
    frames: Sequence[np.ndarray],
    codec: str = H264,
    fps: float = FPS,
    gop: int = 12,
    b_frames: int = 0,
    sound: np.ndarray | None = None,
    sound_rate: int = SOUND_RATE,
    options: dict[str, str] | None = None,
    index_first: bool = False,
) -> Path:
    """Writes `frames` `[H, W, 3]` uint8 (and mono `sound` `[n]` float in -1..1 as AAC); returns the path.

    The suffix of `path` chooses the container. Key frames come every `gop` frames and nowhere else.
    `index_first` puts the index of an MP4 before its pictures, so that damaged ones can be opened.
    """
    rate = Fraction(fps).limit_denominator(1001)
    flags = {"movflags": "faststart"} if index_first else {}
    with av.open(str(path), "w", container_options=flags) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        context = stream.codec_context
        context.thread_count = 1
        context.gop_size = gop
        context.max_b_frames = b_frames
        stream.options = {**_encoder_options(codec), **(options or {})}
        audio = None if sound is None else container.add_stream("aac", rate=sound_rate, layout="mono")
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            _mux_sound(container, audio, sound, sound_rate)
    return Path(path)


def _encoder_options(codec: str) -> dict[str, str]:
    if codec == H264:
        return {"preset": "veryfast", "crf": "16", "x264-params": "scenecut=0:open-gop=0:b-adapt=0"}
    if codec in (MPEG4, "mpeg1video", "mpeg2video"):
        return {"qmin": "2", "qmax": "2", "sc_threshold": "1000000000"}
    return {}


def write_sound(path: str | Path, sound: np.ndarray, sound_rate: int = SOUND_RATE) -> Path:
    """Writes a file without pictures: mono `sound` `[n]` float in -1..1 as AAC."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=sound_rate, layout="mono")
        _mux_sound(container, audio, sound, sound_rate)
    return Path(path)


def _mux_sound(container, stream, sound: np.ndarray, rate: int) -> None:
    samples = np.asarray(sound, np.float32)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    fifo = av.AudioFifo()
    fifo.write(frame)
    for part in fifo.read_many(1024, partial=True):
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def tone(seconds: float, hertz: float = 440, rate: int = SOUND_RATE) -> np.ndarray:
    """A sine wave `[seconds * rate]` float32 at half scale."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def empty_file(path: str | Path) -> Path:
    """A file of no bytes."""
    Path(path).write_bytes(b"")
    return Path(path)


def text_file(path: str | Path) -> Path:
    """Words under a video's name."""
    Path(path).write_text("This is not a video.\n" * 200)
    return Path(path)


def cut_off(source: str | Path, path: str | Path, share: float = 0.5) -> Path:
    """The first `share` of the bytes of `source`, as an interrupted download leaves them."""
    data = Path(source).read_bytes()
    Path(path).write_bytes(data[: int(len(data) * share)])
    return Path(path)


def scratched(source: str | Path, path: str | Path, start: float = 0.5, length: int = 400) -> Path:
    """`source` with `length` bytes overwritten at the place `start` (share of the file)."""
    data = bytearray(Path(source).read_bytes())
    place = int(len(data) * start)
    data[place : place + length] = b"\xff" * length
    Path(path).write_bytes(bytes(data))
    return Path(path)


def turned(source: str | Path, path: str | Path, degrees: int) -> Path:
    """An MP4 whose player is told to turn the pictures clockwise by `degrees`: 90, 180 or 270."""
    data = Path(source).read_bytes()
    one = 1 << 16
    a, b = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    place = data.index(struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30), data.index(b"tkhd"))
    matrix = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    Path(path).write_bytes(data[:place] + matrix + data[place + len(matrix) :])
    return Path(path)


def all_frames(path: str | Path) -> list[np.ndarray]:
    """Every decoded frame `[H, W, 3]` uint8 of a file's first video stream, in order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "NONE"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def write_form(
    path: str | Path,
    frames: Sequence[np.ndarray],
    codec: str,
    pixels: str,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """`frames` `[H, W, 3]` uint8 in any codec, pixel format (its name in FFmpeg) and pixel aspect ratio."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        stream.codec_context.max_b_frames = 0
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        stream.options = {**_encoder_options(codec), **(options or {})}
        for number, picture in enumerate(frames):
            frame = in_form(picture, pixels)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Path(path)


def in_form(picture: np.ndarray, pixels: str) -> av.VideoFrame:
    """A frame of the pixel format `pixels` from `[H, W, 3]` uint8 RGB.

    FFmpeg's filters do it in one thread; with several, as PyAV's `reformat` has them, some results vary.
    """
    height, width, _ = picture.shape
    graph = av.filter.Graph()
    if hasattr(graph, "threads"):  # not in older releases of PyAV
        graph.threads = 1
    source = graph.add("buffer", f"video_size={width}x{height}:pix_fmt=rgb24:time_base=1/1")
    graph.link_nodes(source, graph.add("format", pixels), graph.add("buffersink"))
    graph.configure(auto_buffer=False)
    graph.vpush(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"))
    return graph.vpull()


def displayed(source: str | Path, path: str | Path, matrix: Sequence[int]) -> Path:
    """An MP4 whose player is told to show coded pixel (x, y) at (a*x + c*y, b*x + d*y); `matrix` a, b, c, d.

    All four are -1, 0 or 1.
    """
    one = 1 << 16
    data = Path(source).read_bytes()
    place = data.index(struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30), data.index(b"tkhd"))
    a, b, c, d = (one * number for number in matrix)
    patch = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    Path(path).write_bytes(data[:place] + patch + data[place + len(patch) :])
    return Path(path)


def zeroed(source: str | Path, path: str | Path, start: float = 0.4, share: float = 0.2) -> Path:
    """`source` with zeros in its middle, as a disk that lost some blocks gives it back."""
    data = bytearray(Path(source).read_bytes())
    first, last = int(len(data) * start), int(len(data) * (start + share))
    data[first:last] = bytes(last - first)
    Path(path).write_bytes(bytes(data))
    return Path(path)


def joined(sources: Sequence[str | Path], path: str | Path) -> Path:
    """The bytes of several files one after the other."""
    Path(path).write_bytes(b"".join(Path(source).read_bytes() for source in sources))
    return Path(path)


def write_streams(
    path: str | Path, videos: Sequence[Sequence[np.ndarray]], default: int | None = None
) -> Path:
    """Several silent videos side by side in one file; stream `default` is marked to be shown."""
    with av.open(str(path), "w") as container:
        streams = []
        for number, frames in enumerate(videos):
            stream = container.add_stream(MPEG4, rate=FPS)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.disposition = av.stream.Disposition.default if number == default else 0
            streams.append(stream)
        for stream, frames in zip(streams, videos, strict=True):
            for number, picture in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return Path(path)


def write_clocked(
    path: str | Path,
    frames: Sequence[np.ndarray],
    rate: int,
    step: int,
    options: dict[str, str] | None = None,
) -> Path:
    """MPEG-4 whose header tells `rate` frames a second, while frames come every `step` / `rate` seconds.

    `options` are those of the container.
    """
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(MPEG4, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number * step, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Path(path)
