"""Batches of videos: their answers, what is kept of them, and what goes wrong on the way."""

import contextlib
import json

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.workers import WorkerCrash
from scsampler_tf import predict_batch as batch_module
from scsampler_tf import predict_workers as workers_module
from scsampler_tf.predict import main, predict
from scsampler_tf.predict_models import Server
from scsampler_tf.serving.client import RequestRefused
from tests import media
from tests.scsampler_tf.batches import ABOUT, Stub, lines, run, write_csv


@pytest.fixture
def stub(monkeypatch):
    """What the command loads for `--model`."""
    model = Stub()
    monkeypatch.setattr(batch_module, "local_model", lambda folder: model)
    return model


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Two videos of three clips, one of them with sound. Not to be written to."""
    folder = tmp_path_factory.mktemp("shelf")
    frames = media.pan(48, 96, 80)
    media.write_video(folder / "a.mp4", frames)
    media.write_video(folder / "b.mp4", frames, sound=media.tone(48 / media.FPS))
    return folder


@pytest.fixture
def manifest(shelf, tmp_path):
    """Two good videos, one that is text, one that is not there."""
    media.text_file(tmp_path / "words.mp4")
    rows = [("path", "label"), (shelf / "a.mp4", "right"), (shelf / "b.mp4", "left")]
    rows += [("words.mp4", "left"), ("none.mp4", "")]
    return write_csv(tmp_path / "videos.csv", rows)


def test_every_video_has_a_line_and_bad_ones_a_reason(stub, manifest, shelf, tmp_path, capsys):
    out = tmp_path / "answers" / "results.jsonl"
    words = ["--manifest", str(manifest), "--out", str(out), "--model", "ready", "--workers", "0"]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"{out}: 2 answered, 2 failed\n")
    assert "accuracy 50.0% (1 of 2 answered videos with a label)" in printed
    assert f"failed: words.mp4: {tmp_path / 'words.mp4'}" in printed
    assert "--retry-errors" in printed
    found = lines(out)
    names = [str(shelf / "a.mp4"), str(shelf / "b.mp4"), "words.mp4", "none.mp4"]
    assert [record["path"] for record in found] == names
    assert [record.get("true_label") for record in found] == ["right", "left", "left", None]
    for record, name in zip(found[:2], names[:2], strict=True):
        assert next(iter(record)) == "path"
        plain = {key: value for key, value in record.items() if key not in ("path", "true_label")}
        assert plain == predict(name, stub).to_dict()
        assert record["label"] == "right"
        assert [moment["clip"] for moment in record["moments"]] == [1, 2]
    assert set(found[2]) == {"path", "true_label", "error"}
    assert set(found[3]) == {"path", "error"}
    assert str(tmp_path / "none.mp4") in found[3]["error"]


def test_all_answered_is_success(stub, shelf, tmp_path, capsys):
    manifest = write_csv(tmp_path / "v.csv", [["path"], [shelf / "a.mp4"], [shelf / "a.mp4"]])
    words = ["--manifest", str(manifest), "--out", str(tmp_path / "r.jsonl"), "--model", "ready"]
    assert main([*words, "--workers", "0", "--K", "1"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines() == [
        f"{tmp_path / 'r.jsonl'}: 1 answered, 0 failed",
        "  rows passed over because they name a video again: 1",
    ]
    assert [moment["clip"] for moment in lines(tmp_path / "r.jsonl")[0]["moments"]] == [2]
    assert "select_k" in stub.calls


def test_what_is_there_is_kept_and_errors_are_tried_again_on_demand(stub, manifest, shelf, tmp_path):
    out = tmp_path / "results.jsonl"
    first = run(manifest, out)
    before = out.read_bytes()
    stub.calls.clear()
    again = run(manifest, out)
    assert (again.answered, again.failed, again.before) == (2, 2, 4)
    assert (again.labelled, again.right, again.reasons) == (2, 1, first.reasons)
    assert out.read_bytes() == before
    assert "score" not in stub.calls
    (tmp_path / "words.mp4").write_bytes((shelf / "a.mp4").read_bytes())
    assert run(manifest, out).failed == 2
    last = run(manifest, out, retry_errors=True)
    assert (last.answered, last.failed, last.before) == (3, 1, 2)
    assert [record["path"] for record in lines(out)][2:] == ["words.mp4", "none.mp4"]
    assert out.read_bytes().startswith(b"".join(before.splitlines(keepends=True)[:2]))


def test_a_line_that_was_torn_is_made_again(stub, manifest, tmp_path):
    out = tmp_path / "results.jsonl"
    run(manifest, out)
    whole = out.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == 10]
    for cut in (ends[1] - 1, ends[0] + 1, ends[0] + 12, 3):
        out.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        assert run(manifest, out).before == kept
        assert lines(out) == [json.loads(line) for line in whole.splitlines()]


def test_workers_share_the_model_of_this_process(stub, manifest, tmp_path):
    alone, together = tmp_path / "alone.jsonl", tmp_path / "together.jsonl"
    run(manifest, alone)
    stub.calls.clear()
    summary = run(manifest, together, workers=2)
    assert (summary.answered, summary.failed) == (2, 2)
    assert sorted(lines(together), key=str) == sorted(lines(alone), key=str)
    assert stub.calls.count("classify") == 2


def test_a_crash_of_a_worker_costs_one_video(stub, manifest, tmp_path, monkeypatch):
    def crashing(function, jobs, workers):
        for number, job in enumerate(jobs):
            yield job, WorkerCrash("the decoder crashed on this file") if number == 1 else function(job)

    monkeypatch.setattr(batch_module, "run_jobs", crashing)
    summary = run(manifest, tmp_path / "r.jsonl")
    assert (summary.answered, summary.failed) == (1, 3)
    assert lines(tmp_path / "r.jsonl")[1]["error"].endswith("b.mp4: the decoder crashed on this file")


def test_what_a_video_does_to_the_model_costs_that_video(stub, manifest, tmp_path, monkeypatch):
    def classify(clips):
        if stub.calls.count("classify") == 1:
            raise ValueError("odd")
        return Stub.classify(stub, clips)

    stub.classify = classify
    assert run(manifest, tmp_path / "r.jsonl").answered == 1
    assert "a.mp4: stopped by RuntimeError (ValueError: odd)" in lines(tmp_path / "r.jsonl")[0]["error"]


def test_an_answer_that_is_not_json_costs_that_video(stub, manifest, tmp_path):
    stub.select = lambda visual, **rest: {"indices": [[0]], "saliency": visual * np.nan}
    assert run(manifest, tmp_path / "r.jsonl").answered == 0
    assert "a.mp4: stopped by ValueError" in lines(tmp_path / "r.jsonl")[0]["error"]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_model_that_lacks_something_stops_the_run(stub, manifest, tmp_path, workers):
    def missing(**inputs):
        raise UserError("no signature 'select_k'; export the model again")

    stub.select_k = missing
    with pytest.raises(UserError, match="no signature 'select_k'"):
        run(manifest, tmp_path / "r.jsonl", k=3, workers=workers)
    assert (tmp_path / "r.jsonl").read_bytes() == b""


def test_a_server_that_goes_away_stops_the_run_and_a_refusal_does_not(shelf, tmp_path, monkeypatch):
    model, asked = Stub(), []
    outcomes = [RequestRefused("too large"), None, UserError("cannot be reached"), None]

    def call(signature, inputs):
        if signature == "classify" and (error := outcomes.pop(0)):
            raise error
        return model(signature, inputs)

    @contextlib.contextmanager
    def remote(url, name):
        asked.append((url, name))
        yield call

    for module in (batch_module, workers_module):
        monkeypatch.setattr(module, "remote_model", remote)
    for name in ("1.mp4", "2.mp4", "3.mp4"):
        (tmp_path / name).symlink_to(shelf / "a.mp4")
    manifest = write_csv(tmp_path / "v.csv", [["path"], ["1.mp4"], ["2.mp4"], ["3.mp4"]])
    out, server = tmp_path / "r.jsonl", Server("http://h:8501", "m")
    with pytest.raises(UserError, match="cannot be reached"):
        run(manifest, out, server)
    assert set(asked) == {("http://h:8501", "m")}
    assert [record.get("error") for record in lines(out)] == ["too large", None]
    assert run(manifest, out, server).before == 2
    assert [record.get("error") for record in lines(out)] == ["too large", None, None]


@pytest.mark.parametrize(
    "text",
    [
        "my notes",
        "my notes\n",
        '{"path": "a", "label": 3}\n',
        '{"path": 1, "error": "x"}\n',
        '[]\n{"path": "a", "error": "x"}\n',
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(stub, manifest, tmp_path, text):
    out = tmp_path / "notes.txt"
    out.write_text(text)
    with pytest.raises(UserError, match=r"notes\.txt line 1: not an answer of this command"):
        run(manifest, out)
    assert out.read_text() == text


def test_answers_of_another_model_are_not_mixed(stub, manifest, tmp_path):
    run(manifest, tmp_path / "r.jsonl")
    stub.about = {**ABOUT, "labels": ["up", "down"]}
    with pytest.raises(UserError, match="a model with other classes; choose another --out"):
        run(manifest, tmp_path / "r.jsonl")


def test_without_a_model_no_file_is_made(manifest, tmp_path):
    with pytest.raises(UserError, match="no exported model here"):
        run(manifest, tmp_path / "r.jsonl", tmp_path / "none", retry_errors=True)
    assert not (tmp_path / "r.jsonl").exists()
