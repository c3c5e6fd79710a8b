"""The whole job on small real videos: one run, its commands afterwards, the same run again, a server."""

import contextlib
import json
import threading
import time

import pytest
import uvicorn

from scsampler_tf import evaluate, experiment, predict, score
from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.model_base import ModelBase, models_in_folder

STAGES = [
    "prepare",
    *(f"{what} {kind}" for kind in ("classifier", "md", "rgb_r", "audio") for what in ("train", "score")),
]
STAGES += ["evaluate", "export", "timeline"]

pytestmark = pytest.mark.slow


def test_one_command_does_everything(tiny_run):
    assert tiny_run.code == 0
    began = [line[3:] for line in tiny_run.output.splitlines() if line.startswith("== ") and ":" not in line]
    assert began == STAGES
    for text in (
        "| SCSampler, AV-union-list |",
        "TensorBoard:  tensorboard --logdir",
        "SavedModel:",
        "next:",
    ):
        assert text in tiny_run.output
    names = {path.name for path in tiny_run.folder.iterdir()}
    assert {"config.json", "features", "models", "scores", "results.json", "report", "saved_models"} <= names
    reports = {"main.json", "main.md", "main.png", "timeline.png"}
    assert {path.name for path in (tiny_run.folder / "report").iterdir()} == reports
    assert not list(tiny_run.folder.rglob(".part-*"))


def test_the_same_command_again_does_nothing_twice(tiny_run, capsys):
    kept = [
        *tiny_run.folder.glob("models/**/*"),
        *tiny_run.folder.glob("scores/*"),
        *tiny_run.folder.glob("saved_models/**/*"),
    ]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert experiment.main(tiny_run.arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert tiny_run.output.split("time: ")[0].rsplit("\n\n", 1)[-1] in capsys.readouterr().out


def test_other_settings_in_the_same_folder_are_refused(tiny_run, capsys):
    assert experiment.main([*tiny_run.arguments, "--set", "audio.epochs=9"]) == 2
    assert "was begun with audio.epochs=2, now 9 is asked for" in capsys.readouterr().err


def test_every_command_works_on_the_run(tiny_run, tmp_path, capsys):
    workdir = ["--workdir", str(tiny_run.folder)]
    assert score.main(["classifier", *workdir]) == 0
    assert evaluate.main(["main", *workdir, "--draws", "3"]) == 0
    assert "| Oracle |" in capsys.readouterr().out
    video = str(tiny_run.manifest.parent / "right_3.mp4")
    assert predict.main([video, "--model", str(tiny_run.model), "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 6
    assert (tmp_path / "right_3.png").stat().st_size > 1000


@contextlib.contextmanager
def serving(base):
    """The address of a server of the model base, in a thread."""
    models = ModelBase(lambda: models_in_folder(base), LoadedModel)
    models.refresh()
    server = uvicorn.Server(
        uvicorn.Config(create_app(models, threads=2), port=0, log_level="warning", ws="none")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_server_gives_the_same_answer_as_the_model(tiny_run, tmp_path, capsys):
    videos = [str(tiny_run.manifest.parent / name) for name in ("left_3.mp4", "test_silent.mp4")]
    answers = []
    with serving(tiny_run.model.parent) as url:
        for where in (["--model", str(tiny_run.model)], ["--server", url]):
            assert predict.main([*videos, *where, "--json", "--out", str(tmp_path)]) == 0
            answers.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    for local, remote in zip(*answers, strict=True):
        assert local["label"] == remote["label"]
        for mine, theirs in zip(local.pop("moments"), remote.pop("moments"), strict=True):
            assert mine.pop("label") == theirs.pop("label")
            assert mine == pytest.approx(theirs, abs=1e-5)
        assert local.pop("probabilities") == pytest.approx(remote.pop("probabilities"), abs=1e-5)
        assert local.pop("probability") == pytest.approx(remote.pop("probability"), abs=1e-5)
        assert local == remote
