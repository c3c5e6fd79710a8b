"""Chosen frames of a video by their numbers, found by key-frame seeks and checked by their timestamps."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain

import av

from pipelines.demuxing import packets
from pipelines.frame_times import FrameTimes

MOST_REORDERED = 16  # frames that a decoder may hold back, the bound of H.264 and HEVC
EARLIER = (1, 3, 8)  # key frames to go back by, in turn, where a file's index is imprecise
# Codecs whose non-reference frames FFmpeg can leave undecoded without touching any other frame. Not HEVC:
# what it calls non-reference may still serve a higher temporal layer.
WITH_DISPOSABLE = ("h264", "mpeg1video", "mpeg2video", "mpeg4")
INTER = (av.video.frame.PictureType.P, av.video.frame.PictureType.B)


class Astray(Exception):
    """A frame is not where the recorded times say."""


class FrameSeeker:
    """Reads frames by number from a file that has just been opened.

    `numbers` are distinct and ascending, `times` seekable. Each frame is decoded once: reading goes on
    from one wanted frame to the next unless a key frame that has not been reached yet lies between
    them. Frames that are neither wanted nor referred to are not decoded at all (`skip_frame`); that
    decision is taken for each packet by its own timestamp, so the decoder's delay does not matter.
    """

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        times: FrameTimes,
        numbers: Sequence[int],
    ) -> None:
        self._container, self._stream, self._times = container, stream, times
        self._numbers = numbers
        self._wanted = {times.pts[number] for number in numbers if number < times.count}
        self._skipping = stream.codec_context.name in WITH_DISPOSABLE
        self._attempt = 0
        self._restart()
        self._next = 0

    def frames(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """Every wanted frame with its number, ascending. Raises `Astray` when one cannot be found."""
        for number in self._numbers:
            yield number, self._frame(number)

    def _frame(self, number: int) -> av.VideoFrame:
        if number >= self._times.count:
            raise Astray
        try:
            return self._read(number)
        except Astray:
            if not self._skipping:
                raise
        self._skipping = False
        self._next = self._times.count  # nowhere: forces a seek
        return self._read(number)

    def _read(self, number: int) -> av.VideoFrame:
        key = self._times.keyframe_before(number)
        # A seek costs less than decoding a frame, so any key frame ahead is worth one.
        ahead = self._starts(key)[self._attempt] > self._next and self._times.pts[key] > self._fed
        if ahead or number < self._next:
            self._seek(key)
        while self._next <= number:
            frame = self._step()
        if self._next != number + 1:
            raise Astray
        return frame

    def _step(self) -> av.VideoFrame:
        frame = self._pull()
        if frame is None or self._lost or self._damaged or frame.is_corrupt:
            raise Astray
        place = self._place(frame)
        if place is None or place < self._next or (place > self._next and not self._skipping):
            raise Astray
        self._next = place + 1
        return frame

    def _seek(self, key: int) -> None:
        """Makes `key`, or a key frame before it, the next frame."""
        starts = self._starts(key)
        while self._attempt < len(starts):  # what one seek of this file needed the next will need too
            try:
                self._container.seek(self._times.pts[starts[self._attempt]], stream=self._stream)
            except (av.FFmpegError, OSError):
                raise Astray from None
            self._restart()
            if self._land(key):
                return
            self._attempt += 1
        self._attempt = 0
        raise Astray

    def _starts(self, key: int) -> list[int]:
        """Frames to seek to, in turn, until one leads to `key`.

        Where a file has no index (MPEG-TS) FFmpeg goes by the time of decoding, so the key frame itself
        is missed by as much as frames are reordered; worse indexes may miss whole groups of pictures.
        """
        keyframes = self._times.keyframes
        place = bisect_right(keyframes, key) - 1
        earlier = [keyframes[max(place - back, 0)] for back in EARLIER] if place >= 0 else [0]
        return [key, max(key - MOST_REORDERED, 0), *earlier]

    def _land(self, key: int) -> bool:
        """Skips to the first key frame behind a seek; false if that is not `key` or one before it.

        Frames ahead of a key frame may refer to others before the place of the seek. Nor can decoding
        start from a P-frame that is flagged as a key frame (streams with periodic intra refresh).
        """
        while (frame := self._pull()) is not None:
            if frame.pts is None or frame.pts > self._times.pts[key]:
                return False
            place = self._place(frame) if frame.key_frame and frame.pict_type not in INTER else None
            if place is not None:
                self._frames = chain([frame], self._frames)
                self._next, self._lost = place, 0
                return True
        return False

    def _place(self, frame: av.VideoFrame) -> int | None:
        """The number of the frame recorded with exactly this timestamp and as much a key frame.

        Key frames are compared because the timestamps of some containers (AVI) are only counts of
        packets: behind damage they differ between reading through and seeking.
        """
        place = None if frame.pts is None else _index(self._times.pts, frame.pts)
        if place is None:
            return None
        is_key = _index(self._times.keyframes, place) is not None
        return place if is_key == frame.key_frame else None

    def _pull(self) -> av.VideoFrame | None:
        try:
            return next(self._frames, None)
        except (av.FFmpegError, OSError):
            raise Astray from None

    def _restart(self) -> None:
        self._frames = self._decoded()
        self._fed = -(2**63)
        self._lost = 0
        self._damaged = False

    def _unwanted(self, pts: int | None) -> bool:
        """Whether a packet is known to be that of a frame nobody asked for; not so half a frame's."""
        return pts is not None and pts not in self._wanted and _index(self._times.pts, pts) is not None

    def _decoded(self) -> Iterator[av.VideoFrame]:
        context = self._stream.codec_context
        for packet in packets(self._container, self._stream):
            context.skip_frame = "NONREF" if self._skipping and self._unwanted(packet.pts) else "DEFAULT"
            if packet.pts is not None:
                self._fed = max(self._fed, packet.pts)
            self._damaged |= packet.is_corrupt
            try:
                yield from packet.decode()
            except av.FFmpegError:
                self._lost += 1


def _index(ascending: Sequence[int], value: int) -> int | None:
    place = bisect_left(ascending, value)
    return place if place < len(ascending) and ascending[place] == value else None
