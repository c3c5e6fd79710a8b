"""Clips of a video as RGB pictures: only those asked for, or every one."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from os import PathLike

import numpy as np

from pipelines.clips import ClipPlan, require_clips
from pipelines.damage import Damage
from pipelines.errors import VideoError
from pipelines.frame_times import FrameTimes
from pipelines.geometry import frame_geometry
from pipelines.pictures import SquarePictures
from pipelines.scanning import scan_times
from pipelines.seeking import Astray, FrameSeeker
from pipelines.video_file import VideoStream, decoded_frames, open_video, opened_pictures, probe

__all__ = ["FrameTimes", "VideoStream", "decode_clips", "iter_clips", "open_video", "probe", "scan_times"]


def decode_clips(
    path: str | PathLike, wanted: Sequence[np.ndarray], size: int, times: FrameTimes | None = None
) -> Iterator[np.ndarray]:
    """Decodes only the clips asked for: uint8 RGB `[F, size, size, 3]` each, in the order of `wanted`.

    `wanted` holds the source frame numbers `[F]` of each clip, `times` the frame times that a pass over
    the whole file gave; without them the file is scanned for its own. Frames are read in ascending order
    by seeks to key frames, each once however many clips share it, and every wanted frame's timestamp is
    checked; where that is impossible or goes wrong the rest is decoded from the file's start, counting.

    Clips are meant to be asked for in temporal order: then only pictures that a later clip shares are
    held. Any other order is right too, but costs memory: while a clip is waited for, the pictures of all
    wanted clips that lie before it in the video are held. Raises `VideoError` when the file does not
    hold the frames.
    """
    wanted = [np.asarray(numbers, np.int64).tolist() for numbers in wanted]
    numbers = sorted(set().union(*wanted))
    if numbers and numbers[0] < 0:
        raise IndexError(f"frame {numbers[0]} of {path}")
    if times is None:
        times = scan_times(path)
    yield from _clips(wanted, _pictures(path, numbers, size, times))


def iter_clips(path: str | PathLike, clip_frames: int, clip_step: int, size: int) -> Iterator[np.ndarray]:
    """Every clip of the clip plan, uint8 RGB `[F, size, size, 3]` each, in one pass.

    Raises `VideoError` for an unusable file and, at its end, for one shorter than a clip.
    """
    taken: list[np.ndarray] = []
    clips = count = 0
    with opened_pictures(path) as (container, stream):
        pictures = None
        for frame in decoded_frames(container, stream, Damage()):
            pictures = pictures or SquarePictures(size, frame_geometry(frame, stream))
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


def _clips(wanted: list[list[int]], pictures: Iterator[tuple[int, np.ndarray]]) -> Iterator[np.ndarray]:
    """Puts clips together from ascending pictures; holds only those that a clip to come still needs."""
    uses = Counter(number for numbers in wanted for number in numbers)
    held: dict[int, np.ndarray] = {}
    reached = -1
    for numbers in wanted:
        while reached < max(numbers):
            reached, held[reached] = next(pictures)
        yield np.stack([held[number] for number in numbers])
        uses.subtract(numbers)
        held = {number: picture for number, picture in held.items() if uses[number] > 0}


def _pictures(
    path: str | PathLike, numbers: list[int], size: int, times: FrameTimes
) -> Iterator[tuple[int, np.ndarray]]:
    """The pictures of ascending frame numbers, by seeking as far as that goes."""
    done = 0
    if times.seekable:
        with contextlib.suppress(Astray):
            for number, picture in _pictures_by_seeking(path, numbers, size, times):
                done += 1
                yield number, picture
    if done < len(numbers):
        yield from _pictures_in_one_pass(path, numbers[done:], size)


def _pictures_by_seeking(
    path: str | PathLike, numbers: list[int], size: int, times: FrameTimes
) -> Iterator[tuple[int, np.ndarray]]:
    with opened_pictures(path) as (container, stream):
        pictures = None
        for number, frame in FrameSeeker(container, stream, times, numbers).frames():
            pictures = pictures or SquarePictures(size, frame_geometry(frame, stream))
            yield number, pictures.array(frame)


def _pictures_in_one_pass(
    path: str | PathLike, numbers: list[int], size: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Frames known by their count from the start; ends with the last one wanted."""
    pending = iter(numbers)
    number = next(pending)
    with opened_pictures(path) as (container, stream):
        pictures = None
        for count, frame in enumerate(decoded_frames(container, stream, Damage())):
            if count != number:
                continue
            pictures = pictures or SquarePictures(size, frame_geometry(frame, stream))
            yield number, pictures.array(frame)
            number = next(pending, None)
            if number is None:
                return
    raise VideoError(f"{path}: frame {number} is not in it; the file has changed, prepare it again")
