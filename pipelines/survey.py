"""What a file is: its stream, its frames and its sound, found out by reading all of it."""

import contextlib
from collections import Counter
from dataclasses import dataclass
from os import PathLike
from statistics import median

import av
import numpy as np

from pipelines.audio import SoundReader
from pipelines.damage import Damage, check_complete
from pipelines.frame_times import NO_PTS, FrameTimes
from pipelines.video_file import VideoStream, decoded_frames, open_video, opened_pictures, probe

LISTENING_RATE = 8000  # enough to tell silence from sound
SILENT = 10 ** (-60 / 20)  # peaks below -60 dB of full scale are the noise of an encoder
LONGEST_STEP_S = 60  # from frame to frame on average; times beyond are damaged, and nobody listens so long
UNEVEN = 1.5  # longest over shortest frame, beyond what rounding to milliseconds does


@dataclass(frozen=True)
class Sound:
    """The sound track that would be used. `offset_s` is its start after the first picture; `heard_s` how
    much of the video it covers; `peak` the loudest sample, 1 is full scale."""

    codec: str
    rate: int
    channels: int
    streams: int
    offset_s: float
    heard_s: float
    peak: float

    @property
    def silent(self) -> bool:
        """Whether there is a track, but nothing on it."""
        return self.peak < SILENT


@dataclass(frozen=True)
class Survey:
    """What was found. `types` counts the frames by picture type, `damage` says what could not be read."""

    stream: VideoStream
    timing: FrameTimes
    types: dict[str, int]
    damage: list[str]
    sound: Sound | None

    @property
    def gop(self) -> tuple[int, float, int]:
        """Frames from one key frame to the next: shortest, median, longest."""
        places = [*self.timing.keyframes, self.timing.count]
        steps = np.diff(places).tolist() or [self.timing.count]
        return min(steps), median(steps), max(steps)

    @property
    def variable_rate(self) -> bool:
        """Whether frames are shown for clearly different times."""
        if not self.timing.seekable or self.timing.count < 3:
            return False
        steps = np.diff(self.timing.pts)
        return bool(steps.max() > UNEVEN * steps.min())


def survey(path: str | PathLike) -> Survey:
    """Reads every frame and the sound once, in bounded memory.

    Raises `VideoError` for a file without readable pictures.
    """
    stream = probe(path)
    damage, types = Damage(), Counter()
    with opened_pictures(path) as (container, pictures):
        timing = FrameTimes(pictures.time_base, [], [], stream.fps)
        for frame in decoded_frames(container, pictures, damage):
            timing.add(frame.pts, frame.key_frame)
            types[av.video.frame.PictureType(frame.pict_type).name] += 1
        check_complete(damage, container, pictures, timing)
    sound = _sound(path, timing) if stream.has_audio else None
    return Survey(stream, timing, dict(types.most_common()), damage.sentences(), sound)


def _sound(path: str | PathLike, timing: FrameTimes) -> Sound | None:
    first = timing.pts[0]
    origin_s = 0.0 if first == NO_PTS else float(first * timing.time_base)
    with open_video(path) as container:
        track = container.streams.best("audio")
        if track is None or track.codec_context is None:
            return None
        context = track.codec_context
        start = None if track.start_time is None else float(track.start_time * track.time_base)
        about = context.name, context.sample_rate, context.layout.nb_channels, len(container.streams.audio)
    covered, peak = 0, 0.0
    seconds = min(timing.seconds(timing.count), LONGEST_STEP_S * timing.count)
    with contextlib.closing(SoundReader(path, LISTENING_RATE, origin_s)) as reader:
        for second in range(int(seconds) + 1):
            samples, there = reader.window(second * LISTENING_RATE, LISTENING_RATE)
            covered += int(there.sum())
            peak = max(peak, float(np.abs(samples).max()))
    offset_s = 0.0 if start is None else start - origin_s
    return Sound(*about, offset_s=offset_s, heard_s=covered / LISTENING_RATE, peak=peak)
