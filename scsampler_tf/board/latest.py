"""The saliency of some videos as validation has just measured it, so that it is not computed twice."""

from collections.abc import Callable, Iterable

import numpy as np

from pipelines.index import VideoRecord

Saliency = Callable[[VideoRecord], np.ndarray]


class LatestSaliency:
    """`saliency` of these videos, each remembered until it was asked for.

    What validation calls is `measure`; the object itself gives the remembered value, or computes it where
    another process has measured the video.
    """

    def __init__(self, saliency: Saliency, videos: Iterable[VideoRecord]):
        self._saliency, self._ids = saliency, {video.video_id for video in videos}
        self._latest: dict[str, np.ndarray] = {}

    def measure(self, video: VideoRecord) -> np.ndarray:
        """The saliency `[L]` of a video as it is now."""
        values = self._saliency(video)
        if video.video_id in self._ids:
            self._latest[video.video_id] = values
        return values

    def __call__(self, video: VideoRecord) -> np.ndarray:
        """The saliency `[L]` of a video as it was last measured, or as it is now."""
        values = self._latest.pop(video.video_id, None)
        return self._saliency(video) if values is None else values
