"""Sound of a video as windows of mono samples, read forwards in bounded memory."""

import contextlib
from collections import deque
from collections.abc import Iterator
from os import PathLike

import av
import numpy as np

from pipelines.demuxing import packets
from pipelines.video_file import open_video

GAP_S = 0.05  # timestamps of packets jitter by a few milliseconds; a longer jump is a real hole


class SoundReader:
    """Mono samples at `rate` Hz of a video's main audio stream, counted from the second `origin_s` on.

    `origin_s` is the container's time of the first video frame, so that second 0 is the same moment
    for picture and sound whatever the start offsets of the streams are. Windows must be asked for in
    the order of their starts: what lies before the last start is forgotten. Sound that stops being
    decodable in mid-file simply ends there. Use as a context manager.
    """

    def __init__(self, path: str | PathLike, rate: int, origin_s: float):
        self.rate = rate
        self._container = open_video(path)
        self._blocks = _positioned_blocks(self._container, rate, origin_s)
        self._held: deque[tuple[int, np.ndarray]] = deque()
        self._ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def window(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples `first .. first + count`: `[count]` float32 and `[count]` bool, True where there is sound.

        `first` may be negative: sound from before the first picture. Outside the track and in its holes
        the samples are zero and marked as not covered.
        """
        self._read(first, first + count)
        samples, covered = np.zeros(count, np.float32), np.zeros(count, bool)
        for position, block in self._held:
            start, stop = max(first, position), min(first + count, position + len(block))
            if start < stop:
                samples[start - first : stop - first] = block[start - position : stop - position]
                covered[start - first : stop - first] = True
        return samples, covered

    def _read(self, first: int, stop: int) -> None:
        """Holds the blocks that reach into `first .. stop`, and at most one behind them."""
        while True:
            while self._held and _end(self._held[0]) <= first:
                self._held.popleft()
            if self._ended or (self._held and _end(self._held[-1]) >= stop):
                return
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
            else:
                self._held.append(block)


def _end(block: tuple[int, np.ndarray]) -> int:
    return block[0] + len(block[1])


def _positioned_blocks(container, rate: int, origin_s: float) -> Iterator[tuple[int, np.ndarray]]:
    """Resampled blocks with the sample number of their first sample, joined where there is no hole."""
    position = None
    for at_s, samples in _resampled(container, rate):
        at = None if at_s is None else round((at_s - origin_s) * rate)
        if position is None:
            position = at or 0
        elif at is not None and at - position > GAP_S * rate:
            position = at
        yield position, samples
        position += len(samples)


def _resampled(container, rate: int) -> Iterator[tuple[float | None, np.ndarray]]:
    """Time in the container and mono samples `[n]` in [-1, 1] of every decoded audio frame."""
    resampler = kind = at_s = None
    for frame in _decoded(container):
        at_s = None if frame.pts is None else float(frame.pts * frame.time_base)
        if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)  # it takes one kind only
        with contextlib.suppress(av.FFmpegError):
            yield at_s, _joined(resampler.resample(frame))
    if resampler is not None:
        with contextlib.suppress(av.FFmpegError):
            yield None, _joined(resampler.resample(None))


def _joined(frames: list) -> np.ndarray:
    parts = [frame.to_ndarray().reshape(-1) for frame in frames if frame is not None]
    samples = np.concatenate([np.zeros(0, np.float32), *parts])
    return np.clip(np.nan_to_num(samples), -1, 1)  # damaged sound decodes to anything


def _decoded(container) -> Iterator[av.AudioFrame]:
    """Audio frames; damaged packets are left out, an unreadable rest ends the sound."""
    stream = _main_stream(container)
    if stream is None:
        return
    remaining = packets(container, stream)
    while True:
        try:
            packet = next(remaining)
        except (StopIteration, av.FFmpegError):
            return
        with contextlib.suppress(av.FFmpegError):
            yield from packet.decode()


def _main_stream(container) -> av.AudioStream | None:
    """The stream that a player would choose; among several, one that can be decoded."""
    best = container.streams.best("audio")
    streams = ([best] if best else []) + list(container.streams.audio)
    return next((stream for stream in streams if stream.codec_context is not None), None)
