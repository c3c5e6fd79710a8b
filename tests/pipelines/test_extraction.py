import re
from pathlib import Path

import pytest

from pipelines import extraction
from pipelines.errors import UserError
from pipelines.extraction import (
    crashed,
    extract,
    fingerprint,
    is_final,
    make_index,
    note_name,
    require_settings,
    shard_name,
    stamped,
)
from pipelines.manifest import Refusal, Row
from pipelines.settings import FeatureSettings
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=4, clip_step=2, canvas=32, md_frames=0, residual_frames=2, residual_size=16, iframe_size=16
)
ROW = Row("sub/v.mp4", Path("/data/sub/v.mp4"), "run", "train", ((0.5, 1.0),))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return media.write_video(tmp_path_factory.mktemp("extraction") / "v.mp4", media.pan(16, 64, 48))


@pytest.fixture
def note(film, tmp_path):
    return extract(ROW, film, tmp_path / "v.tfrecord", SETTINGS)


def test_names_are_spread_over_folders_by_the_end_of_the_id():
    assert re.fullmatch(r"shards/([0-9a-f]{2})/v-[0-9a-f]{6}\1\.tfrecord", shard_name(ROW))
    assert re.fullmatch(r"videos/([0-9a-f]{2})/v-[0-9a-f]{6}\1\.json", note_name(ROW))


def test_a_shard_and_a_note(note, tmp_path):
    assert (note["status"], note["clips"], note["frames"]) == ("ok", 2, 16)
    # the row tells what the video is called, whatever file was read in its place
    assert (note["path"], note["label"], note["segments"]) == ("/data/sub/v.mp4", "run", [[0.5, 1.0]])
    assert note["shard"] == shard_name(ROW)
    assert (tmp_path / "v.tfrecord").stat().st_size > 0


def test_a_refused_video_leaves_no_shard(tmp_path):
    odd = media.text_file(tmp_path / "odd.mp4")
    note = extract(ROW, odd, tmp_path / "odd.tfrecord", SETTINGS)
    assert note["status"] == "refused"
    assert note["reason"].startswith(f"{odd}: ")
    assert not (tmp_path / "odd.tfrecord").exists()


def test_an_error_nobody_thought_of_costs_one_video(film, tmp_path, monkeypatch):
    def failing(*_):
        raise ZeroDivisionError("frame of no size")

    monkeypatch.setattr(extraction, "_clip_records", failing)
    told = f"{film}: stopped by ZeroDivisionError (frame of no size); leave it out"
    assert extract(ROW, film, tmp_path / "v.tfrecord", SETTINGS) == crashed(told)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_stops_the_run(film, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(extraction, "_clip_records", full)
    with pytest.raises(OSError, match="No space left"):
        extract(ROW, film, tmp_path / "v.tfrecord", SETTINGS)


def test_a_note_holds_for_one_state_of_the_file(note, film):
    source = fingerprint(film)
    assert is_final(stamped(note, source), source)
    assert not is_final(stamped(note, source), [source[0] + 1, source[1]])
    assert not is_final(stamped(note, source), None)
    assert fingerprint(film.with_name("none")) is None


def test_refusals_are_final_and_crashes_are_not():
    refused = stamped({"status": "refused", "reason": "no such file"}, None)
    assert is_final(refused, None)
    assert not is_final(refused, [1, 2])
    assert not is_final(stamped(crashed("the decoder crashed"), [1, 2]), [1, 2])


@pytest.mark.parametrize("lost", ["format", "source", "status", "timing", "fps"])
def test_notes_of_another_version_hold_for_nothing(note, lost):
    stored = stamped(note, [1, 2])
    del stored[lost]
    assert not is_final(stored, [1, 2])
    older = {**stamped(note, [1, 2]), "format": extraction.NOTE_FORMAT - 1}
    assert not is_final(older, [1, 2])
    assert not any(is_final(odd, [1, 2]) for odd in (None, [], "ok", 3, {"status": "ok"}))
    assert not is_final(stamped({"status": "refused"}, [1, 2]), [1, 2])


@pytest.mark.parametrize("found", [{"colour": 1}, [1], {"canvas": 100}, 3, None])
def test_settings_of_another_version_are_refused_in_a_sentence(found):
    with pytest.raises(UserError, match=r"^out: its settings\.json is of another version .*; use another"):
        require_settings(found, SETTINGS, "out")


def test_an_index_of_notes(note):
    other = Row("odd.mp4", Path("/data/odd.mp4"), "sit", "test")
    notes = {ROW.video_id: note, other.video_id: crashed("odd.mp4: the decoder crashed")}
    refused = [Refusal("line 4", "m.csv line 4: label is missing")]
    index = make_index([ROW, other], refused, notes, "out", SETTINGS, seed=0)
    assert index.labels == ["run"]
    assert [(item.path, item.reason) for item in index.refused] == [
        ("line 4", "m.csv line 4: label is missing"),
        ("odd.mp4", "odd.mp4: the decoder crashed"),
    ]
    (video,) = index.videos
    assert (video.path, video.clips, video.segments) == ("/data/sub/v.mp4", 2, [[0.5, 1.0]])
    assert refused == [Refusal("line 4", "m.csv line 4: label is missing")]
