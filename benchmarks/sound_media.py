"""Made files with sound, of any length: packets of a short one again and again."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import av
import numpy as np

from benchmarks.media import SMALL, make
from pipelines.files import written_whole

SOUND_RATE = 44_100
LOOP_S = 60  # longer files repeat the packets of one this long
SOUND_LOOP_S = 10
TICK_S = 0.5


def make_with_sound(folder: Path, name: str, seconds: float) -> Path:
    """A file `name` of `benchmarks.media.CODERS`, 340x256, with AAC in stereo; kept in `folder`.

    Pictures of files beyond a minute come round every minute: what they cost does not. The sound is noise
    and tones that swell and fade, so that no clip is silent.
    """
    path = folder / f"{name}_sound_{SMALL[0]}x{SMALL[1]}_{seconds:g}s.mp4"
    if path.exists():
        return path
    source = make(folder, name, SMALL, min(seconds, LOOP_S))
    with written_whole(path) as temporary, av.open(str(temporary), "w", format="mp4") as out:
        with av.open(str(source)) as first:
            pictures = out.add_stream_from_template(first.streams.video[0])
        sound = out.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        heard = _sound_packets(sound, seconds)
        waiting = next(heard, None)
        for packet in _picture_packets(source, seconds):
            # In order of time, or the muxer would have to hold half the file.
            while waiting is not None and waiting.dts * waiting.time_base <= packet.dts * packet.time_base:
                out.mux(waiting)
                waiting = next(heard, None)
            packet.stream = pictures
            out.mux(packet)
        for packet in heard if waiting is None else [waiting, *heard]:
            out.mux(packet)
    return path


def _picture_packets(source: Path, seconds: float) -> Iterator[av.Packet]:
    """The packets of `source` in turns until `seconds` are full, with times that go on."""
    for turn in count():
        with av.open(str(source)) as container:
            stream = container.streams.video[0]
            loop = round(stream.frames / stream.average_rate / stream.time_base)
            end = round(seconds / stream.time_base)
            if turn * loop >= end:
                return
            for packet in container.demux(stream):
                if packet.dts is None:
                    continue
                packet.pts, packet.dts = packet.pts + turn * loop, packet.dts + turn * loop
                if packet.pts < end:
                    yield packet


def _sound_packets(stream: av.AudioStream, seconds: float) -> Iterator[av.Packet]:
    """Coded sound in turns; an AAC packet needs no other one but for the seam."""
    own = list(_encoded(stream, _sound(min(seconds, SOUND_LOOP_S))))
    length = own[-1].duration
    for number in range(round(seconds * SOUND_RATE / length)):
        packet = own[number % len(own)]
        fresh = av.Packet(bytes(packet))
        fresh.stream, fresh.time_base = stream, packet.time_base
        fresh.pts = fresh.dts = number * length
        fresh.duration = length
        yield fresh


def _encoded(stream: av.AudioStream, samples: np.ndarray) -> Iterator[av.Packet]:
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = SOUND_RATE, 0
    fifo = av.AudioFifo()
    fifo.write(frame)
    for part in fifo.read_many(1024):
        yield from stream.encode(part)
    yield from stream.encode(None)


def _sound(seconds: float) -> np.ndarray:
    """`[2, n]` float32 in -1..1."""
    rng = np.random.default_rng(0)
    times = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    pitch = rng.uniform(200, 3000, int(seconds / TICK_S) + 1)[(times / TICK_S).astype(int)]
    tone = np.sin(2 * np.pi * pitch * times) * (0.5 + 0.5 * np.sin(2 * np.pi * times / 3))
    noise = rng.normal(0, 0.05, (2, len(times)))
    return np.clip(0.4 * tone + noise, -1, 1).astype(np.float32)
