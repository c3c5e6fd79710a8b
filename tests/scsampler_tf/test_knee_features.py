"""Features with other settings under the run's names, and how long they take."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.index import FeatureIndex
from pipelines.manifest import Refusal, read_manifest
from pipelines.settings import FeatureSettings
from scsampler_tf import knee_extraction
from scsampler_tf.knee_features import features_like, named_as, require_clips_of, write_manifest
from scsampler_tf.tables import ScoreTable
from tests import media
from tests.scsampler_tf.records import record

OWN = FeatureSettings(clip_frames=10, canvas=64, residual_size=32, iframe_size=32)
ONE = dataclasses.replace(OWN, residual_size=16, residual_frames=1, md_frames=1)


def index(folder, *videos, refused=()):
    return FeatureIndex(Path(folder), OWN, ["a", "b"], list(videos), list(refused), "from the manifest")


def test_the_manifest_holds_the_usable_videos_with_their_splits(tmp_path):
    odd = record("1", label='"big", red', split="val", path=str(tmp_path / "with, comma.mp4"))
    write_manifest(index("own", record("0", split="train"), odd), tmp_path / "manifest.csv")
    rows, refused = read_manifest(tmp_path / "manifest.csv")
    assert [(str(row.path), row.label, row.split) for row in rows] == [
        ("/videos/0.mp4", "a", "train"),
        (str(tmp_path / "with, comma.mp4"), '"big", red', "val"),
    ]
    assert not refused


def test_other_features_go_by_the_runs_names(tmp_path):
    own = index("own", record("x", label="b", split="val", segments=[[0, 1]]), record("y"))
    other = index(
        "other",
        record("2", path="/videos/y.mp4", shard="shards/2.tfrecord"),
        record("1", path="/videos/x.mp4", label="a", policy="transcode", shard="shards/1.tfrecord"),
    )
    found = named_as(own, other)
    assert [(v.video_id, v.label, v.split, v.segments) for v in found.videos] == [
        ("x", "b", "val", [[0, 1]]),
        ("y", "a", "test", None),
    ]
    assert found.shard_path(found.videos[0]) == "other/shards/1.tfrecord"
    assert found.videos[0].policy == "transcode"


def test_other_videos_and_other_clips_are_refused():
    own = index("own", record("x"))
    reason = Refusal("/videos/x.mp4", "x.mp4: cannot be decoded")
    with pytest.raises(UserError, match=r"other: lacks a video of the run \(x.mp4: cannot be decoded\)"):
        named_as(own, index("other", record("y"), refused=[reason]))
    with pytest.raises(UserError, match=r"x\.mp4: has 41 frames and 4 clips in other, but 40 and 4 in own"):
        named_as(own, index("other", record("x", frames=41)))
    other = dataclasses.replace(OWN, clip_frames=20)
    with pytest.raises(UserError, match="other clip_frames than the run's"):
        features_like(own, Path("other"), other, Path("m.csv"), workers=0, quiet=True)


def test_scores_of_other_clips_are_refused():
    videos = index("own", record("x", split="train"), record("y"))
    table = ScoreTable("classifier", {"x": np.zeros((4, 2)), "y": np.zeros((4, 2))}, {})
    require_clips_of(table, videos)
    with pytest.raises(UserError, match=r"'classifier': 3 clips of /videos/y\.mp4, which has 4 in own"):
        require_clips_of(dataclasses.replace(table, values={**table.values, "y": np.zeros((3, 2))}), videos)
    with pytest.raises(UserError, match="'classifier': no train video of own has scores"):
        require_clips_of(dataclasses.replace(table, values={"y": np.zeros((4, 2))}), videos)


def test_videos_are_spread_over_the_split():
    videos = [record(str(number)) for number in range(9)]
    paths = [f"/videos/{number}.mp4" for number in (0, 2, 4, 6, 8)]
    assert knee_extraction.some_videos(videos) == paths
    assert knee_extraction.some_videos(videos[:2]) == ["/videos/0.mp4", "/videos/1.mp4"]


def test_seconds_are_medians_over_rounds_of_all_videos_by_clip(monkeypatch):
    """Videos of 2 and 3 clips take 1 s a clip, with small residuals half of it; the second round is slow."""
    clock, calls = [0.0], []

    def read(path, settings):
        calls.append((path, settings))
        clips = {"a": 2, "b": 3}[path]
        slow = 10 if 4 <= len(calls) - 2 < 8 else 1  # the first call is no measurement
        clock[0] += clips * slow * (0.5 if settings == ONE else 1.0)
        return clips

    monkeypatch.setattr(knee_extraction, "_pass", read)
    monkeypatch.setattr(knee_extraction, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    found = knee_extraction.measured(["a", "b"], [OWN, ONE], rounds=3)
    assert found["seconds_per_clip"] == {OWN.digest(): 1.0, ONE.digest(): 0.5}
    assert (found["clips"], found["videos"], found["rounds"]) == (5, ["a", "b"], 3)
    assert calls[1:5] == [("a", OWN), ("a", ONE), ("b", OWN), ("b", ONE)]  # in turns
    assert len(calls) == 1 + 2 * 2 * 3


def test_what_was_measured_is_kept_until_something_new_is_asked_for(tmp_path):
    video = tmp_path / "pan.mp4"
    media.write_video(video, media.pan(30, 96, 80, (3, 0), 0), media.MPEG4)
    path = tmp_path / "extraction.json"
    first = knee_extraction.note_extraction(path, [str(video)], [OWN])
    assert first["clips"] == 3
    assert first["seconds_per_clip"][OWN.digest()] > 0
    assert knee_extraction.note_extraction(path, [str(video)], [OWN]) == first
    both = knee_extraction.note_extraction(path, [str(video)], [OWN, ONE])
    assert set(both["seconds_per_clip"]) == {OWN.digest(), ONE.digest()}
    video.unlink()
    assert knee_extraction.note_extraction(path, [str(video)], [ONE]) == both
    with pytest.raises(UserError, match=r"pan\.mp4"):
        knee_extraction.note_extraction(path, [str(video)], [dataclasses.replace(ONE, md_frames=2)])
