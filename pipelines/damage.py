"""What could not be read of a file, in words."""

import contextlib
from dataclasses import dataclass, field

import av

from pipelines.demuxing import packets
from pipelines.frame_times import NO_PTS, FrameTimes

COMPLETE = 0.95  # containers may count a few frames that are never shown (edit lists, empty packets)
# Containers whose header tells how long they are; FFmpeg guesses for the others from what is there.
ANNOUNCING = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv", "asf")


@dataclass
class Damage:
    """What could not be read; decoding goes on behind it."""

    lost_packets: int = 0
    patched_frames: int = 0
    notes: list[str] = field(default_factory=list)

    def check_count(self, read: int, announced: int) -> None:
        """Notes when clearly fewer frames were read than the file announces (0: it does not tell)."""
        if read < COMPLETE * announced:
            self.notes.append(f"only {read} of the {announced} frames that the file announces are in it")

    def check_seconds(self, read_s: float, announced_s: float) -> None:
        """Notes when the pictures end clearly before the file says."""
        if read_s < COMPLETE * announced_s:
            self.notes.append(
                f"the file announces {announced_s:.1f} s of video, {read_s:.1f} s could be read"
            )

    def sentences(self) -> list[str]:
        """The damage in words; empty for a sound file."""
        counted = []
        if self.lost_packets:
            counted.append(f"packets that could not be decoded and were left out: {self.lost_packets}")
        if self.patched_frames:
            counted.append(f"frames that are damaged and were patched by the decoder: {self.patched_frames}")
        return counted + self.notes


def check_complete(
    damage: Damage, container: av.container.InputContainer, stream: av.VideoStream, times: FrameTimes
) -> None:
    """Notes when a file that has been read to its end holds clearly less video than it announces.

    Without an announced number of frames the announced duration counts, unless sound or subtitles reach
    that far: then the pictures just end earlier. MPEG program and transport streams, raw streams and
    recordings that were never finished announce nothing.
    """
    ended_early = bool(damage.notes)
    if times.astray is not None:
        damage.notes.append(f"timestamps go astray at frame {times.astray}; the frame rate counts from there")
    if stream.frames:
        damage.check_count(times.count, stream.frames)
        return
    damage.notes += [f"no pictures between {start:.1f} and {end:.1f} s" for start, end in times.holes()]
    announced, own = _announced_s(container, stream)
    if not announced or not times.count:
        return
    start = 0.0 if times.pts[0] == NO_PTS else max(0.0, float(times.pts[0] * times.time_base))
    read = start + times.seconds(times.count)
    if read >= COMPLETE * announced:
        return
    if own or ended_early or _others_end_s(container, stream) < COMPLETE * announced:
        damage.check_seconds(read, announced)


def _announced_s(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float | None, bool]:
    """Seconds that the header announces, and whether it says so of the video stream itself."""
    if container.format.name not in ANNOUNCING:
        return None, False
    if stream.duration:
        return float(stream.duration * stream.time_base), True
    for name, value in stream.metadata.items():  # Matroska: hours, minutes and seconds
        with contextlib.suppress(ValueError):
            if name.startswith("DURATION"):  # a language may follow
                hours, minutes, seconds = map(float, value.split(":"))
                return hours * 3600 + minutes * 60 + seconds, True
    return (container.duration or 0) / av.time_base or None, False


def _others_end_s(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Where the last packet of the other streams ends, in seconds; the packets are not decoded."""
    end = 0.0
    options = {"protocol_whitelist": "file"}
    with (
        contextlib.suppress(av.FFmpegError, OSError),
        av.open(container.name, metadata_errors="replace", container_options=options) as again,
    ):
        others = [other for other in again.streams if other.index != stream.index]
        for packet in packets(again, *others) if others else ():
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end
