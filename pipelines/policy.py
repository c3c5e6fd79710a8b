"""Which motion a stream gets: its own vectors, its own divided by their reach, or those of a re-coding."""

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike

from pipelines.errors import VideoError
from pipelines.video_file import VideoStream

CODECS_WITH_VECTORS = ("mpeg4", "h264", "mpeg1video", "mpeg2video")
CODECS_WITHOUT_B_VECTORS = ("mpeg4",)  # FFmpeg exports zeros for its B-frames


@dataclass(frozen=True)
class Policy:
    """`name` is direct, scaled or transcode, `reason` says why in words.

    direct: the stream's own vectors, each of which refers to the frame before. scaled: the stream's own
    vectors, divided by the distance to the frame they refer to, future ones negated. transcode: the
    vectors of an in-memory re-coding to MPEG-4 part 2 without B-frames.
    """

    name: str
    reason: str


def motion_policy(stream: VideoStream, mode: str, path: str | PathLike) -> Policy:
    """The policy for a stream under the setting `features.motion` (auto, fast, direct or transcode).

    auto is faithful: the stream's own vectors only where each refers to the frame before. fast takes
    them wherever there are any. direct and transcode insist. Raises `VideoError` when direct is asked
    of a stream whose vectors are missing or refer to other frames.
    """
    if mode == "transcode":
        return Policy("transcode", "asked for")
    lack = _lack(stream)
    if mode == "direct":
        if lack:
            raise VideoError(f"{path}: {lack}; set features.motion to auto, fast or transcode")
        return Policy("direct", "asked for")
    if not lack:
        return Policy("direct", "I- and P-frames only: every vector refers to the frame before")
    if mode == "fast" and _has_vectors(stream):
        return Policy("scaled", f"{lack}; they are divided by that distance")
    return Policy("transcode", lack)


def unseen(policy: str, seen: Iterable[str]) -> list[str]:
    """A remark when a sampler that was trained on motion of the policies `seen` meets another one.

    It is a remark and no refusal: the policies measure the same thing, some less exactly than others.
    """
    seen = sorted(seen)
    if not seen or policy in seen:
        return []
    return [
        f"motion is taken by '{policy}', which the sampler has not met in training "
        f"({', '.join(seen)}): expect it to choose less well"
    ]


def _has_vectors(stream: VideoStream) -> bool:
    if stream.codec not in CODECS_WITH_VECTORS:
        return False
    return not (stream.has_b_frames and stream.codec in CODECS_WITHOUT_B_VECTORS)


def _lack(stream: VideoStream) -> str:
    """Why the stream's vectors are not simply the motion since the frame before; empty when they are."""
    if stream.codec not in CODECS_WITH_VECTORS:
        return f"{stream.codec} gives no motion vectors"
    if not _has_vectors(stream):
        return f"B-frames of {stream.codec} give no motion vectors"
    if stream.has_b_frames:
        return "vectors of a stream with B-frames refer to frames further away"
    if stream.interlaced:
        return "vectors of an interlaced stream refer to half pictures"
    return ""
