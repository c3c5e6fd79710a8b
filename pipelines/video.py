"""Clips of a video as RGB pictures: only those asked for, or every one."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike

import numpy as np

from pipelines.clips import ClipPlan, require_clips
from pipelines.errors import VideoError
from pipelines.frame_times import FrameTimes
from pipelines.pictures import SquarePictures
from pipelines.seeking import Astray, FrameSeeker
from pipelines.video_file import (
    Damage,
    VideoStream,
    decoded_frames,
    frame_rotation,
    open_video,
    opened_pictures,
    probe,
)

__all__ = ["FrameTimes", "VideoStream", "decode_clips", "iter_clips", "open_video", "probe"]


def decode_clips(
    path: str | PathLike, wanted: Sequence[np.ndarray], size: int, times: FrameTimes
) -> Iterator[np.ndarray]:
    """Decodes only the clips asked for: uint8 RGB `[F, size, size, 3]` each, in the order of `wanted`.

    `wanted` holds the sorted source frame numbers `[F]` of each clip, `times` the frame times that a
    pass over the whole file gave. Seeks to key frames and checks every frame's timestamp; where that
    is impossible or goes wrong the file is decoded from its start, so the frames are always the right
    ones. Raises `VideoError` when the file does not hold them.
    """
    wanted = [np.asarray(numbers, np.int64) for numbers in wanted]
    done = 0
    if times.seekable:
        with contextlib.suppress(Astray):
            for clip in _clips_by_seeking(path, wanted, size, times):
                done += 1
                yield clip
    if done < len(wanted):
        yield from _clips_in_one_pass(path, wanted[done:], size)


def iter_clips(path: str | PathLike, clip_frames: int, clip_step: int, size: int) -> Iterator[np.ndarray]:
    """Every clip of the clip plan, uint8 RGB `[F, size, size, 3]` each, in one pass.

    Raises `VideoError` for an unusable file and, at its end, for one shorter than a clip.
    """
    taken: list[np.ndarray] = []
    clips = count = 0
    with opened_pictures(path) as (container, stream):
        pictures = None
        for frame in decoded_frames(container, stream, Damage()):
            pictures = pictures or SquarePictures(size, frame_rotation(frame))
            if count % clip_step == 0:
                taken.append(pictures.array(frame))
            last = frame
            count += 1
            if count % (clip_frames * clip_step) == 0:
                yield np.stack(taken)
                taken, clips = [], clips + 1
        plan = ClipPlan(count, clip_frames, clip_step)
        require_clips(plan, str(path))
        if plan.count > clips:
            missing = clip_frames - len(taken)
            yield np.stack(taken + [pictures.array(last)] * missing)


def _clips_by_seeking(
    path: str | PathLike, wanted: Iterable[np.ndarray], size: int, times: FrameTimes
) -> Iterator[np.ndarray]:
    with opened_pictures(path) as (container, stream):
        seeker = FrameSeeker(container, stream, times)
        pictures = None
        for numbers in wanted:
            clip = {}
            for number in np.unique(numbers).tolist():
                frame = seeker.frame(number)
                pictures = pictures or SquarePictures(size, frame_rotation(frame))
                clip[number] = pictures.array(frame)
            yield np.stack([clip[number] for number in numbers.tolist()])


def _clips_in_one_pass(path: str | PathLike, wanted: list[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Frames known by their count from the start; holds only pictures that a later clip still needs."""
    uses = Counter(number for numbers in wanted for number in numbers.tolist())
    held: dict[int, np.ndarray] = {}
    pending = list(reversed(wanted))
    with opened_pictures(path) as (container, stream):
        pictures = None
        for count, frame in enumerate(decoded_frames(container, stream, Damage())):
            if count not in uses:
                continue
            pictures = pictures or SquarePictures(size, frame_rotation(frame))
            held[count] = pictures.array(frame)
            while pending and pending[-1][-1] <= count:
                numbers = pending.pop().tolist()
                yield np.stack([held[number] for number in numbers])
                uses.subtract(numbers)
                held = {number: picture for number, picture in held.items() if uses[number] > 0}
            if not pending:
                return
    raise VideoError(f"{path}: frame {pending[-1][-1]} is not in it; the file has changed, prepare it again")
