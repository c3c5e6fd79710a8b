"""Video files: opening and probing them, and all their frames in order."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import av

from pipelines.errors import VideoError

DEFAULT_FPS = 25.0
GOP_HEADER_ONLY = ("mpeg1video", "mpeg2video")  # their headers do not tell whether B-frames are used
PEEK_FRAMES = 32
TEXT_CODECS = ("ansi", "bintext", "xbin", "idf")  # FFmpeg reads plain text as terminal pictures
COMPLETE = 0.95  # containers may count a few frames that are never shown (edit lists, empty packets)


@dataclass(frozen=True)
class VideoStream:
    """What a file says about its pictures. Width and height are as coded, before the rotation.

    `rotation` is what a player applies, in degrees counter-clockwise, a multiple of 90.
    """

    codec: str
    width: int
    height: int
    fps: float
    rotation: int
    has_b_frames: bool
    has_audio: bool
    duration_s: float | None


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

    def sentences(self) -> list[str]:
        """The damage in words; empty for a sound file."""
        counted = []
        if self.lost_packets:
            counted.append(f"packets that could not be decoded and were left out: {self.lost_packets}")
        if self.patched_frames:
            counted.append(f"frames that are damaged and were patched by the decoder: {self.patched_frames}")
        return counted + self.notes


def open_video(path: str | PathLike) -> av.container.InputContainer:
    """Opens a file that has a video stream; the caller closes it.

    Raises `VideoError` for a missing, empty or unreadable file and for one without pictures.
    """
    path = Path(path)
    if not path.exists():
        raise VideoError(f"{path}: no such file")
    if not path.is_file():
        raise VideoError(f"{path}: is not a file; give a video file")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty; fetch it again or leave it out")
    try:
        # Names with a colon stay names, and a playlist cannot make FFmpeg fetch things from elsewhere.
        container = av.open(
            f"file:{path}", metadata_errors="replace", container_options={"protocol_whitelist": "file"}
        )
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path}: not a readable video ({_reason(error)}); fetch it again or leave it out"
        ) from None
    try:
        picture_stream(container, path)
    except VideoError:
        container.close()
        raise
    return container


@contextlib.contextmanager
def opened_pictures(path: str | PathLike) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Opens a file for its pictures and closes it; what FFmpeg cannot convert becomes a `VideoError`."""
    with open_video(path) as container:
        try:
            yield container, picture_stream(container, path)
        except av.FFmpegError as error:
            raise VideoError(
                f"{path}: its pictures cannot be converted ({_reason(error)}); convert it to H.264"
            ) from None


def picture_stream(container: av.container.InputContainer, path: str | PathLike) -> av.VideoStream:
    """The first video stream that is no cover picture, set to one thread."""
    attached = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & attached]
    if not streams:
        raise VideoError(f"{path}: has no video stream; leave it out")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoError(f"{path}: no decoder for its video stream; convert it to H.264")
    if stream.codec_context.name in TEXT_CODECS:
        raise VideoError(f"{path}: is a text, not a video; leave it out")
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"  # several threads corrupt the motion vectors of B-frames
    return stream


def frame_rate(stream: av.VideoStream) -> float:
    """Frames a second as far as the file tells, else 25."""
    return float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)


def probe(path: str | PathLike) -> VideoStream:
    """Reads a file's header and first frames.

    Raises `VideoError` as `open_video`, and when not one frame can be decoded.
    """
    with opened_pictures(path) as (container, stream):
        context = stream.codec_context
        frames = decoded_frames(container, stream, Damage())
        first = next(frames, None)
        if first is None:
            raise VideoError(f"{path}: no frame of its {context.name} stream can be decoded; leave it out")
        has_b_frames = bool(context.has_b_frames)
        if has_b_frames and context.name in GOP_HEADER_ONLY:
            peeked = (frame for _, frame in zip(range(PEEK_FRAMES), frames, strict=False))
            has_b_frames = any(frame.pict_type == av.video.frame.PictureType.B for frame in peeked)
        return VideoStream(
            codec=context.name,
            width=first.width,
            height=first.height,
            fps=frame_rate(stream),
            rotation=frame_rotation(first),
            has_b_frames=has_b_frames,
            has_audio=bool(container.streams.audio),
            duration_s=_duration(container, stream),
        )


def frame_rotation(frame: av.VideoFrame) -> int:
    """Degrees counter-clockwise that a player turns the frame by, to the nearest multiple of 90."""
    return round(frame.rotation / 90) * 90 % 360


def decoded_frames(
    container: av.container.InputContainer, stream: av.VideoStream, damage: Damage
) -> Iterator[av.VideoFrame]:
    """All frames from the present position to the end, in display order.

    A packet that cannot be decoded is left out and counted in `damage`; when reading itself fails the
    stream ends there.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError) as error:
            damage.notes.append(f"reading ends early: {_reason(error)}")
            with contextlib.suppress(av.FFmpegError):
                yield from stream.codec_context.decode(None)
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            damage.lost_packets += 1
            continue
        for frame in frames:
            damage.patched_frames += frame.is_corrupt
            yield frame


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1_000_000


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
