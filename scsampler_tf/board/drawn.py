"""When pictures are drawn, and of which videos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.index import VideoRecord

MOST = 10  # pictures of one kind; TensorBoard keeps as many of a tag, unless told otherwise
VIDEOS = 4


def drawn_epochs(epochs: int, most: int = MOST) -> frozenset[int]:
    """The epochs, counted from 1, after which is drawn: the first, the last and evenly spaced ones between.

    They follow from the training's length alone, so a training that goes on keeps to them.
    """
    if epochs < 1:
        return frozenset()
    return frozenset(np.linspace(1, epochs, min(most, epochs)).round().astype(int).tolist())


def shown_videos(videos: Sequence[VideoRecord], count: int = VIDEOS) -> list[VideoRecord]:
    """Up to `count` videos, of different classes as far as there are any; the same for the same list.

    Of more classes than that evenly spaced ones are taken, by name; of a class its first videos.
    """
    by_class: dict[str, list[VideoRecord]] = {}
    for video in videos:
        by_class.setdefault(video.label, []).append(video)
    names = sorted(by_class)
    if len(names) > count:
        names = [names[place] for place in np.linspace(0, len(names) - 1, count).round().astype(int)]
    longest = max((len(by_class[name]) for name in names), default=0)
    rounds = [by_class[name][turn] for turn in range(longest) for name in names if turn < len(by_class[name])]
    return rounds[:count]


def name_of(number: int, video: VideoRecord) -> str:
    """What a video is called in TensorBoard; its number keeps names apart."""
    return f"{number} {video.label} {Path(video.path).name}"[:80]
