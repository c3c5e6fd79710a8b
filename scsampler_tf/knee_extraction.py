"""How long reading a video for its features takes, for several feature settings side by side.

All settings take turns on the same videos in one process, so what else the machine does meanwhile hits
all of them. Only the pass over the pictures is timed: no sound, no records, no network.
"""

import contextlib
import datetime
import itertools
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from pipelines.compressed import CompressedVideo
from pipelines.files import read_json, write_json
from pipelines.index import VideoRecord
from pipelines.settings import FeatureSettings

VIDEOS, CLIPS, ROUNDS = 5, 60, 3


def some_videos(videos: Sequence[VideoRecord], most: int = VIDEOS) -> list[str]:
    """Paths of up to `most` videos, spread evenly over the list."""
    places = np.linspace(0, len(videos) - 1, min(most, len(videos))).round().astype(int)
    return [videos[place].path for place in places]


def measured(paths: Sequence[str], settings: Sequence[FeatureSettings], rounds: int = ROUNDS) -> dict:
    """Seconds a clip for each of `settings` by its digest: medians over rounds, up to 60 clips a video.

    Raises `VideoError` for a file that cannot be read any more.
    """
    by_digest = {each.digest(): each for each in settings}
    _pass(paths[0], settings[0])  # the first one opens libraries and fills the file cache
    before = _load()
    seconds = {digest: np.zeros(rounds) for digest in by_digest}
    clips = 0
    for turn, path in itertools.product(range(rounds), paths):
        for digest, each in by_digest.items():
            began = time.perf_counter()
            found = _pass(path, each)
            seconds[digest][turn] += time.perf_counter() - began
        clips += 0 if turn else found
    return {
        "machine": _machine(),
        "load": [before, _load()],
        "videos": list(paths),
        "clips": clips,
        "rounds": rounds,
        "seconds_per_clip": {digest: float(np.median(each)) / clips for digest, each in seconds.items()},
    }


def note_extraction(path: Path, videos: Sequence[str], settings: Sequence[FeatureSettings]) -> dict:
    """`measured`, kept in the file `path`: measured anew, all together, when it lacks one of `settings`."""
    if path.exists():
        there = read_json(path)
        wanted = {each.digest() for each in settings}
        if there.get("videos") == list(videos) and wanted <= set(there["seconds_per_clip"]):
            return there
    found = measured(videos, settings)
    write_json(path, found)
    return found


def _pass(path: str, settings: FeatureSettings) -> int:
    """Reads the first clips of a video; how many there were."""
    with contextlib.closing(CompressedVideo(path, settings).clips()) as clips:
        return sum(1 for _ in itertools.islice(clips, CLIPS))


def _machine() -> dict:
    return {
        "date": datetime.date.today().isoformat(),
        "processors": os.cpu_count(),
        "kind": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "av": av.__version__,
    }


def _load() -> float | None:
    """How many processes wanted a processor in the last minute; None where that is not told."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
