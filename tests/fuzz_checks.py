"""What is done with a damaged file, and what must be true of the outcome."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.audio import SoundReader
from pipelines.clips import ClipPlan
from pipelines.compressed import ClipFeatures, CompressedVideo
from pipelines.errors import UserError
from pipelines.frame_features import FrameFeatures
from pipelines.frame_times import NO_PTS, REORDERED, FrameTimes
from pipelines.iframes import iframes
from pipelines.settings import FeatureSettings
from pipelines.survey import survey
from pipelines.video import decode_clips
from pipelines.video_file import probe

SIZE = 16  # of the pictures asked for
SOUND_RATE = 16_000
FPS_RANGE = 1 / 60, 1000


@dataclass(frozen=True)
class Outcome:
    """`kind` is whole, damage (told) or refused, `read` the frames of the first pass."""

    kind: str
    read: int = 0
    words: str = ""


def settings(motion: str, residual: str = "step", clip_frames: int = 8) -> FeatureSettings:
    """Features as small as they come."""
    return FeatureSettings(
        clip_frames=clip_frames,
        canvas=32,
        md_frames=4,
        residual_frames=2,
        residual_size=16,
        residual=residual,
        iframe_size=SIZE,
        motion=motion,
    )


def examine(path: Path, case: int) -> Outcome:
    """Everything that the package does with a video file.

    Each step must go well or refuse the file with one line that names it; anything else is raised. The
    outcome is that of the streaming pass.
    """
    residual, clip_frames = ("step", "accumulated")[case % 2], (8, REORDERED)[case // 2 % 2]
    video = CompressedVideo(path, settings("auto", residual, clip_frames))
    refusal = refused(path, lambda: check_clips(video))
    refused(path, lambda: probe(path))
    refused(path, lambda: check_clips(CompressedVideo(path, settings("fast", residual))))
    share = (None, 1, 2, 4)[case % 4]
    refused(path, lambda: check_frames(FrameFeatures(path, ("auto", "fast")[case % 2], share, residual)))
    refused(path, lambda: [check_picture(frame.picture) for frame in iframes(path, SIZE)])
    refused(path, lambda: check_survey(path))
    if refusal:
        return Outcome("refused", words=refusal)
    check_chosen(path, video.timing, video.timing)
    refused(path, lambda: check_chosen(path, video.timing, None))
    refused(path, lambda: check_sound(path, video.timing))
    kind = "damage" if video.damage else "whole"
    return Outcome(kind, video.timing.count, "; ".join(video.damage))


def refused(path: Path, step: Callable[[], object]) -> str:
    """The words with which a step refuses the file; empty when it does not."""
    try:
        step()
    except UserError as error:
        words = str(error)
        assert path.name in words, f"does not name the file: {words}"
        assert "\n" not in words, f"is more than a line: {words}"
        return words
    return ""


def check_clips(video: CompressedVideo) -> None:
    """Clips as the plan has them, of the shapes of the settings, at times that make sense."""
    own, said = video._settings, []
    for clip in video.clips():
        assert clip.index == len(said)
        check_clip(clip, own)
        said.append((clip.start_s, clip.end_s))
    times = video.timing
    plan = ClipPlan(times.count, own.clip_frames, own.clip_step)
    assert len(said) == plan.count
    if own.clip_frames >= REORDERED:  # what was said on the way holds at the end
        assert said == [tuple(map(times.seconds, plan.bounds(clip))) for clip in range(plan.count)]
    check_times(times)


def check_clip(clip: ClipFeatures, own: FeatureSettings) -> None:
    """Shapes, types and times of one clip."""
    assert math.isfinite(clip.start_s)
    assert math.isfinite(clip.end_s)
    assert 0 <= clip.start_s < clip.end_s
    assert clip.md.dtype == np.int16
    assert clip.md.shape[1:] == (own.grid, own.grid, 2)
    assert len(clip.md) <= own.md_cells
    assert clip.rgb_r.dtype == np.uint8
    assert clip.rgb_r.shape[1:] == (own.residual_size, own.residual_size, 3)
    assert len(clip.rgb_r) <= own.residual_cells
    check_picture(clip.iframe)


def check_times(times: FrameTimes) -> None:
    """Rates within reason, and the same times after they were written and read."""
    low, high = FPS_RANGE
    assert low <= times.fps <= high, f"{times.fps} frames a second"
    assert math.isfinite(times.seconds(times.count))
    assert FrameTimes.from_dict(times.to_dict()) == times
    assert all(0 <= number < times.count for number in times.keyframes)


def check_picture(picture: np.ndarray) -> None:
    """A small RGB picture."""
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8


def check_frames(features: FrameFeatures) -> None:
    """As much of everything as there are frames."""
    count = 0
    for batch in features.batches():
        count += len(batch.md)
        assert len(batch.frame_type) == len(batch.md)
        assert np.isfinite(batch.md).all()
        if batch.rgb_r is not None:
            assert len(batch.rgb_r) == len(batch.md)
            assert batch.rgb_r.dtype == np.uint8
    assert count == features.timing.count


def check_survey(path: Path) -> None:
    """What is found adds up."""
    found = survey(path)
    assert sum(found.types.values()) == found.timing.count
    assert all(math.isfinite(number) for number in found.gop)
    assert found.variable_rate in (True, False)
    if found.sound:
        assert 0 <= found.sound.peak <= 1
        assert math.isfinite(found.sound.offset_s)
        assert found.sound.heard_s >= 0


def check_chosen(path: Path, timing: FrameTimes, times: FrameTimes | None) -> None:
    """The first and the last clip, looked up by the recorded times or by a scan of its own."""
    plan = ClipPlan(timing.count, 8)
    wanted = [plan.frame_indices(clip) for clip in sorted({0, plan.count - 1})]
    clips = list(decode_clips(path, wanted, SIZE, times))
    assert [clip.shape for clip in clips] == [(8, SIZE, SIZE, 3)] * len(wanted)


def check_sound(path: Path, timing: FrameTimes) -> None:
    """Windows of every clip's length over the whole video."""
    first = timing.pts[0]
    plan = ClipPlan(timing.count, 8)
    length = round(8 / timing.fps * SOUND_RATE)
    origin_s = 0.0 if first == NO_PTS else float(first * timing.time_base)
    with SoundReader(path, SOUND_RATE, origin_s) as reader:
        for clip in range(plan.count):
            start = round(timing.seconds(plan.bounds(clip)[0]) * SOUND_RATE)
            samples, covered = reader.window(start, length)
            assert samples.shape == covered.shape == (length,)
            assert np.abs(samples).max(initial=0) <= 1
            assert not samples[~covered].any()
