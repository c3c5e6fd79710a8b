"""What samplers see of a video: motion, residuals, I-frames and sound of some of its clips."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.index import FeatureIndex, VideoRecord
from pipelines.unpack import unpack_features
from scsampler_tf.board.drawn import name_of
from scsampler_tf.board.input_pictures import ClipInputs, InputsJob, paint_inputs
from scsampler_tf.board.log import Log
from scsampler_tf.board.panel import VALIDATION, Panel
from scsampler_tf.config import RECORD_FIELDS
from scsampler_tf.evaluation_set import clips_in_action

CLIPS = 6  # beside each other


class InputPictures(Panel):
    """One video's clips as the samplers `kinds` get them, drawn once, before the first epoch."""

    def __init__(self, number: int, index: FeatureIndex, video: VideoRecord, kinds: Sequence[str]):
        self.name = f"picture of the inputs of {video.path}"
        self._tag = f"inputs/{name_of(number, video)}"
        self._index, self._video, self._kinds = index, video, tuple(kinds)

    def begin(self, log: Log) -> None:
        if not log.is_new:
            return
        title = f"{self._video.label}, {Path(self._video.path).name}: inputs of {', '.join(self._kinds)}"
        clips = clip_inputs(self._index, self._video, self._kinds)
        job = InputsJob(title, clips, self._index.settings.canvas)
        log.picture(VALIDATION, self._tag, 0, paint_inputs, job)


def clip_inputs(
    index: FeatureIndex, video: VideoRecord, kinds: Sequence[str], count: int = CLIPS
) -> list[ClipInputs]:
    """Evenly spaced clips of a video, from its shard; of several P-frames the middle one."""
    wanted = np.unique(np.linspace(0, video.clips - 1, min(count, video.clips)).round().astype(int))
    bounds = video.clip_bounds_s(index.settings.span)
    action = clips_in_action(video, index.settings.span)
    fields = dict.fromkeys(["iframe", *(RECORD_FIELDS[kind] for kind in kinds)])
    records = _records(index.shard_path(video), wanted)
    seen = {field: _middle_frames(field, records, index) for field in fields}
    return [
        ClipInputs(
            start_s=bounds[clip][0],
            in_action=bool(action[clip]),
            frames={field: frames(place) for field, frames in seen.items()},
        )
        for place, clip in enumerate(wanted)
    ]


def _records(path: str, wanted: np.ndarray) -> tf.Tensor:
    places = set(wanted.tolist())
    shard = tf.data.TFRecordDataset(path).take(int(wanted[-1]) + 1)
    return tf.stack([record for place, record in enumerate(shard) if place in places])


def _middle_frames(field: str, records: tf.Tensor, index: FeatureIndex) -> Callable[[int], np.ndarray | None]:
    """The middle one of a clip's frames, by the clip's place; None where it has none."""
    schema = {field: tf.io.FixedLenFeature([], tf.string)}
    data = tf.io.parse_example(records, schema)[field]
    frames, mask = (each.numpy() for each in unpack_features(field, data, index.settings))

    def of(place: int) -> np.ndarray | None:
        there = np.flatnonzero(mask[place])
        return frames[place, there[len(there) // 2]] if len(there) else None

    return of
