"""The command that makes the points of the knee, on a copy of the tiny run."""

import json
import shutil

import numpy as np
import pytest

from scsampler_tf import knee
from scsampler_tf.evaluate import main as evaluate
from scsampler_tf.model_folder import load_model
from scsampler_tf.tables import load_table

ONE = ("--sizes", "16", "--frames", "1")


@pytest.fixture(scope="module")
def folder(tiny_run, tmp_path_factory):
    """The run, which tests may write to."""
    path = tmp_path_factory.mktemp("knee") / "own"
    return shutil.copytree(tiny_run.folder, path, ignore=shutil.ignore_patterns("saved_models", "report"))


def command(folder, *words):
    return knee.main([*words, "--workdir", str(folder), "--workers", "0"])


def test_what_would_be_done_is_listed_and_not_done(folder, capsys):
    before = sorted(folder.rglob("*"))
    assert command(folder, *ONE, "--archs", "shufflenet_26", "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "md-p1: prepare r16-p1, train, score",
        "rgb_r-r16-p1: train, score",
        "md: is there",
        "rgb_r: is there",
        "md-shufflenet_26: train, score",
        "rgb_r-shufflenet_26: train, score",
    ]
    assert sorted(folder.rglob("*")) == before


def test_a_killed_command_goes_on_and_makes_what_the_table_shows(folder, capsys, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("scsampler_tf.score.score", killed)
        assert command(folder, *ONE) == 130
    network = folder / "knee" / "md-p1" / "models" / "md" / "best.keras"
    trained = network.stat().st_mtime_ns
    assert command(folder, *ONE) == 0
    assert network.stat().st_mtime_ns == trained
    assert "finished points do not need them" in capsys.readouterr().out

    model = load_model(folder / "knee" / "r16-p1" / "models" / "rgb_r")
    assert model.network.input_shape == (None, 16, 16, 3)
    assert model.about["frames_per_clip"] == 1
    own, classifier = (load_table(folder / "scores" / f"{kind}.npz") for kind in ("rgb_r", "classifier"))
    run = json.loads((network.parent / "run.json").read_text())
    assert run["learned_from"] == classifier.made_by
    for place, kind in (("md-p1", "md"), ("r16-p1", "rgb_r")):
        table = load_table(folder / "knee" / place / "scores" / f"{kind}.npz")
        assert list(table.values) == list(own.values)  # the run's names of its videos
        assert all(np.isfinite(rows).all() and len(rows) == 6 for rows in table.values.values())
    extraction = json.loads((folder / "knee" / "extraction.json").read_text())
    assert (len(extraction["videos"]), extraction["clips"]) == (3, 18)

    assert evaluate(["knee", "--workdir", str(folder), "--draws", "2"]) == 0
    out = capsys.readouterr().out
    assert "| MD + RGB-R 16, 1 P-frame |" in out
    assert "The knee: by GFLOPs" in out


def test_finished_points_do_not_need_their_features(folder, capsys):
    """Goes on from the test before."""
    shutil.rmtree(folder / "knee" / "r16-p1" / "features")
    table = folder / "knee" / "r16-p1" / "scores" / "rgb_r.npz"
    before = table.stat().st_mtime_ns
    assert command(folder, *ONE) == 0
    assert table.stat().st_mtime_ns == before
    assert not (folder / "knee" / "r16-p1" / "features").exists()
    assert command(folder, *ONE, "--dry-run") == 0
    assert "rgb_r-r16-p1: is there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "17"], "residual_size: 17 is not the canvas, its half or its quarter (64, 32, 16)"),
        (["--frames", "-1"], "md_frames: -1 is negative"),
        (["--archs", "mc3_18"], "--archs mc3_18: is no network of single frames"),
        (["--set", "md.arch=5"], "md.arch: 5 is not of type str"),
    ],
)
def test_mistakes_are_one_sentence(folder, capsys, words, message):
    assert command(folder, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_classifier_must_be_scored(folder, tmp_path, capsys):
    bare = shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("scores", "shards"))
    assert command(bare) == 2
    assert "the classifier has no scores" in capsys.readouterr().err
