"""Sound of a video as windows of mono samples, read forwards in bounded memory."""

import contextlib
from collections.abc import Iterator

import av
import numpy as np

GAP_S = 0.05  # timestamps of packets jitter by a few milliseconds; a longer jump is a real hole


class SoundReader:
    """Mono samples at `rate` Hz of the first audio stream, addressed in seconds since `origin_s`.

    `origin_s` is the container's time of the first video frame, so that second 0 is the same moment
    for picture and sound whatever the start offsets of the streams are. Windows must be asked for in
    the order of their starts: what lies before the last start is forgotten. Sound that stops being
    decodable in mid-file simply ends there. Use as a context manager.
    """

    def __init__(self, path, rate: int, origin_s: float):
        self.rate = rate
        self._container = av.open(str(path))
        self._blocks = _positioned_blocks(self._container, rate, origin_s)
        self._buffer = np.zeros(0, np.float32)
        self._covered = np.zeros(0, bool)
        self._first = 0  # sample number of the buffer's first sample; negative ones lie before the picture
        self._started = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._container.close()

    def window(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples `first .. first + count`: `[count]` float32 and `[count]` bool, True where there is sound.

        Outside the track the samples are zero and marked as not covered.
        """
        self._forget_before(first)
        while self._first + len(self._buffer) < first + count and self._read_block():
            self._forget_before(first)
        samples, covered = np.zeros(count, np.float32), np.zeros(count, bool)
        start, stop = max(first, self._first), min(first + count, self._first + len(self._buffer))
        if start < stop:
            source, target = (
                slice(start - self._first, stop - self._first),
                slice(start - first, stop - first),
            )
            samples[target], covered[target] = self._buffer[source], self._covered[source]
        return samples, covered

    def _forget_before(self, first: int) -> None:
        drop = min(max(first - self._first, 0), len(self._buffer))
        if drop:
            self._buffer, self._covered = self._buffer[drop:], self._covered[drop:]
            self._first += drop

    def _read_block(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            return False
        position, samples = block
        if not self._started:
            self._first, self._started = position, True
        end = self._first + len(self._buffer)
        hole = position - end
        pieces, covers = [self._buffer], [self._covered]
        if hole > GAP_S * self.rate:
            pieces.append(np.zeros(hole, np.float32))
            covers.append(np.zeros(hole, bool))
        self._buffer = np.concatenate([*pieces, samples])
        self._covered = np.concatenate([*covers, np.ones(len(samples), bool)])
        return True


def _positioned_blocks(container, rate: int, origin_s: float) -> Iterator[tuple[int, np.ndarray]]:
    """Resampled blocks with the sample number of their first sample, about a second each."""
    stream = container.streams.audio[0]
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    pending, position, expected = [], None, None
    for frame in _decoded(container, stream):
        if frame.pts is not None:
            at = round((float(frame.pts * frame.time_base) - origin_s) * rate)
            if position is None:
                position = expected = at
            elif at - expected > GAP_S * rate and pending:
                yield position, np.concatenate(pending)
                pending, position, expected = [], at, at
        elif position is None:
            position = expected = 0
        expected += round(frame.samples * rate / frame.sample_rate)
        with contextlib.suppress(av.error.FFmpegError):
            pending += [part.to_ndarray().reshape(-1) for part in resampler.resample(frame)]
        size = sum(map(len, pending))
        if size >= rate:
            yield position, np.concatenate(pending)
            pending, position = [], position + size
    pending += (
        [part.to_ndarray().reshape(-1) for part in resampler.resample(None)] if position is not None else []
    )
    if pending:
        yield position, np.concatenate(pending)


def _decoded(container, stream) -> Iterator[av.AudioFrame]:
    """Audio frames; damaged packets are left out, an unreadable rest ends the sound."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        with contextlib.suppress(av.error.FFmpegError):
            yield from packet.decode()
