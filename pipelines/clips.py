"""The clip plan: which source frames and which stretch of sound belong to each clip.

Every other module takes its frames and times from here, so picture and sound cannot drift apart.
Clips are defined on frames (paper, section 3.1: F adjacent frames, non-overlapping, spanning the
video); their times in seconds come from the frames' timestamps.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.errors import VideoError


@dataclass(frozen=True)
class ClipPlan:
    """Clips of `frames` pictures, every `step`-th source frame, over a video of `frame_count` frames.

    A clip spans `frames * step` source frames and the next one starts where it ends. A tail of at
    least half a span becomes a last clip, whose missing pictures repeat the last frame of the video;
    a shorter tail belongs to no clip.
    """

    frame_count: int
    frames: int
    step: int = 1

    @property
    def span(self) -> int:
        """Source frames from the start of one clip to the start of the next."""
        return self.frames * self.step

    @property
    def count(self) -> int:
        """L, the number of clips."""
        return clip_count(self.frame_count, self.span)

    def bounds(self, clip: int) -> tuple[int, int]:
        """First source frame of a clip and the one after its last; never beyond the video."""
        if not 0 <= clip < self.count:
            raise IndexError(f"clip {clip} of a video with {self.count} clips")
        start = clip * self.span
        return start, min(start + self.span, self.frame_count)

    def frame_indices(self, clip: int) -> np.ndarray:
        """The source frames `[F]` int64 that are the clip's pictures."""
        start, stop = self.bounds(clip)
        return np.minimum(start + self.step * np.arange(self.frames), stop - 1)


def clip_count(frame_count: int, span: int) -> int:
    """L for a video of `frame_count` frames; 0 when it is shorter than one span."""
    if frame_count < span:
        return 0
    whole, rest = divmod(frame_count, span)
    return whole + (2 * rest >= span)


def require_clips(plan: ClipPlan, name: str) -> None:
    """Raises `VideoError` when the video is shorter than one clip."""
    if plan.count == 0:
        raise VideoError(
            f"{name}: {plan.frame_count} frames, shorter than one clip of {plan.span} "
            f"({plan.frames} frames, every {plan.step}.); leave it out or use shorter clips"
        )


def cells(span: int, count: int) -> np.ndarray:
    """Splits a clip's `span` source frames into `count` even cells: offsets `[count + 1]` int64.

    One P-frame of each cell feeds a sampler; `count` of 0 means one cell a frame, the paper's choice
    (section 3.3.1: all P-frames of the clip).
    """
    count = min(count, span) or span
    return (np.arange(count + 1) * span) // count


def audio_window(start_s: float, end_s: float) -> tuple[float, float]:
    """The stretch of sound of a clip, in seconds: twice as long as the clip, around its middle.

    Paper, section 3.3.2: windows twice the clip, one for every clip.
    """
    half = (end_s - start_s) / 2
    return start_s - half, end_s + half
