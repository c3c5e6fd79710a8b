"""The TFRecord schema: one Example a clip, the clips of one video in order in one shard file."""

from collections.abc import Iterable
from dataclasses import dataclass

import tensorflow as tf

BYTES_FIELDS = ("md", "rgb_r", "iframe", "log_mel")


@dataclass(frozen=True)
class ClipRecord:
    """One clip as it is stored; the byte layouts are those of `pipelines.wire`, `policy` says where its
    motion comes from (`pipelines.policy`)."""

    video_id: str
    clip: int
    start_s: float
    end_s: float
    md: bytes
    rgb_r: bytes
    iframe: bytes
    log_mel: bytes
    policy: str

    def serialize(self) -> bytes:
        """The clip as a serialized `tf.train.Example`."""
        features = {name: _bytes(getattr(self, name)) for name in BYTES_FIELDS}
        features["video_id"] = _bytes(self.video_id.encode())
        features["policy"] = _bytes(self.policy.encode())
        features["clip"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[self.clip]))
        times = tf.train.FloatList(value=[self.start_s, self.end_s])
        features["times_s"] = tf.train.Feature(float_list=times)
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(
            deterministic=True
        )


def write_shard(path: str, clips: Iterable[ClipRecord]) -> int:
    """Writes the clips of one video and returns how many there were."""
    count = 0
    with tf.io.TFRecordWriter(path) as writer:
        for clip in clips:
            writer.write(clip.serialize())
            count += 1
    return count


def parse(serialized: tf.Tensor, fields: tuple[str, ...]) -> dict[str, tf.Tensor]:
    """The named fields of one serialized clip, plus `clip` (int64) and `times_s` `[2]` float32."""
    schema = {name: tf.io.FixedLenFeature([], tf.string) for name in fields}
    schema["clip"] = tf.io.FixedLenFeature([], tf.int64)
    schema["times_s"] = tf.io.FixedLenFeature([2], tf.float32)
    return tf.io.parse_single_example(serialized, schema)


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
