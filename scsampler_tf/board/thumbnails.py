"""One small picture of a clip, decoded once and kept in bounded memory."""

import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np

from pipelines.clips import ClipPlan
from pipelines.decoding import ClipJob, decode_job
from pipelines.errors import VideoError
from pipelines.index import VideoRecord
from pipelines.settings import FeatureSettings

SIDE = 96  # pixels
MOST = 400  # pictures, 11 MB


class Thumbnails:
    """Pictures `[96, 96, 3]` uint8 of clips; of more than `most` those that were not asked for longest go."""

    def __init__(self, most: int = MOST):
        self._most = most
        self._kept: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()
        self._turn = threading.Lock()

    def known(self, video_id: str, clips: Iterable[int]) -> dict[int, np.ndarray]:
        """The pictures of those of the clips that are here."""
        with self._turn:
            found = {clip: self._kept[video_id, clip] for clip in clips if (video_id, clip) in self._kept}
            for clip in found:
                self._kept.move_to_end((video_id, clip))
        return found

    def keep(self, video_id: str, pictures: dict[int, np.ndarray]) -> None:
        """Takes in pictures by clip."""
        with self._turn:
            self._kept.update({(video_id, clip): picture for clip, picture in pictures.items()})
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def decoded(video: VideoRecord, settings: FeatureSettings, clips: list[int]) -> dict[int, np.ndarray]:
    """The middle frame of each of these clips, read by seeking; raises `VideoError`."""
    if not clips:
        return {}
    plan = ClipPlan(video.frames, settings.clip_frames, settings.clip_step)
    middles = [plan.frame_indices(clip)[settings.clip_frames // 2 :][:1] for clip in sorted(clips)]
    found = decode_job(ClipJob(video, middles, resize=SIDE, size=SIDE))
    if isinstance(found, VideoError):
        raise found
    return dict(zip(sorted(clips), found[:, 0], strict=True))
