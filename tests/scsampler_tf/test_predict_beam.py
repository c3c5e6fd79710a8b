"""The Beam pipeline of answers with the direct runner, against the batch command on the same videos."""

import contextlib
import json
import os

import pytest

from pipelines.errors import UserError
from scsampler_tf import predict_beam_steps as steps
from scsampler_tf.predict_batch import predict_batch
from scsampler_tf.predict_beam import main, predict_beam
from scsampler_tf.predict_workers import answered
from tests import media
from tests.pipelines.shelf_files import ShelfFileSystem

LIST = "path,label\na.mp4,left\nb.mp4,\ntext.mp4,left\nnone.mp4,right\n"


class Here:
    """Stands for the process that reads videos: starting one takes its time."""

    def run(self, function, job):
        return function(job)

    def close(self):
        pass


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(steps, "LoneWorker", Here)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Two videos, one of them with sound, a text that is none, and a list with one more."""
    folder = tmp_path_factory.mktemp("videos")
    frames = media.pan(48, 96, 80)
    media.write_video(folder / "a.mp4", frames)
    media.write_video(folder / "b.mp4", frames, sound=media.tone(48 / media.FPS))
    media.text_file(folder / "text.mp4")
    (folder / "list.csv").write_text(LIST)
    return folder


def records(folder) -> dict[str, dict]:
    lines = [line for path in folder.glob("answers-*.jsonl") for line in path.read_text().splitlines()]
    found = {record["path"]: record for record in map(json.loads, lines)}
    assert len(found) == len(lines)
    return found


@pytest.mark.slow
def test_the_same_answers_as_the_batch_command(shelf, tiny_run, tmp_path, capsys):
    words = ["--manifest", str(shelf / "list.csv"), "--model", str(tiny_run.model)]
    assert main([*words, "--out", str(tmp_path / "answers"), "--", "--runner=FnApiRunner"]) == 1
    assert capsys.readouterr().out == f"{tmp_path / 'answers'}-*.jsonl: 2 answered, 2 failed\n"
    predict_batch(shelf / "list.csv", tmp_path / "batch.jsonl", tiny_run.model, workers=0, quiet=True)
    lines = (tmp_path / "batch.jsonl").read_text().splitlines()
    expected = {record["path"]: record for record in map(json.loads, lines)}
    assert records(tmp_path) == expected
    assert "error" in expected["text.mp4"]
    assert "error" in expected["none.mp4"]


def test_list_videos_and_model_elsewhere(shelf, tiny_run, tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(ShelfFileSystem, "root", tmp_path)
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "list.csv", "text.mp4"):
        (tmp_path / "videos" / name).write_bytes((shelf / name).read_bytes())
    version = tiny_run.model / "1"
    for path in version.rglob("*"):
        if path.is_file():
            copy = tmp_path / "model" / "1" / path.relative_to(version)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    counts = predict_beam("shelf://videos/list.csv", "shelf://model", str(tmp_path / "out" / "answers"), k=1)
    assert counts == {"answered": 1, "failed": 3}
    found = records(tmp_path / "out")
    assert found["a.mp4"]["video"] == "shelf://videos/a.mp4"
    assert len(found["a.mp4"]["moments"]) == 1
    assert found["none.mp4"]["error"].startswith("shelf://videos/none.mp4: cannot be fetched")
    assert found["text.mp4"]["error"].startswith("shelf://videos/text.mp4: ")


def abort(job):
    """As a decoder does that writes where it must not."""
    os.abort()


@pytest.mark.slow
def test_a_video_that_crashes_the_decoder_costs_its_own_answer(shelf, tiny_run, tmp_path):
    model = steps.VideoModel(str(tiny_run.model))
    with contextlib.closing(model.load_model()) as loaded:
        run = loaded.reader.run
        loaded.reader.run = lambda function, job: run(abort if job.name == "b.mp4" else answered, job)
        videos = [steps.Video(name, str(shelf / name), None) for name in ("b.mp4", "a.mp4")]
        crashed, fine = model.run_inference(videos, loaded)
    assert crashed == {
        "path": "b.mp4",
        "error": f"{shelf / 'b.mp4'}: the decoder crashed on this file; repair it or leave it out",
    }
    assert fine["label"] in ("left", "right")


def test_mistakes_are_sentences(shelf, tmp_path, capsys):
    words = ["--manifest", str(shelf / "list.csv"), "--out", str(tmp_path / "answers")]
    assert main([*words, "--model", str(tmp_path / "absent")]) == 2
    assert "no exported model here" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "--model", str(tmp_path), "--K", "0"])
    with pytest.raises(UserError, match="no such manifest"):
        predict_beam(str(tmp_path / "none.csv"), str(tmp_path), str(tmp_path / "answers"))
    with pytest.raises(UserError, match="cannot be reached"):
        predict_beam("nowhere://list.csv", str(tmp_path), str(tmp_path / "answers"))
