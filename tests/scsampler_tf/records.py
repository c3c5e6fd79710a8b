"""Video records and score sets made by hand."""

from fractions import Fraction

import numpy as np

from pipelines.index import VideoRecord
from pipelines.video import FrameTimes
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.tables import padded


def record(name: str, label: str = "a", split: str = "test", frames: int = 40, **changes) -> VideoRecord:
    """A video of 10 frames a second and clips of 10 frames."""
    times = FrameTimes(Fraction(1, 10), range(frames), [0], 10.0)
    values = {
        "video_id": name,
        "path": f"/videos/{name}.mp4",
        "label": label,
        "split": split,
        "clips": frames // 10,
        "frames": frames,
        "fps": 10.0,
        "duration_s": frames / 10,
        "has_audio": True,
        "codec": "h264",
        "policy": "direct",
        "shard": f"shards/{name}.tfrecord",
        "timing": times.to_dict(),
    }
    return VideoRecord(**{**values, **changes})


def two_class_set(labels, true_scores, visual=None, audio=None, action=None) -> EvaluationSet:
    """Scores of videos with two classes from rows of the true class' probability; NaN is no sound."""
    rows = []
    for label, own in zip(labels, true_scores, strict=True):
        row = np.stack([1 - np.float32(own), np.float32(own)], axis=1)
        rows.append(row if label == 1 else row[:, ::-1])
    probabilities, mask = padded(rows)
    sound = None if audio is None else padded([np.float32(row) for row in audio])[0]
    return EvaluationSet(
        videos=[record(str(number)) for number in range(len(rows))],
        labels=np.array(labels),
        probabilities=probabilities,
        mask=mask,
        visual=None if visual is None else padded([np.float32(row) for row in visual])[0],
        audio=None if sound is None else np.nan_to_num(sound),
        has_audio=np.zeros_like(mask) if sound is None else mask & ~np.isnan(sound),
        in_action=None if action is None else padded([np.float32(row) for row in action])[0] > 0,
        missing=[],
    )
