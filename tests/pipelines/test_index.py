import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.files import write_json
from pipelines.index import FeatureIndex, VideoRecord, load_index
from pipelines.manifest import Refusal
from pipelines.settings import FeatureSettings

SETTINGS = FeatureSettings(clip_frames=4)


def record(name, split="train", label="run", **changes):
    values = {
        "video_id": name, "path": f"/videos/{name}.mp4", "label": label, "split": split, "clips": 3,
        "frames": 11, "fps": 25.0, "duration_s": 0.44, "has_audio": True, "codec": "h264",
        "policy": "direct", "shard": f"shards/{name}.tfrecord",
        "timing": {"time_base": "1/25", "fps": 25.0, "keyframes": [0],
                   "pts": {"start": 0, "step": 1, "count": 11}},
    }  # fmt: skip
    return VideoRecord(**{**values, **changes})


@pytest.fixture
def index(tmp_path):
    videos = [
        record("a"),
        record("b", "val", "jump"),
        record("c", "test"),
        record("d", segments=[[0.5, 1.5]]),
    ]
    return FeatureIndex(tmp_path, SETTINGS, ["jump", "run"], videos, [Refusal("x.mp4", "empty")], "given")


def test_round_trip(index):
    write_json(index.folder / "index.json", index.to_dict())
    assert load_index(index.folder) == index
    assert load_index(str(index.folder), SETTINGS) == index
    values = json.loads((index.folder / "index.json").read_text())
    assert values["settings_digest"] == SETTINGS.digest()
    assert values["refused"] == [{"path": "x.mp4", "reason": "empty"}]


def test_lookups(index):
    assert [video.video_id for video in index.of_split("train")] == ["a", "d"]
    assert [video.video_id for video in index.of_split("test", "train")] == ["a", "c", "d"]
    assert [index.label_id(video) for video in index.videos] == [1, 0, 1, 1]
    assert index.shard_path(index.videos[0]) == str(index.folder / "shards" / "a.tfrecord")


def test_bounds_come_from_the_timestamps():
    np.testing.assert_allclose(
        record("a").clip_bounds_s(4), [(0, 0.16), (0.16, 0.32), (0.32, 0.44)]
    )  # the last clip ends with the video
    uneven = {"time_base": "1/10", "fps": 5.0, "keyframes": [0], "pts": [3, 4, 8, 9, 20]}
    bounds = record("a", clips=2, frames=5, timing=uneven).clip_bounds_s(2)
    np.testing.assert_allclose(bounds, [(0, 0.5), (0.5, 1.7)])


def test_folders_that_are_none(index, tmp_path):
    with pytest.raises(UserError, match=r"no index\.json here; make it with python -m pipelines\.prepare"):
        load_index(tmp_path)
    with pytest.raises(UserError, match=r"no index\.json here"):
        load_index(tmp_path / "nowhere")
    for text, message in (
        ("{", "not a readable JSON"),
        ("[]", "format None"),
        ('{"format": 99}', "format 99"),
    ):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(UserError, match=message):
            load_index(tmp_path)


def test_other_settings_are_named(index):
    write_json(index.folder / "index.json", index.to_dict())
    with pytest.raises(UserError, match="made with clip_frames=4, but clip_frames=16 is asked for"):
        load_index(index.folder, FeatureSettings())
