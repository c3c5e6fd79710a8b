import argparse
import dataclasses
import json
from types import SimpleNamespace

import pytest

from pipelines.errors import UserError
from pipelines.index import load_index
from scsampler_tf import quickstart
from scsampler_tf.experiment import Stages, checked_config, main, measured_split


def options(**changes) -> argparse.Namespace:
    usual = {"workers": 0, "preset": "tiny", "set": [], "config": None, "strategy": None}
    return argparse.Namespace(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": -1}, "--workers -1"),
        ({"strategy": "multi_worker"}, "an experiment does more than train"),
        ({"strategy": "tpu"}, "'tpu' is none of one_device, mirrored, multi_worker"),
        ({"preset": "huge"}, "unknown preset 'huge'"),
        ({"set": ["md.arch=resnet7"]}, "md.arch: 'resnet7' is none of"),
        ({"set": ["md.epochs=0"]}, "md.epochs: 0 is not positive"),
    ],
)
def test_mistakes_show_before_any_work(tmp_path, capsys, changes, message):
    with pytest.raises(UserError, match=message):
        checked_config(options(**changes))
    words = ["--workdir", str(tmp_path / "run"), "--preset", changes.get("preset", "tiny")]
    words += ["--workers", str(changes.get("workers", 0))]
    words += ["--strategy", changes["strategy"]] if "strategy" in changes else []
    words += [word for text in changes.get("set", []) for word in ("--set", text)]
    assert quickstart.main(words) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_mistyped_manifest_leaves_nothing_behind(tmp_path, capsys):
    words = ["--manifest", str(tmp_path / "none.csv"), "--workdir", str(tmp_path / "run"), "--preset", "tiny"]
    assert main(words) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.csv'}: no such manifest\n"
    assert not list(tmp_path.iterdir())


def test_what_is_measured_on(tiny_run):
    index = load_index(tiny_run.folder / "features")
    assert measured_split(index) == "test"
    without = dataclasses.replace(index, videos=index.of_split("train", "val"))
    assert measured_split(without) == "val"
    with pytest.raises(UserError, match="no test videos to measure on"):
        measured_split(dataclasses.replace(index, videos=index.of_split("train")))


def test_stages_note_their_longest_time(tmp_path, monkeypatch, capsys):
    clock = iter([0, 5, 10, 10.5])
    monkeypatch.setattr("scsampler_tf.experiment.time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert Stages(tmp_path / "stages.json").run("work", lambda: 3) == 3
    assert Stages(tmp_path / "stages.json").run("work", lambda: 4) == 4
    note = json.loads((tmp_path / "stages.json").read_text())["work"]
    assert note["seconds"] == 5
    assert note["peak_mb"] > 10
    assert "== work: 5 s" in capsys.readouterr().out
