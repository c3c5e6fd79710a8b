"""When a video's frames are shown, found without decoding them where packets alone tell it."""

from array import array
from itertools import pairwise
from os import PathLike

import av

from pipelines.damage import Damage
from pipelines.demuxing import packets
from pipelines.frame_times import FrameTimes
from pipelines.video_file import decoded_frames, frame_rate, opened_pictures

# Codecs of which a packet is one shown frame. Not VP8: its packets may hold pictures that are never shown.
ONE_FRAME_A_PACKET = ("h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg", "vp9", "libdav1d")
EMPTY_MPEG4 = 19  # bytes; up to this size an MPEG-4 packet may say "as before" and give no frame


class NotPlain(Exception):
    """Packets and frames may differ."""


def scan_times(path: str | PathLike) -> FrameTimes:
    """The frame times and key frames of a file, as decoding all of it would give them.

    Packets are read and not decoded (a thirtieth of the time of decoding) as long as every one of them
    is a shown frame with a timestamp of its own. Whatever makes packets and frames differ costs decoding
    the whole file: missing, equal or unordered timestamps, edit lists, packets marked as damaged, a
    stream cut out of its middle, codecs with hidden frames. Damage that no packet is marked with stays
    unseen: then the times may list frames that do not decode. Raises `VideoError` as `open_video`.
    """
    with opened_pictures(path) as (container, stream):
        times = _demuxed(container, stream)
    return _decoded(path) if times is None else times


def _demuxed(container: av.container.InputContainer, stream: av.VideoStream) -> FrameTimes | None:
    """Times by packets; None where they may not be those of the decoded frames."""
    if stream.codec_context.name not in ONE_FRAME_A_PACKET:
        return None
    try:
        coded, keys = _coded_times(container, stream)
    except (NotPlain, av.FFmpegError, OSError):
        return None
    shown = sorted(coded)
    if not shown or shown[0] != coded[0] or coded[0] not in keys:
        return None  # the first packets are not decodable
    if any(early == late for early, late in pairwise(shown)):
        return None
    if stream.codec_context.has_b_frames and shown == coded.tolist():
        return None  # times of decoding, not of showing (AVI)
    keyframes = [number for number, pts in enumerate(shown) if pts in keys]
    return FrameTimes(stream.time_base, shown, keyframes, frame_rate(stream))


def _coded_times(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[array, set[int]]:
    """The timestamps of all packets in the order of decoding, and those of the key frames."""
    coded, keys, last = array("q"), set(), None
    for packet in packets(container, stream):
        if packet.size == 0 and packet.pts is None:
            continue  # stands for the end
        if not _is_one_frame(packet, stream.codec_context.name, last):
            raise NotPlain
        if packet.is_keyframe:
            if len(keys) == 1 and not _starts_decoding(packet, stream.codec_context):
                raise NotPlain
            keys.add(packet.pts)
        last = packet.dts
        coded.append(packet.pts)
    return coded, keys


def _is_one_frame(packet: av.Packet, codec: str, last: int | None) -> bool:
    """Whether the packet is sound and its times are plausible; `last` is when the one before is decoded."""
    if packet.pts is None or packet.is_discard or packet.is_corrupt:
        return False
    if last is not None and (packet.dts is None or packet.dts <= last):
        return False
    if packet.dts is not None and packet.dts > packet.pts:
        return False
    return packet.size > (EMPTY_MPEG4 if codec == "mpeg4" else 0)


def _starts_decoding(packet: av.Packet, context: av.VideoCodecContext) -> bool:
    """Whether the decoder, too, calls this a key frame; not so in streams with periodic intra refresh."""
    try:
        frames = [*context.decode(packet), *context.decode(None)]
    except av.FFmpegError:
        return False
    return len(frames) == 1 and bool(frames[0].key_frame)


def _decoded(path: str | PathLike) -> FrameTimes:
    with opened_pictures(path) as (container, stream):
        times = FrameTimes(stream.time_base, [], [], frame_rate(stream))
        for frame in decoded_frames(container, stream, Damage()):
            times.add(frame.pts, bool(frame.key_frame))
    return times
