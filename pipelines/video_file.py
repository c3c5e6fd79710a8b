"""Video files: opening and probing them, and all their frames in order."""

import contextlib
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from os import PathLike
from pathlib import Path

import av

from pipelines.damage import Damage
from pipelines.demuxing import packets
from pipelines.errors import VideoError
from pipelines.frame_times import measured_rate
from pipelines.geometry import Geometry, frame_geometry

DEFAULT_FPS = 25.0
PLAUSIBLE_FPS = (1, 240)  # headers outside tell a clock rate, or nothing
MEASURED_FPS = (1 / 60, 1000)  # timestamps outside are damaged
GOP_HEADER_ONLY = ("mpeg1video", "mpeg2video")  # their headers do not tell whether B-frames are used
PEEK_FRAMES = 16
WITHOUT_PIXELS = {"skip_idct": "all", "skip_loop_filter": "all"}  # where only what frames say is of interest
TEXT_CODECS = ("ansi", "bintext", "xbin", "idf")  # FFmpeg reads plain text as terminal pictures
PLAYLISTS = (b"#EXTM3U", b"ffconcat version", b"<MPD")  # read as video they may never end
HEAD = 512  # bytes in which a playlist shows itself
LARGEST = 8192, 4352  # width and height of 8K as it is coded; a wrong bit in a header may tell anything
MOST_ERRORS = 16  # in a row, until reading is given up
MOST_STALLS = 10_000  # packets in a row that neither give a frame nor lead any further
NO_PICTURES = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails


@dataclass(frozen=True)
class VideoStream:
    """What a file says about its pictures. Width and height are as coded, before the rotation.

    `rotation`, `mirrored` and `aspect` (a pixel's width over its height) are those of `geometry`.
    `interlaced` frames hold two half pictures; they are read as they are, as one picture each.
    `bits` is the depth of a sample, `bit_rate` in bits a second, `video_streams` counts cover pictures too.
    """

    codec: str
    width: int
    height: int
    fps: float
    rotation: int
    has_b_frames: bool
    has_audio: bool
    duration_s: float | None
    mirrored: bool = False
    aspect: Fraction = Fraction(1)
    interlaced: bool = False
    pixel_format: str = "yuv420p"
    bits: int = 8
    profile: str | None = None
    bit_rate: int | None = None
    container: str = ""
    video_streams: int = 1

    @property
    def geometry(self) -> Geometry:
        """How a player shows the pictures."""
        return Geometry(self.rotation, self.mirrored, self.aspect)


def open_video(path: str | PathLike) -> av.container.InputContainer:
    """Opens a file that has a video stream; the caller closes it.

    Raises `VideoError` for a missing, empty or unreadable file, a playlist, anything that is no regular
    file, and for a file without pictures.
    """
    path = Path(path)
    _require_video_file(path)
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


