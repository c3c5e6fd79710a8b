import json
import re
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pipelines import extraction
from pipelines import prepare as module
from pipelines.errors import UserError
from pipelines.folder_lock import only_writer
from pipelines.frame_times import FrameTimes
from pipelines.index import load_index
from pipelines.prepare import prepare, report
from pipelines.records import BYTES_FIELDS, parse
from pipelines.settings import FeatureSettings
from pipelines.unpack import unpack_features, unpack_strips
from pipelines.workers import WorkerCrash
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=4, clip_step=2, canvas=32, md_frames=0, residual_frames=2, residual_size=16, iframe_size=16
)
FRAMES = 30  # three clips of eight, and a tail that makes a fourth
BAD = {
    "missing.mp4": "no such file",
    "empty.mp4": "empty",
    "text.mp4": "not a readable video|is a text",
    "cut.mp4": "not a readable video",
    "sound.mp4": "no video stream",
    "one_frame.mp4": "1 frames, shorter than one clip of 8",
    "short.mp4": "7 frames, shorter than one clip of 8",
    "unlabelled.mp4": r"m\.csv line 5: label is missing",
}
GOOD = ("h264.mp4", "mpeg4.avi", "mute.mp4", "train2.mp4")


def make_media(folder):
    frames, sound = media.pan(FRAMES, 64, 48), media.tone(FRAMES / 25)
    media.write_video(folder / "h264.mp4", frames, sound=sound)
    media.write_video(folder / "mpeg4.avi", frames, media.MPEG4, sound=sound)
    media.write_video(folder / "mute.mp4", frames)
    media.write_video(folder / "train2.mp4", frames[:24], fps=30000 / 1001, sound=sound)
    media.empty_file(folder / "empty.mp4")
    media.text_file(folder / "text.mp4")
    media.cut_off(folder / "h264.mp4", folder / "cut.mp4")
    media.write_sound(folder / "sound.mp4", sound)
    media.write_video(folder / "one_frame.mp4", frames[:1])
    media.write_video(folder / "short.mp4", frames[:7])
    media.write_video(folder / "unlabelled.mp4", frames)


def write_manifest(folder, names=(*GOOD, *BAD)):
    lines = ["path,label,split,action_segments"]
    lines += ["h264.mp4,run,train,0.1-0.5", "mpeg4.avi,jump,test,", "mute.mp4,jump,train,"]
    lines += ["unlabelled.mp4,,train,", "train2.mp4,run,train,"]
    lines += [f"{name},run,train," for name in BAD if name != "unlabelled.mp4"]
    kept = [line for line in lines[1:] if line.split(",")[0] in names]
    (folder / "m.csv").write_text("\n".join([lines[0], *kept]) + "\n")
    return folder / "m.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepare")
    make_media(folder)
    write_manifest(folder)
    return folder


@pytest.fixture(scope="module")
def done(folder):
    """The whole mixed manifest, prepared once; tests that change things work on copies."""
    return prepare(folder / "m.csv", folder / "out", SETTINGS, workers=0, quiet=True)


@pytest.fixture
def copy(folder, done, tmp_path):
    """Two good videos and their finished features, free to be changed."""
    names = ("h264.mp4", "mute.mp4")
    for name in names:
        shutil.copy2(folder / name, tmp_path / name)
    shutil.copytree(folder / "out", tmp_path / "out")
    write_manifest(tmp_path, names)
    return tmp_path


def files(folder):
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def times(out):
    """When each file was written; the index is written anew by every run."""
    return {name: path.stat().st_mtime_ns for name, path in files(out).items() if name != "index.json"}


def again(folder, **changes):
    return prepare(folder / "m.csv", folder / "out", replace(SETTINGS, **changes), workers=0, quiet=True)


def video(index, name):
    return next(record for record in index.videos if record.path.endswith(f"/{name}"))


