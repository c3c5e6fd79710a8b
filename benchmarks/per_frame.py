"""What a frame costs: motion and residuals of every frame against a bare decode of the same file."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.timing import ratios
from pipelines.damage import Damage
from pipelines.frame_features import FrameFeatures
from pipelines.iframes import iframes
from pipelines.motion import VECTOR
from pipelines.motion_source import FOR_VECTORS, StreamMotion
from pipelines.policy import motion_policy
from pipelines.video_file import decoded_frames, opened_pictures, probe

try:
    from mvextractor.videocap import VideoCap
except ImportError:  # an optional dependency: pip install "scsampler-tf[bench]"
    VideoCap = None

COLUMNS = ("source", "w", "h", "src_x", "src_y", "dst_x", "dst_y", "motion_x", "motion_y", "motion_scale")


def decode(path: Path) -> int:
    """A bare decode in one thread; returns the number of frames."""
    count = 0
    with opened_pictures(path) as (container, stream):
        for packet in container.demux(stream):
            for _ in packet.decode():
                count += 1
    return count


def rows(path: Path, rounds: int) -> dict:
    """Milliseconds a frame of a bare decode, and the ratio of each way of reading to it."""
    count = decode(path)
    base_s, found = ratios(lambda: decode(path), variants(path), rounds)
    stream = probe(path)
    return {
        "file": path.name,
        "stream": f"{stream.codec} {stream.width}x{stream.height}{' with B-frames' * stream.has_b_frames}",
        "frames": count,
        "decode_ms": base_s / count * 1000,
        "ratios": found,
    }


def variants(path: Path) -> dict[str, Callable[[], object]]:
    """Everything that is compared with a bare decode, by name."""

    def features(mode: str, share: int | None = None) -> Callable[[], object]:
        return lambda: [None for _ in FrameFeatures(path, mode, share).batches()]

    found = {
        "MD, fast": features("fast"),
        "MD + RGB-R full": features("fast", 1),
        "MD + RGB-R half": features("fast", 2),
        "MD + RGB-R quarter": features("fast", 4),
        "MD, re-coded": features("transcode"),
        "I-frames": lambda: [None for _ in iframes(path, 112)],
    }
    if VideoCap and has_vectors(path):
        found |= {"vectors": lambda: own_vectors(path), "vectors, mv-extractor": lambda: their_vectors(path)}
    return found


def has_vectors(path: Path) -> bool:
    """Whether the decoder gives vectors for the stream."""
    return motion_policy(probe(path), "fast", path).name != "transcode"


def own_vectors(path: Path) -> list[np.ndarray]:
    """The vectors of every frame as arrays of `VECTOR`."""
    with opened_pictures(path) as (container, stream):
        source = StreamMotion(stream, FOR_VECTORS)
        frames = source.frames(decoded_frames(container, stream, Damage()))
        return [np.frombuffer(motion.field().records, VECTOR) for motion in frames]


def their_vectors(path: Path) -> list[np.ndarray]:
    """The same by mv-extractor, which hands out `[n, 10]` numbers a frame (without pictures)."""
    reader = VideoCap()
    reader.open(str(path))
    reader.set_decode_frames(False)
    found = []
    while (read := reader.read())[0]:
        found.append(np.asarray(read[2], np.int64).reshape(-1, len(COLUMNS)))
    reader.release()
    return found


def comparison(path: Path, readings: int = 5) -> dict | None:
    """Our vectors against several readings by mv-extractor, field by field; None without it.

    It decodes in several threads, and its vectors of streams with B-frames differ in a few frames from one
    reading to the next; ours, from one thread, never do. `equal` counts the frames in which at least one of
    its readings is ours, `unsteady` those in which they disagree among themselves.
    """
    if VideoCap is None:
        return None
    ours = [
        _digest(np.stack([frame[name].astype(np.int64) for name in COLUMNS], axis=1))
        for frame in own_vectors(path)
    ]
    theirs = [list(map(_digest, their_vectors(path))) for _ in range(readings)]
    if any(len(reading) != len(ours) for reading in theirs):
        return {"frames": len(ours), "equal": 0, "unsteady": 0}
    met = [set(digests) for digests in zip(*theirs, strict=True)]
    return {
        "frames": len(ours),
        "equal": sum(mine in digests for mine, digests in zip(ours, met, strict=True)),
        "unsteady": sum(len(digests) > 1 for digests in met),
    }


def _digest(vectors: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).digest()
