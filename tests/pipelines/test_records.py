import pytest
import tensorflow as tf

from pipelines.records import BYTES_FIELDS, ClipRecord, parse, write_shard


def record(clip, log_mel=b"sound"):
    times = 0.5 * clip, 0.5 * clip + 0.5
    return ClipRecord("v-1", clip, *times, b"motion", b"residual", b"iframe", log_mel, "scaled")


def test_clips_come_back_in_order(tmp_path):
    path = str(tmp_path / "v.tfrecord")
    assert write_shard(path, (record(clip, b"" if clip == 1 else b"sound") for clip in range(3))) == 3
    clips = [parse(serialized, BYTES_FIELDS) for serialized in tf.data.TFRecordDataset(path)]
    assert [int(clip["clip"]) for clip in clips] == [0, 1, 2]
    assert clips[2]["times_s"].numpy().tolist() == [1.0, 1.5]
    assert [clip["log_mel"].numpy() for clip in clips] == [b"sound", b"", b"sound"]
    assert [clips[0][name].numpy() for name in ("md", "rgb_r", "iframe")] == [
        b"motion",
        b"residual",
        b"iframe",
    ]


def test_only_the_named_fields_are_parsed(tmp_path):
    path = str(tmp_path / "v.tfrecord")
    write_shard(path, [record(0)])
    data = tf.data.TFRecordDataset(path).map(lambda serialized: parse(serialized, ("md",)))
    assert set(data.element_spec) == {"md", "clip", "times_s"}
    assert next(iter(data))["md"].numpy() == b"motion"


def test_the_same_clip_gives_the_same_bytes():
    assert record(1).serialize() == record(1).serialize()


def test_video_and_policy_are_named_in_every_clip():
    example = tf.train.Example.FromString(record(4).serialize())
    assert example.features.feature["video_id"].bytes_list.value[0] == b"v-1"
    assert example.features.feature["policy"].bytes_list.value[0] == b"scaled"
    assert set(example.features.feature) == {*BYTES_FIELDS, "video_id", "clip", "times_s", "policy"}


def test_a_writer_that_fails_passes_the_fault_on(tmp_path):
    def clips():
        yield record(0)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_shard(str(tmp_path / "v.tfrecord"), clips())
