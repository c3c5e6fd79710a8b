"""Files to measure on, made on the spot: textured scenes with camera motion, moving things and grain."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from tqdm import tqdm

from pipelines.files import written_whole

FPS = 30
SMALL, LARGE = (340, 256), (1280, 720)
SCENE = 90  # frames until the picture changes
THINGS = 4
CODERS = {
    "mpeg4": ("mpeg4", {"qmin": "4", "qmax": "4", "g": "12", "bf": "0"}),
    "h264_ip": ("libx264", {"preset": "medium", "crf": "23", "bf": "0", "g": "250", "sc_threshold": "0"}),
    "h264_b": ("libx264", {"preset": "medium", "crf": "23", "g": "250", "sc_threshold": "0"}),
    "h264_b_gop12": ("libx264", {"preset": "medium", "crf": "23", "g": "12"}),
}


def pictures(width: int, height: int, count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """`count` pictures `[height, width, 3]` uint8: scenes that pan, things that cross them, grain on top."""
    rng = np.random.default_rng(seed)
    grain = rng.integers(-5, 6, (8, height, width, 1), np.int8)
    for number in range(count):
        at = number % SCENE
        if at == 0:
            ground = _texture(rng, height, width)
            things = [_texture(rng, height // 4, width // 5) for _ in range(THINGS)]
            start, speed = rng.uniform(0, 1, (THINGS, 2)), rng.normal(0, 5 * width / 340, (THINGS, 2))
            pan = rng.normal(0, 2 * width / 340, 2)
        frame = np.roll(ground, np.rint(at * pan).astype(int), (0, 1))
        for thing, place, step in zip(things, start, speed, strict=True):
            place = place * (height, width) + at * step
            top, left = (place % (height * 3 // 4, width * 4 // 5)).astype(int)
            frame[top : top + thing.shape[0], left : left + thing.shape[1]] = thing
        yield np.clip(frame + grain[number % len(grain)].astype(np.int16), 0, 255).astype(np.uint8)


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth shapes of several sizes, int16 `[height, width, 3]`."""
    total = np.zeros((height, width, 3), np.float32)
    for size in (3, 12, 48):
        coarse = rng.normal(128, 40, (height // size + 2, width // size + 2, 3)).clip(0, 255).astype(np.uint8)
        fine = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += np.float32(size**0.5) * (np.asarray(fine, np.float32) - 128)
    return np.clip(128 + 45 * total / total.std(), 0, 255).astype(np.int16)


def make(folder: Path, name: str, size: tuple[int, int], seconds: float, times: int = 1) -> Path:
    """A file `name` of `CODERS` with `seconds` of pictures, its packets repeated `times` times; kept."""
    width, height = size
    path = folder / f"{name}_{width}x{height}_{seconds * times:g}s.mp4"
    if path.exists():
        return path
    if times > 1:
        _repeat(make(folder, name, size, seconds), path, times)
        return path
    coder, options = CODERS[name]
    count = round(seconds * FPS)
    with written_whole(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream(coder, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, picture in enumerate(tqdm(pictures(width, height, count), path.name, count, leave=False)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _repeat(source: Path, path: Path, times: int) -> None:
    """The packets of a file again and again: an hour is made in seconds."""
    with written_whole(path) as temporary, av.open(str(temporary), "w", format="mp4") as out:
        stream = None
        for turn in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                shift = turn * round(video.frames / FPS / video.time_base)
                for packet in container.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    out.mux(packet)
