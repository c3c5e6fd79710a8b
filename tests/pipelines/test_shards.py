"""Records by their places, and sentences for shards that are broken."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipelines.datasets import feature_clips
from pipelines.errors import UserError
from pipelines.prepare import prepare
from pipelines.settings import FeatureSettings
from pipelines.shards import all_offsets, record_offsets, records_at, shard_failure
from tests import media

SETTINGS = FeatureSettings(clip_frames=4, canvas=32, residual_size=16, iframe_size=16)


@pytest.fixture
def index(tmp_path):
    for number, frames in enumerate((40, 12)):
        media.write_video(tmp_path / f"{number}.mp4", media.noise(frames, seed=number))
    (tmp_path / "m.csv").write_text("path,label,split\n0.mp4,a,train\n1.mp4,b,train\n")
    return prepare(tmp_path / "m.csv", tmp_path / "out", SETTINGS, workers=0, quiet=True)


def lost(message="corrupted record at 12"):
    return tf.errors.DataLossError(None, None, message)


def test_records_are_found_where_they_begin(index):
    for video, offsets in zip(index.videos, all_offsets(index, index.videos), strict=True):
        path = index.shard_path(video)
        whole = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
        assert offsets.tolist() == [sum(16 + len(each) for each in whole[:n]) for n in range(len(whole))]
        chosen = [0, len(whole) - 1]
        read = records_at(tf.constant(path), tf.constant(offsets[chosen]))
        assert list(read.as_numpy_iterator()) == [whole[place] for place in chosen]


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_shard_that_ends_early_is_broken(index, cut):
    video = index.videos[0]
    path = Path(index.shard_path(video))
    path.write_bytes(path.read_bytes()[: -int(cut)])
    with pytest.raises(UserError, match="or the file ends in the middle of one; delete it"):
        record_offsets(index, video)


def test_clips_that_are_missing_at_the_end_are_noticed(index):
    """Cut between two records, which TensorFlow takes for a shorter file."""
    video = index.videos[0]
    path, offsets = Path(index.shard_path(video)), record_offsets(index, video)
    path.write_bytes(path.read_bytes()[: offsets[7]])
    with pytest.raises(UserError, match="has 7 records of 10; delete it"):
        record_offsets(index, video)
    with pytest.raises(tf.errors.OpError) as caught:
        list(feature_clips(index, video, "md", 4))
    assert "has 7 records of 10" in str(shard_failure(caught.value, index, index.videos))


def test_all_broken_shards_are_named(index):
    first, second = (Path(index.shard_path(video)) for video in index.videos)
    assert shard_failure(lost(), index, index.videos) is None
    values = bytearray(first.read_bytes())
    values[record_offsets(index, index.videos[0])[2] + 30] ^= 1
    first.write_bytes(values)
    second.unlink()
    told = str(shard_failure(lost(), index, index.videos))
    assert told.startswith(f"{first}: record 3 is broken; delete it")
    assert told.endswith(f"(1 more: {second})")
    assert shard_failure(ValueError("other"), index, index.videos) is None
    memory = tf.errors.ResourceExhaustedError(None, None, "OOM")
    assert shard_failure(memory, index, index.videos) is None


def test_clips_of_another_order_are_broken(index):
    path = Path(index.shard_path(index.videos[1]))
    offsets = record_offsets(index, index.videos[1])
    values = path.read_bytes()
    parts = np.split(np.frombuffer(values, np.uint8), offsets[1:])
    path.write_bytes(b"".join(part.tobytes() for part in parts[::-1]))
    assert "record 1 is of another clip" in str(shard_failure(lost(), index, index.videos))
