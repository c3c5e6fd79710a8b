"""RGB clips decoded on demand in worker processes. No TensorFlow here, so that workers start at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.clips import ClipPlan
from pipelines.errors import UserError, VideoError
from pipelines.index import VideoRecord
from pipelines.settings import FeatureSettings
from pipelines.video import FrameTimes, decode_clips
from pipelines.workers import run_jobs


@dataclass(frozen=True)
class ClipJob:
    """Some clips of one video: `wanted` lists the frame numbers `[F]` of each, in temporal order."""

    video: VideoRecord
    wanted: list
    resize: int
    size: int


def decode_job(job: ClipJob) -> np.ndarray | VideoError:
    """The clips `[n, F, size, size, 3]` uint8, or the error that says why there are none.

    The short side is scaled to `resize` pixels and the central square of `size` is kept, as in the
    paper's appendix A.2 (256 and 224).
    """
    try:
        times = FrameTimes.from_dict(job.video.timing)
        clips = decode_clips(job.video.path, job.wanted, job.resize, times)
        return np.stack([center_crop(clip, job.size).copy() for clip in clips])
    except VideoError as error:
        return error


def center_crop(pictures: np.ndarray, size: int) -> np.ndarray:
    """The central square `[..., size, size, 3]` of pictures `[..., s, s, 3]`."""
    if size > pictures.shape[-2]:
        raise UserError(
            f"a picture of {size} pixels cannot be cut out of {pictures.shape[-2]}; resize to more"
        )
    offset = (pictures.shape[-2] - size) // 2
    return pictures[..., offset : offset + size, offset : offset + size, :]


def decode_all(
    videos: Iterable[VideoRecord],
    settings: FeatureSettings,
    resize: int,
    size: int,
    workers: int,
    at_once: int = 16,
) -> Iterator[tuple[ClipJob, np.ndarray | VideoError]]:
    """Every clip of every video, in order, in groups of at most `at_once` clips of one video."""

    def jobs():
        for video in videos:
            plan = ClipPlan(video.frames, settings.clip_frames, settings.clip_step)
            wanted = [plan.frame_indices(clip) for clip in range(plan.count)]
            for first in range(0, len(wanted), at_once):
                yield ClipJob(video, wanted[first : first + at_once], resize, size)

    yield from run_jobs(decode_job, jobs(), workers, ordered=True)


def draw_clips(
    video: VideoRecord, settings: FeatureSettings, count: int, inside_action: bool, rng: np.random.Generator
) -> list[np.ndarray]:
    """Frame numbers of `count` clips drawn at random from a video, in temporal order.

    With `inside_action` they start inside the video's action segments and, where a segment is long
    enough, end inside it too; otherwise anywhere.
    """
    spans = [(0, video.frames)]
    if inside_action and video.segments:
        spans = [_frames_of(segment, video) for segment in video.segments]
    last = max(video.frames - settings.span, 0)
    starts = []
    places = np.array([max(stop - start - settings.span, 0) + 1 for start, stop in spans])
    for place in rng.choice(len(spans), size=count, p=places / places.sum()):
        start, stop = spans[place]
        starts.append(min(int(rng.integers(start, max(stop - settings.span, start) + 1)), last))
    offsets = settings.clip_step * np.arange(settings.clip_frames)
    return [np.minimum(start + offsets, video.frames - 1) for start in sorted(starts)]


def _frames_of(segment: list, video: VideoRecord) -> tuple[int, int]:
    frames_a_second = video.frames / video.duration_s  # the nominal rate is wrong where rates vary
    start, stop = (round(second * frames_a_second) for second in segment)
    return min(start, video.frames - 1), min(stop, video.frames)