def _require_video_file(path: Path) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait for its writer
            raise VideoError(f"{path}: is not a file; give a video file")
        if status.st_size == 0:
            raise VideoError(f"{path}: the file is empty; fetch it again or leave it out")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        raise VideoError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # a name that is too long, or no right to read
        raise VideoError(f"{path}: cannot be opened ({_reason(error)})") from None
    if any(mark in head for mark in PLAYLISTS):
        raise VideoError(f"{path}: is a playlist, not a video; give the videos that it names")


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
    """The video stream that a player shows, set to one thread.

    That is the one marked as default, of several the one with the largest pictures, the first of equals.
    Cover pictures and thumbnails do not count.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & NO_PICTURES]
    if not streams:
        raise VideoError(f"{path}: has no video stream; leave it out")
    readable = [stream for stream in streams if stream.codec_context is not None]
    if not readable:
        raise VideoError(f"{path}: no decoder for its video stream; convert it to H.264")
    stream = max(readable, key=_prominence)
    if stream.codec_context.name in TEXT_CODECS:
        raise VideoError(f"{path}: is a text, not a video; leave it out")
    _bound(stream.codec_context)
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"  # several threads corrupt the motion vectors of B-frames
    return stream


def _bound(context: av.VideoCodecContext) -> None:
    """Makes the decoder fail on pictures beyond `LARGEST`, wherever in the stream they come."""
    most = LARGEST[0] * LARGEST[1]
    context.options = {"max_pixels": str(most)}
    if context.width * context.height > most:  # may be that of one damaged place; other frames tell theirs
        context.width = context.height = 0


def _prominence(stream: av.VideoStream) -> tuple[bool, int]:
    context = stream.codec_context
    return bool(stream.disposition & av.stream.Disposition.default), context.width * context.height


def frame_rate(stream: av.VideoStream, pts: Sequence[int | None] = ()) -> float:
    """Frames a second: as the header tells, else as `pts`, timestamps of consecutive frames, do; else 25."""
    rates = (stream.average_rate, stream.guessed_rate)
    told = next((float(rate) for rate in rates if rate and _within(rate, PLAUSIBLE_FPS)), None)
    measured = measured_rate(pts, stream.time_base)
    return told or (measured if measured and _within(measured, MEASURED_FPS) else DEFAULT_FPS)


def _within(rate: float | Fraction, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= rate <= bounds[1]


def probe(path: str | PathLike) -> VideoStream:
    """Reads a file's header and first frames.

    Raises `VideoError` as `open_video`, and when not one frame can be decoded.
    """
    with opened_pictures(path) as (container, stream):
        context = stream.codec_context
        context.options = {**context.options, **WITHOUT_PIXELS}
        frames = decoded_frames(container, stream, Damage())
        first = next(frames, None)
        if first is None:
            raise VideoError(
                f"{path}: no frame of its {context.name} stream can be decoded, or all have more than "
                f"{LARGEST[0]}x{LARGEST[1]} pixels; leave it out"
            )
        geometry = frame_geometry(first, stream)
        peek = [_Glance(first), *map(_Glance, islice(frames, PEEK_FRAMES - 1))]
        reorders = bool(context.has_b_frames) and context.name not in GOP_HEADER_ONLY
        return VideoStream(
            codec=context.name,
            width=first.width,
            height=first.height,
            fps=frame_rate(stream, [glance.pts for glance in peek]),
            rotation=geometry.rotation,
            has_b_frames=reorders or any(glance.is_b for glance in peek),
            has_audio=bool(container.streams.audio),
            duration_s=_duration(container, stream),
            mirrored=geometry.mirrored,
            aspect=geometry.aspect,
            interlaced=any(glance.interlaced for glance in peek),
            pixel_format=first.format.name,
            bits=max(part.bits for part in first.format.components),
            profile=context.profile,
            bit_rate=min(filter(None, (context.bit_rate, container.bit_rate)), default=None),
            container=container.format.name,
            video_streams=len(container.streams.video),
        )


class _Glance:
    """What `probe` wants to know of each of the first frames; their pixels are let go."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self.pts = frame.pts
        self.is_b = frame.pict_type == av.video.frame.PictureType.B
        self.interlaced = bool(frame.interlaced_frame)


def decoded_frames(
    container: av.container.InputContainer, stream: av.VideoStream, damage: Damage
) -> Iterator[av.VideoFrame]:
    """All frames from the present position to the end, in display order.

    A packet that cannot be decoded is left out and counted in `damage`; when reading itself fails for
    good, or gets no further, the stream ends there.
    """
    stalls, furthest = 0, (-1, -1)
    for packet in _packets(container, stream, damage):
        if packet is None:
            with contextlib.suppress(av.FFmpegError):
                yield from stream.codec_context.decode(None)
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            damage.lost_packets += 1
            frames = []
        for frame in frames:
            damage.patched_frames += frame.is_corrupt
            yield frame
        if frames:
            stalls = 0
            continue
        place = max(furthest[0], packet.pos or -1), max(furthest[1], packet.dts or -1)
        stalls = stalls + 1 if place == furthest else 0
        furthest = place
        if stalls == MOST_STALLS:
            damage.notes.append("reading ends early: the file leads no further")
            return


def _packets(
    container: av.container.InputContainer, stream: av.VideoStream, damage: Damage
) -> Iterator[av.Packet | None]:
    """Packets to the end; where it is an early one, None tells that the decoder is to be emptied.

    After invalid data the demuxer may find its way again, so it is asked a few times more.
    """
    errors = 0
    while True:
        try:
            for packet in packets(container, stream):
                errors = 0
                yield packet
            return
        except (av.FFmpegError, OSError) as error:
            errors += 1
            if errors == MOST_ERRORS or not isinstance(error, av.InvalidDataError):
                damage.notes.append(f"reading ends early: {_reason(error)}")
                yield None
                return
            damage.lost_packets += errors == 1


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1_000_000


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
