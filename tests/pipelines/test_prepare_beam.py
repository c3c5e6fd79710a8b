import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipelines import beam_files, beam_steps, extraction
from pipelines.errors import UserError
from pipelines.index import load_index
from pipelines.prepare import prepare
from pipelines.prepare_beam import main, prepare_beam
from pipelines.records import BYTES_FIELDS, parse
from pipelines.settings import FeatureSettings
from tests import media
from tests.pipelines.crashing_decoder import crashing_decoder
from tests.pipelines.shelf_files import ShelfFileSystem

ROOT = Path(__file__).parents[2]
SETTINGS = FeatureSettings(
    clip_frames=4, clip_step=2, canvas=32, residual_frames=2, residual_size=16, iframe_size=16
)
OPTIONS = ["--clip-frames", "4", "--clip-step", "2", "--canvas", "32", "--residual-frames", "2"]
OPTIONS += ["--residual-size", "16", "--iframe-size", "16"]
ROWS = """path,label,split,action_segments
h264.mp4,run,train,0.1-0.5
mpeg4.avi,jump,test,
mute.mp4,jump,train,
ntsc.mp4,run,train,
text.mp4,run,train,
none.mp4,run,train,
,run,train,
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beam")
    frames, sound = media.pan(30, 64, 48), media.tone(1.2)
    media.write_video(folder / "h264.mp4", frames, sound=sound)
    media.write_video(folder / "mpeg4.avi", frames, media.MPEG4, sound=sound)
    media.write_video(folder / "mute.mp4", frames)
    media.write_video(folder / "ntsc.mp4", frames[:24], fps=30000 / 1001, sound=sound)
    media.text_file(folder / "text.mp4")
    (folder / "m.csv").write_text(ROWS)
    return folder


@pytest.fixture(scope="module")
def local(folder):
    return prepare(folder / "m.csv", folder / "local", SETTINGS, workers=0, quiet=True)


@pytest.fixture(scope="module")
def told(folder):
    """What the command says, run as users run it."""
    command = [sys.executable, "-m", "pipelines.prepare_beam", "--manifest", folder / "m.csv"]
    command += ["--out", folder / "beam", *OPTIONS, "--", "--runner=FnApiRunner"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def shelf(folder, tmp_path, monkeypatch):
    """A remote place, shelf://, with the manifest and two of the videos on it."""
    monkeypatch.setattr(ShelfFileSystem, "root", tmp_path)
    (tmp_path / "videos").mkdir()
    for name in ("h264.mp4", "mute.mp4"):
        (tmp_path / "videos" / name).write_bytes((folder / name).read_bytes())
    lines = [ROWS.splitlines()[0], "h264.mp4,run,train,", "shelf://videos/mute.mp4,jump,test,"]
    (tmp_path / "videos" / "m.csv").write_text("\n".join([*lines, "none.mp4,run,train,", ""]))
    return tmp_path


class Here:
    """Stands for a worker process: starting one takes its time, and only the crashes need it."""

    def run(self, function, job):
        return function(job)


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(beam_steps, "LoneWorker", Here)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def clips(path):
    """What the clips of a shard hold, apart from the name of their video."""
    records = [parse(record, BYTES_FIELDS) for record in tf.data.TFRecordDataset(str(path))]
    return [{name: np.asarray(value).tolist() for name, value in clip.items()} for clip in records]


def test_the_same_folder_as_the_local_command_makes(folder, local, told):
    assert names(folder / "beam") == names(folder / "local")
    for name in names(folder / "local"):
        ours, theirs = folder / "beam" / name, folder / "local" / name
        assert ours.read_bytes() == theirs.read_bytes()
    assert load_index(folder / "beam", SETTINGS) == replace(local, folder=folder / "beam")


def test_what_the_command_tells(folder, told):
    assert "4 videos, 15 clips, 2 classes" in told
    assert "refused: text.mp4: " in told
    assert "refused: none.mp4: " in told
    assert "m.csv line 8: path is missing" in told
    assert "counted by Beam: clips 15, videos_ok 4, videos_refused 2" in told


def test_either_command_goes_on_from_the_other(folder, local, told):
    before = {name: (folder / "beam" / name).stat().st_mtime_ns for name in names(folder / "beam")}
    index, counts = prepare_beam(str(folder / "m.csv"), str(folder / "beam"), SETTINGS)
    assert counts == {"clips": 15, "videos_kept": 6}
    assert index.videos == local.videos
    assert prepare(folder / "m.csv", folder / "beam", SETTINGS, 0, quiet=True).videos == local.videos
    after = {name: (folder / "beam" / name).stat().st_mtime_ns for name in names(folder / "beam")}
    assert {name for name in before if before[name] != after[name]} <= {"index.json", ".lock"}


def test_videos_manifest_and_folder_elsewhere(shelf, local, folder, at_once):
    place = "shelf://videos/m.csv"
    (shelf / "features" / "shards" / "aa").mkdir(parents=True)
    (shelf / "features" / "shards" / "aa" / ".part-lost.tfrecord").write_text("half")
    index, counts = prepare_beam(place, "shelf://features", SETTINGS)
    assert counts == {"clips": 8, "videos_ok": 2, "videos_refused": 1}
    assert [record.path for record in index.videos] == ["shelf://videos/h264.mp4", "shelf://videos/mute.mp4"]
    assert [(item.path, item.reason) for item in index.refused] == [
        ("none.mp4", "shelf://videos/none.mp4: no such file")
    ]
    assert load_index(shelf / "features").videos == index.videos
    assert not [name for name in names(shelf / "features") if ".part-" in name or name == "rows.json"]
    (same,) = (video for video in local.videos if video.path.endswith("h264.mp4"))
    assert clips(shelf / "features" / index.videos[0].shard) == clips(folder / "local" / same.shard)
    # another run keeps what is done, does what has changed, and replaces what lies there
    media.text_file(shelf / "videos" / "mute.mp4")
    index, counts = prepare_beam(place, "shelf://features", SETTINGS)
    assert counts == {"clips": 4, "videos_kept": 2, "videos_refused": 1}
    assert index.refused[0].reason.startswith("shelf://videos/mute.mp4: ")
    (shelf / "features" / index.videos[0].shard).unlink()
    assert prepare_beam(place, "shelf://features", SETTINGS)[1]["videos_ok"] == 1
    with pytest.raises(UserError, match="shelf://features: made with canvas=32, but canvas=64 is asked for"):
        prepare_beam(place, "shelf://features", replace(SETTINGS, canvas=64))