def test_bad_files_are_refused_with_their_reasons_and_good_ones_done(done, folder):
    assert [Path(record.path).name for record in done.videos] == [
        "h264.mp4", "mpeg4.avi", "mute.mp4", "train2.mp4",
    ]  # fmt: skip
    reasons = {item.path: item.reason for item in done.refused}
    assert set(reasons) == set(BAD)
    for name, reason in BAD.items():
        assert re.search(reason, reasons[name])
        assert name in reasons[name] or "m.csv line" in reasons[name]
        assert "\n" not in reasons[name]
    lines = report(done)
    assert "4 videos, 15 clips, 2 classes" in lines
    assert all(f"refused: {name}: " in lines for name in BAD)


def test_what_the_index_says(done, folder):
    assert load_index(folder / "out", SETTINGS) == done
    assert done.labels == ["jump", "run"]
    sounding, mute, ntsc = (video(done, name) for name in ("h264.mp4", "mute.mp4", "train2.mp4"))
    assert (sounding.label, sounding.clips, sounding.frames, sounding.fps) == ("run", 4, 30, 25)
    assert sounding.path == str((folder / "h264.mp4").resolve())
    assert sounding.duration_s == pytest.approx(1.2)
    assert (sounding.has_audio, mute.has_audio, video(done, "mpeg4.avi").has_audio) == (True, False, True)
    assert (sounding.segments, mute.segments) == ([[0.1, 0.5]], None)
    assert (sounding.codec, sounding.policy) == ("h264", "direct")
    assert ntsc.duration_s == pytest.approx(24 * 1001 / 30000, abs=1e-3)
    expected = [(0, 0.32), (0.32, 0.64), (0.64, 0.96), (0.96, 1.2)]
    np.testing.assert_allclose(sounding.clip_bounds_s(SETTINGS.span), expected)


def test_the_validation_split_is_drawn_and_recorded(done):
    assert done.validation == "1 videos held out of train, 15% of each class, seed 0"
    assert [record.label for record in done.of_split("val")] == ["run"]  # never one of the refused
    assert video(done, "mpeg4.avi").split == "test"


def test_records_hold_the_clips(done):
    for record in done.videos:
        data = list(tf.data.TFRecordDataset(done.shard_path(record)))
        clips = [parse(serialized, BYTES_FIELDS) for serialized in data]
        assert [int(clip["clip"]) for clip in clips] == list(range(record.clips))
        bounds = np.array([clip["times_s"] for clip in clips])
        np.testing.assert_allclose(bounds, record.clip_bounds_s(SETTINGS.span), atol=1e-6)
        shapes = {"md": (8, 2, 2, 2), "rgb_r": (2, 16, 16, 3), "log_mel": (1, 40, 200, 1)}
        for field, shape in shapes.items():
            packed = tf.stack([clip[field] for clip in clips])
            frames, mask = unpack_features(field, packed, SETTINGS)
            assert frames.shape == (record.clips, *shape)
            assert tf.reduce_any(mask).numpy() == (field != "log_mel" or record.has_audio)
        stills, there = unpack_strips(tf.stack([clip["iframe"] for clip in clips]), 1, 16)
        assert tf.reduce_all(there)
        assert 60 < stills.numpy().mean() < 190


def test_a_second_run_does_nothing(copy, monkeypatch):
    before = times(copy / "out")
    monkeypatch.setattr(module, "extract_video", lambda job: pytest.fail(f"worked on {job}"))
    index = again(copy)
    assert times(copy / "out") == before
    assert len(index.videos) == 2


@pytest.mark.parametrize("lost", ["shard", "note", "empty note", "index"])
def test_a_killed_run_goes_on_where_it_stopped(copy, done, lost):
    record, out = video(done, "mute.mp4"), copy / "out"
    before = times(out)
    note = files(out)[f"videos/{record.video_id[-2:]}/{record.video_id}.json"]
    half = out / Path(record.shard).with_name(".part-mute-abcd.tfrecord")
    half.write_bytes(b"half")
    if lost == "shard":
        (out / record.shard).unlink()
    elif lost == "note":
        note.unlink()
    elif lost == "empty note":
        note.write_text("")
    else:
        (out / "index.json").unlink()
    index = again(copy)
    assert [each.clips for each in index.videos] == [4, 4]
    assert not half.exists()
    changed = {name for name, time in times(out).items() if before[name] != time}
    assert changed == ({record.shard, str(note.relative_to(out))} if lost != "index" else set())
    assert load_index(out) == index


