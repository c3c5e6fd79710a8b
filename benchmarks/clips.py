"""What a few chosen clips cost: found by seeking, against decoding the whole file."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.per_frame import decode
from benchmarks.timing import ratios
from pipelines.frame_times import FrameTimes
from pipelines.survey import survey
from pipelines.video import decode_clips

CLIPS, FRAMES, SIZE = 10, 16, 112


def rows(path: Path, rounds: int) -> dict:
    """How much faster ten clips are than the whole file, for several draws of places."""
    timing = survey(path).timing

    def read(seed: int) -> Callable[[], object]:
        wanted = draw(timing, seed)
        return lambda: list(decode_clips(path, wanted, SIZE, timing))

    variants = {str(seed): read(seed) for seed in range(3)}
    base_s, found = ratios(lambda: decode(path), variants, rounds)
    share = median(found.values())
    return {
        "file": path.name,
        "frames": timing.count,
        "gop": max(np.diff([*timing.keyframes, timing.count]).tolist()),
        "decode_s": base_s,
        "clips_s": base_s * share,
        "times_faster": 1 / share,
    }


def draw(timing: FrameTimes, seed: int) -> list[np.ndarray]:
    """Frame numbers `[16]` of ten clips of the clip plan, drawn without order."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(timing.count // FRAMES, CLIPS, replace=False))
    return [clip * FRAMES + np.arange(FRAMES) for clip in chosen]
