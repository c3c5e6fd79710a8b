"""When each frame of a video is shown, and from which frames a decoder can start."""

import base64
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

NO_PTS = -(2**63)  # stands for a frame that came without a timestamp
PAUSE = 4  # times the usual step between frames: a longer one is a pause
MILLISECOND = Fraction(1, 1000)  # what Matroska and others round timestamps to
MOST_HOLES = 3  # more of them are a variable frame rate
REORDERED = 16  # frames; a stream that is out of order so early has always been
PLAIN = 32  # lists up to this length stay readable


class FrameTimes:
    """Timestamps of the decoded frames in display order; 8 bytes a frame, so hours of video fit.

    `pts` holds one timestamp a frame in units of `time_base` seconds (`NO_PTS` where a frame has none),
    `keyframes` the numbers of the frames a decoder can start from, `fps` the nominal frame rate.
    """

    def __init__(
        self, time_base: Fraction, pts: Iterable[int | None], keyframes: Iterable[int], fps: float
    ) -> None:
        self.time_base = Fraction(time_base)
        self.pts = array("q")
        self.keyframes: list[int] = []
        self.fps = float(fps)
        self._ordered = 0  # frames before the first one without a timestamp later than the one before
        for value in pts:
            self.add(value)
        self.keyframes.extend(int(frame) for frame in keyframes)

    def add(self, pts: int | None, is_keyframe: bool = False) -> None:
        """Appends the next frame in display order."""
        if is_keyframe:
            self.keyframes.append(self.count)
        if pts is None:
            pts = NO_PTS
        if self._ordered == self.count and pts > (self.pts[-1] if self.pts else NO_PTS):
            self._ordered += 1
        self.pts.append(pts)

    @property
    def count(self) -> int:
        """Frames so far."""
        return len(self.pts)

    @property
    def seekable(self) -> bool:
        """Whether every frame has its own timestamp, strictly later than the one before."""
        return 0 < self.count == self._ordered

    def seconds(self, frame: int) -> float:
        """Seconds from the first frame to `frame`; `frame == count` is the end of the video.

        Where timestamps are missing or not increasing from the start (raw streams, AVI with packed
        B-frames) the frame rate gives the time; where they go astray later (damage, joined files) it
        counts on from the last one in order, so what was said of earlier frames stays true.
        """
        if not 0 <= frame <= self.count:
            raise IndexError(f"frame {frame} of a video with {self.count} frames")
        known = self.count if self.seekable else self.astray or 0
        if not known:
            return frame / self.fps
        shown = min(frame, known - 1)
        return float((self.pts[shown] - self.pts[0]) * self.time_base) + (frame - shown) / self.fps

    @property
    def astray(self) -> int | None:
        """The frame from which on timestamps that were in order are not; None where there is none."""
        return self._ordered if REORDERED <= self._ordered < self.count else None

    def keyframe_before(self, frame: int) -> int:
        """The last frame, not after `frame`, from which decoding can start; 0 when none is known."""
        place = bisect_right(self.keyframes, frame)
        return self.keyframes[place - 1] if place else 0

    def holes(self) -> list[tuple[float, float]]:
        """Seconds (from, to) where frames are missing in a stream that is otherwise even.

        A stream with many different steps has a variable frame rate, and its pauses are meant.
        """
        if not self.seekable or self.count < PLAIN:
            return []
        steps = np.diff(np.frombuffer(self.pts, np.int64))
        usual = float(np.median(steps))
        rounding = max(1, MILLISECOND / self.time_base) * 1.01
        (uneven,) = np.nonzero(np.abs(steps - usual) > rounding)
        if len(uneven) > MOST_HOLES or steps[uneven].min(initial=2**62) < PAUSE * usual:
            return []
        return [(self.seconds(frame) + 1 / self.fps, self.seconds(frame + 1)) for frame in uneven.tolist()]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: even steps shrink to start, step and count, long uneven lists are compressed."""
        return {
            "time_base": str(self.time_base),
            "fps": self.fps,
            "keyframes": _packed(self.keyframes),
            "pts": _packed(self.pts),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FrameTimes":
        """The inverse of `to_dict`."""
        pts, keyframes = _unpacked(values["pts"]), _unpacked(values["keyframes"])
        return cls(Fraction(values["time_base"]), pts, keyframes, values["fps"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameTimes):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # grows while a video is read


def measured_rate(pts: Sequence[int | None], time_base: Fraction) -> float | None:
    """Frames a second according to the timestamps of consecutive frames; None where they do not tell.

    It is the mean of the steps, without pauses of several frames; the order of the timestamps, which some
    files mix up, does not matter.
    """
    steps = [after - before for before, after in pairwise(sorted({*pts} - {None, NO_PTS}))]
    if not steps:
        return None
    steps = [step for step in steps if step <= PAUSE * median(steps)]
    return float(len(steps) / (sum(steps) * time_base))


def _packed(values: Sequence[int]) -> dict[str, Any] | list[int | None]:
    """Whole numbers of 64 bits as small JSON: even steps as such, short lists plainly, else compressed."""
    if NO_PTS not in values:
        step = values[1] - values[0] if len(values) > 1 else 1
        start = values[0] if values else 0
        if step and all(value == start + step * place for place, value in enumerate(values)):
            return {"start": start, "step": step, "count": len(values)}
    if len(values) <= PLAIN:
        return [None if value == NO_PTS else value for value in values]
    # Differences are small or repeat; they and their sums wrap around at 64 bits, so nothing is lost.
    changes = np.diff(np.array(values, np.int64).view(np.uint64), prepend=np.uint64(0))
    planes = changes.astype("<u8").view(np.uint8).reshape(-1, 8).T  # bytes of one significance together
    return {"deltas": base64.b64encode(zlib.compress(planes.tobytes())).decode("ascii")}


def _unpacked(packed: dict[str, Any] | list[int | None]) -> Iterable[int | None]:
    if isinstance(packed, list):
        return packed
    if "deltas" not in packed:
        return range(packed["start"], packed["start"] + packed["step"] * packed["count"], packed["step"])
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed["deltas"])), np.uint8).reshape(8, -1)
    changes = np.ascontiguousarray(planes.T).view("<u8")[:, 0].astype(np.uint64)
    return changes.cumsum().view(np.int64).tolist()