def test_a_changed_source_is_done_again(copy, done):
    other = media.write_video(copy / "mute.mp4", media.pan(16, 64, 48))
    assert [record.clips for record in again(copy).videos] == [4, 2]
    media.empty_file(other)
    index = again(copy)
    assert [record.clips for record in index.videos] == [4]
    assert "empty" in index.refused[0].reason
    other.unlink()
    assert "no such file" in again(copy).refused[0].reason


def test_the_manifest_of_today_counts(copy, monkeypatch):
    monkeypatch.setattr(module, "extract_video", lambda job: pytest.fail(f"worked on {job}"))
    (copy / "m.csv").write_text("path,label,split\nh264.mp4,walk,val\nmute.mp4,sit,test\n")
    index = again(copy)
    assert [(each.label, each.split, each.segments) for each in index.videos] == [
        ("walk", "val", None),
        ("sit", "test", None),
    ]
    assert {Path(record.path).parent for record in index.videos} == {copy.resolve()}  # moved with its files
    assert index.labels == ["sit", "walk"]
    assert index.validation == "from the manifest"


def test_a_folder_of_other_settings_is_refused(copy):
    before = times(copy / "out")
    with pytest.raises(UserError, match="made with clip_frames=4, but clip_frames=2 is asked for"):
        again(copy, clip_frames=2)
    with pytest.raises(UserError, match="made with jpeg_quality=90"):
        load_index(copy / "out", replace(SETTINGS, jpeg_quality=50))
    assert times(copy / "out") == before


def test_a_crash_is_reported_and_tried_again(copy, monkeypatch):
    (copy / "out" / video(again(copy), "mute.mp4").shard).unlink()
    crash = WorkerCrash("the decoder crashed")
    monkeypatch.setattr(module, "run_jobs", lambda function, jobs, workers: ((job, crash) for job in jobs))
    index = again(copy)
    assert [Path(record.path).name for record in index.videos] == ["h264.mp4"]
    assert index.refused[0].reason.endswith("mute.mp4: the decoder crashed")
    monkeypatch.undo()
    assert len(again(copy).videos) == 2


def test_what_another_version_has_left_is_made_anew_or_refused(copy, done):
    record, out = video(done, "mute.mp4"), copy / "out"
    path = files(out)[f"videos/{record.video_id[-2:]}/{record.video_id}.json"]
    good = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in good.items() if name != "timing"}))
    before = times(out)
    assert [each.clips for each in again(copy).videos] == [4, 4]
    assert json.loads(path.read_text()) == {**good, "path": str(copy / "mute.mp4")}
    changed = {name for name, time in times(out).items() if before[name] != time}
    assert changed == {record.shard, str(path.relative_to(out))}
    (out / "settings.json").write_text('{"colour": 1}')
    with pytest.raises(UserError, match=r"out: its settings\.json is of another version"):
        again(copy)


def test_a_folder_that_another_run_writes_to_is_refused(copy):
    before = times(copy / "out")
    with only_writer(copy / "out"), pytest.raises(UserError, match="out: another run is writing here"):
        again(copy)
    assert times(copy / "out") == before


def test_nothing_half_written_when_the_pass_fails(tmp_path, folder, monkeypatch):
    def failing(*_):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(extraction, "_clip_records", failing)
    shutil.copy(folder / "mute.mp4", tmp_path / "mute.mp4")
    with pytest.raises(KeyboardInterrupt):
        prepare(write_manifest(tmp_path, ("mute.mp4",)), tmp_path / "out", SETTINGS, 0, quiet=True)
    assert set(files(tmp_path / "out")) == {"settings.json", ".lock"}


def test_a_first_picture_without_a_timestamp_is_second_zero(folder):
    timing = FrameTimes(Fraction(1, 25), [None, 1], [], 25)
    reader = extraction._open_sound(folder / "h264.mp4", 16000, SimpleNamespace(timing=timing))
    assert reader.window(0, 16000)[1].all()
    reader.close()
