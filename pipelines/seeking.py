"""Single frames of a video by their number, found by key-frame seeks and checked by their timestamps."""

from collections.abc import Iterator

import av

from pipelines.frame_times import FrameTimes
from pipelines.video_file import Damage, decoded_frames


class Astray(Exception):
    """A frame is not where the recorded times say."""


class FrameSeeker:
    """Reads frames by number from an open file; every frame met is checked against its timestamp."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, times: FrameTimes):
        self._container, self._stream, self._times = container, stream, times
        self._frames = decoded_frames(container, stream, Damage())
        self._next = 0

    def frame(self, number: int) -> av.VideoFrame:
        key = self._times.keyframe_before(number)
        if number < self._next or key > self._next:
            self._jump(key)
        while True:
            frame = self._step()
            if self._next > number:
                return frame

    def _step(self) -> av.VideoFrame:
        frame = next(self._frames, None)
        if frame is None or self._next >= self._times.count or frame.pts != self._times.pts[self._next]:
            raise Astray
        self._next += 1
        return frame

    def _jump(self, key: int) -> None:
        """Makes `key` the next frame; one key frame earlier where the file's index is a little late."""
        for start in (key, self._times.keyframe_before(key - 1)):
            try:
                self._container.seek(self._times.pts[start], stream=self._stream)
            except (av.FFmpegError, OSError):
                raise Astray from None
            self._frames = decoded_frames(self._container, self._stream, Damage())
            if self._skip_to(self._times.pts[key]):
                self._next = key
                return
        raise Astray

    def _skip_to(self, pts: int) -> bool:
        for frame in self._frames:
            if frame.pts is None or frame.pts > pts:
                return False
            if frame.pts == pts:
                self._frames = _chained(frame, self._frames)
                return True
        return False


def _chained(first: av.VideoFrame, rest: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    yield first
    yield from rest
