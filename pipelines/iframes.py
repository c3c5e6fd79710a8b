"""I-frames alone, at what they cost: nothing else is decoded."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike

import numpy as np

from pipelines.damage import Damage
from pipelines.geometry import frame_geometry
from pipelines.pictures import SquarePictures
from pipelines.video_file import decoded_frames, opened_pictures


@dataclass(frozen=True)
class IFrame:
    """A key frame: `pts_s` in seconds as the container counts (None when it does not tell), `picture`
    `[size, size, 3]` uint8 RGB, the upright central square."""

    pts_s: float | None
    picture: np.ndarray


def iframes(path: str | PathLike, size: int) -> Iterator[IFrame]:
    """The key frames of a video in order; the decoder passes over all others.

    Raises `VideoError` for a file without readable pictures.
    """
    with opened_pictures(path) as (container, stream):
        stream.codec_context.skip_frame = "NONKEY"
        pictures = None
        for frame in decoded_frames(container, stream, Damage()):
            pictures = pictures or SquarePictures(size, frame_geometry(frame, stream))
            seconds = None if frame.pts is None else float(frame.pts * stream.time_base)
            yield IFrame(seconds, pictures.array(frame))
