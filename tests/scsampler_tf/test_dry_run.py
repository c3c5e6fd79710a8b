"""--dry-run: settings, versions and stages as JSON, and nothing written."""

import json

import numpy as np
import pytest

from pipelines.files import file_digest, write_json
from pipelines.index import FeatureIndex
from scsampler_tf import experiment, paper, quickstart, train
from scsampler_tf.config import from_dict, tiny, to_dict, with_settings
from scsampler_tf.dry_run import experiment_stages
from scsampler_tf.tables import ScoreTable, save_table
from scsampler_tf.workdir import Workdir, claim_workdir
from tests.scsampler_tf.records import record

STAGES = [
    *("prepare", "train classifier", "score classifier", "train md", "score md", "train rgb_r"),
    *("score rgb_r", "train audio", "score audio", "evaluate", "export", "timeline"),
]


def manifest(folder, count=2):
    for number in range(count):
        (folder / f"v{number}.mp4").write_bytes(b"")
    path = folder / "videos.csv"
    rows = [
        f"v{number}.mp4,a,{split}" for number, split in zip(range(count), ("train", "test"), strict=False)
    ]
    path.write_text("\n".join(["path,label,split", *rows, ""]))
    return path


def dry(command, words, capsys):
    assert command([*words, "--dry-run"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def begun(tmp_path):
    """A run with features of two silent videos, a scored classifier and an MD sampler half trained."""
    workdir = claim_workdir(tmp_path / "run", tiny())
    videos = [record("v0", split="train", has_audio=False), record("v1", has_audio=False)]
    index = FeatureIndex(workdir.features, tiny().features, ["a"], videos, [], "none")
    write_json(workdir.features / "index.json", index.to_dict())
    network = workdir.model("classifier") / "best.keras"
    write_json(workdir.model("classifier") / "model.json", {})
    network.write_bytes(b"network")
    made_by = {"network": file_digest(network)[:16]}
    save_table(ScoreTable("classifier", {"v0": np.ones((4, 1), "f")}, made_by), workdir.table("classifier"))
    (workdir.model("md") / "backup").mkdir(parents=True)
    (workdir.model("md") / "backup" / "epoch_00003.weights.h5").write_bytes(b"weights")
    return workdir


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_an_experiment_that_has_not_begun(tmp_path, capsys):
    words = ["--manifest", str(manifest(tmp_path)), "--workdir", str(tmp_path / "run"), "--preset", "tiny"]
    before = files(tmp_path)
    told = dry(experiment.main, [*words, "--set", "md.epochs=3", "--strategy", "mirrored"], capsys)
    assert files(tmp_path) == before
    assert from_dict(told["config"]) == with_settings(tiny(), ["md.epochs=3"])
    assert {"python", "keras", "tensorflow", "numpy", "av", "scsampler-tf"} == set(told["versions"])
    assert list(told["stages"]) == STAGES
    assert {state for name, state in told["stages"].items() if name != "evaluate"} == {"to do"}
    assert told["strategy"] == "mirrored"


def test_what_is_done_and_what_is_left(begun):
    stages = experiment_stages(begun, tiny(), rows=2)
    expected = {name: "to do" for name in STAGES if "audio" not in name}
    expected |= {"prepare": "done", "train classifier": "done", "score classifier": "done"}
    expected |= {"train md": "goes on after epoch 3", "evaluate": "done again every time"}
    assert stages == expected
    assert experiment_stages(begun, tiny(), rows=3)["prepare"] == "to do"
    (begun.model("classifier") / "best.keras").write_bytes(b"another network")
    assert experiment_stages(begun, tiny(), rows=2)["score classifier"] == "to do"
    begun.table("classifier").write_bytes(b"no table")
    assert experiment_stages(begun, tiny(), rows=2)["score classifier"] == "to do"


def test_other_settings_than_those_of_the_run_are_refused(begun, tmp_path, capsys):
    words = ["--manifest", str(manifest(tmp_path)), "--workdir", str(begun.path), "--preset", "tiny"]
    before = files(tmp_path)
    assert dry(experiment.main, words, capsys)["stages"]["train classifier"] == "done"
    assert experiment.main([*words, "--set", "seed=4", "--dry-run"]) == 2
    assert "was begun with seed=0, now 4 is asked for" in capsys.readouterr().err
    assert files(tmp_path) == before


def test_a_training(begun, tmp_path, capsys):
    before = files(tmp_path)
    words = ["sampler", "--kind", "md", "--objective", "sal_cl", "--workdir", str(begun.path)]
    told = dry(train.main, words, capsys)
    assert told["train"] == {"md": "goes on after epoch 3"}
    assert told["folder"] == str(begun.model("md"))
    assert told["config"]["md"]["objective"] == "sal_cl"
    path = tmp_path / "own.json"
    path.write_text('{"classifier": {"epochs": 9}}')
    told = dry(train.main, ["classifier", "--workdir", str(begun.path), "--config", str(path)], capsys)
    assert (told["train"], told["config"]["classifier"]["epochs"]) == ({"classifier": "done"}, 9)
    path.unlink()
    assert files(tmp_path) == before


def test_a_training_in_a_folder_that_is_no_run(tmp_path, capsys):
    assert train.main(["classifier", "--workdir", str(tmp_path / "typo"), "--dry-run"]) == 2
    assert "no index.json here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_training_of_features_that_are_no_run_yet(begun, tmp_path, capsys):
    begun.config_file.unlink()
    before = files(tmp_path)
    told = dry(train.main, ["classifier", "--workdir", str(begun.path), "--preset", "tiny"], capsys)
    assert told["config"] == to_dict(tiny())
    assert files(tmp_path) == before


def test_the_quick_start_and_the_paper(tmp_path, capsys):
    words = ["--workdir", str(tmp_path / "run"), "--preset", "tiny"]
    told = dry(quickstart.main, [*words, "--videos", "12"], capsys)
    assert list(told["stages"]) == ["videos", *STAGES]
    told = dry(paper.main, [*words, "--without", "joint", "transfer"], capsys)
    assert list(told["stages"]) == ["videos", *STAGES]
    assert told["then"] == ["objectives", "features", "audio", "sweep-ktr"]
    assert not list(tmp_path.iterdir())
    told = dry(paper.main, [*words, "--manifest", str(manifest(tmp_path))], capsys)
    assert list(told["stages"]) == STAGES
    assert not Workdir(tmp_path / "run").path.exists()