def test_a_place_that_fails_costs_the_video_not_the_run(shelf, monkeypatch, at_once):
    fetch = beam_steps.fetch

    def failing(path, local):
        if path.endswith("mute.mp4"):
            raise ConnectionError("the line\nis down")
        fetch(path, local)

    with monkeypatch.context() as broken:
        broken.setattr(beam_steps, "fetch", failing)
        index, counts = prepare_beam("shelf://videos/m.csv", "shelf://features", SETTINGS)
    assert counts["videos_crashed"] == 1
    assert "shelf://videos/mute.mp4: cannot be fetched (the line is down)" in index.refused[0].reason
    assert prepare_beam("shelf://videos/m.csv", "shelf://features", SETTINGS)[1]["videos_ok"] == 1


def test_a_decoder_that_crashes_costs_the_video_not_the_run(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(beam_steps, "extract_job", crashing_decoder)
    with pytest.raises(UserError, match="none of its videos is usable"):
        prepare_beam(str(folder / "m.csv"), str(tmp_path), SETTINGS)
    notes = [json.loads(path.read_text()) for path in (tmp_path / "videos").rglob("*.json")]
    (crash,) = (note["reason"] for note in notes if note["status"] == "crashed")
    assert crash.endswith("mute.mp4: the decoder crashed on this file; repair it or leave it out")
    others = [note["reason"] for note in notes if " by " in note["reason"]]
    assert len(others) == 4
    assert not [reason for reason in others if reason.endswith(f" by {os.getpid()}")]
    # as in the local command a crash is tried again, a refusal is not
    monkeypatch.setattr(beam_steps, "LoneWorker", Here)
    monkeypatch.setattr(beam_steps, "extract_job", extraction.extract_job)
    index, counts = prepare_beam(str(folder / "m.csv"), str(tmp_path), SETTINGS)
    assert counts == {"clips": 4, "videos_ok": 1, "videos_kept": 5}
    assert [Path(record.path).name for record in index.videos] == ["mute.mp4"]


def one_sentence(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def test_mistakes(tmp_path, shelf, capsys, monkeypatch, at_once):
    (tmp_path / "text.csv").write_text("path,label,split\nx.mp4,run,train\n")
    good = ["--manifest", tmp_path / "text.csv", "--out", tmp_path / "out", *OPTIONS]
    assert "text.csv: none of its videos is usable; first: " in one_sentence(capsys, *good)
    assert not (tmp_path / "out" / "index.json").exists()
    told = one_sentence(capsys, *good[:2], "--out", "nowhere://x")
    assert "nowhere://x: this place cannot be reached" in told
    assert 'pip install "apache-beam[gcp]"' in told
    told = one_sentence(capsys, *good, "--", "--runner=Foo")
    assert "Beam refuses its options: Unexpected pipeline runner: Foo" in told
    told = one_sentence(capsys, "--manifest", "shelf://videos/none.csv", *good[2:])
    assert "shelf://videos/none.csv: cannot be read" in told
    (shelf / "videos" / "odd.csv").write_text("a,b\n")
    told = one_sentence(capsys, "--manifest", "shelf://videos/odd.csv", *good[2:])
    assert "shelf://videos/odd.csv: no column 'path'" in told
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    assert 'Apache Beam is not installed; pip install "scsampler-tf[beam]"' in one_sentence(capsys, *good)


def test_ctrl_c_is_no_failure(folder, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Here, "run", interrupted)
    monkeypatch.setattr(beam_steps, "LoneWorker", Here)
    assert main(["--manifest", str(folder / "m.csv"), "--out", str(tmp_path / "out"), *OPTIONS]) == 130
    assert capsys.readouterr().err.endswith("interrupted; the same command goes on from here\n")


def test_a_failure_that_is_no_video_s_stops_the_run(folder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Here, "run", full)
    monkeypatch.setattr(beam_steps, "LoneWorker", Here)
    with pytest.raises(Exception, match="No space left on device"):
        prepare_beam(str(folder / "m.csv"), str(tmp_path), SETTINGS)


def test_a_file_appears_whole_or_not_at_all(shelf, monkeypatch):
    target = "shelf://features/videos/ab/x.json"
    beam_files.write_json(target, {"a": 1})
    beam_files.write_json(target, {"a": 2})
    assert json.loads((shelf / "features/videos/ab/x.json").read_text()) == {"a": 2}

    def failing(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(beam_files.shutil, "copyfileobj", failing)
        with pytest.raises(KeyboardInterrupt):
            beam_files.write_json(target, {"a": 3})
    assert names(shelf / "features") == ["videos/ab/x.json"]
    assert beam_files.read_json(target) == {"a": 2}
    (shelf / "features/videos/ab/x.json").write_text("{")
    assert beam_files.read_json(target) is None
