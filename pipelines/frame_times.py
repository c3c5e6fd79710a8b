"""When each frame of a video is shown, and from which frames a decoder can start."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

NO_PTS = -(2**63)  # stands for a frame that came without a timestamp


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
        self._increasing = True
        for value in pts:
            self.add(value)
        self.keyframes.extend(int(frame) for frame in keyframes)

    def add(self, pts: int | None, is_keyframe: bool = False) -> None:
        """Appends the next frame in display order."""
        if is_keyframe:
            self.keyframes.append(self.count)
        if pts is None or pts == NO_PTS:
            self._increasing = False
            pts = NO_PTS
        elif self.pts and pts <= self.pts[-1]:
            self._increasing = False
        self.pts.append(pts)

    @property
    def count(self) -> int:
        """Frames so far."""
        return len(self.pts)

    @property
    def seekable(self) -> bool:
        """Whether every frame has its own timestamp, strictly later than the one before."""
        return self._increasing and self.count > 0

    def seconds(self, frame: int) -> float:
        """Seconds from the first frame to `frame`; `frame == count` is the end of the video.

        Where timestamps are missing or not increasing (raw streams, AVI with packed B-frames) the
        frame rate gives the time.
        """
        if not 0 <= frame <= self.count:
            raise IndexError(f"frame {frame} of a video with {self.count} frames")
        if not self.seekable:
            return frame / self.fps
        shown = min(frame, self.count - 1)
        return float((self.pts[shown] - self.pts[0]) * self.time_base) + (frame - shown) / self.fps

    def keyframe_before(self, frame: int) -> int:
        """The last frame, not after `frame`, from which decoding can start; 0 when none is known."""
        place = bisect_right(self.keyframes, frame)
        return self.keyframes[place - 1] if place else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; timestamps in even steps shrink to start, step and count."""
        return {
            "time_base": str(self.time_base),
            "fps": self.fps,
            "keyframes": list(self.keyframes),
            "pts": _packed(self.pts),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FrameTimes":
        """The inverse of `to_dict`."""
        pts = values["pts"]
        if isinstance(pts, dict):
            start, step = pts["start"], pts["step"]
            pts = range(start, start + step * pts["count"], step)
        return cls(Fraction(values["time_base"]), pts, values["keyframes"], values["fps"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameTimes):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # grows while a video is read


def _packed(pts: array) -> dict[str, int] | list[int | None]:
    if NO_PTS not in pts:
        step = pts[1] - pts[0] if len(pts) > 1 else 1
        start = pts[0] if pts else 0
        if step and all(value == start + step * frame for frame, value in enumerate(pts)):
            return {"start": start, "step": step, "count": len(pts)}
    return [None if value == NO_PTS else value for value in pts]
