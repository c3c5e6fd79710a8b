import csv
import dataclasses
import importlib.util
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.errors import UserError
from scsampler_tf.evaluate import network_costs
from scsampler_tf.evaluation_set import evaluation_set, load_tables
from scsampler_tf.tables import ScoreTable, load_table, save_table
from tests.tuning.conftest import change_json
from tuning import spaces
from tuning import study as study_module
from tuning.assess import assess
from tuning.search import main, require_packages, search
from tuning.spaces import make_space

pytestmark = pytest.mark.filterwarnings(
    r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning",
)


@pytest.fixture
def trainings(monkeypatch):
    """Stands in for training: margin 0.2 gives an audio sampler that likes the true class, others noise."""
    made = []

    def train_and_score(workdir, config, place, workers, quiet):
        made.append(config.audio.margin)
        classifier = load_table(workdir.table("classifier")).values
        index = workdir.index(config)
        labels = {video.video_id: index.label_id(video) for video in index.videos}
        rng = np.random.default_rng(int(1000 * config.audio.margin))
        values = {
            name: rows[:, labels[name]] if config.audio.margin == 0.2 else rng.random(len(rows), np.float32)
            for name, rows in classifier.items()
        }
        table = ScoreTable("audio", values, {"network": f"margin-{config.audio.margin}"})
        save_table(table, workdir.path / place.table)
        return table

    monkeypatch.setattr(study_module, "train_and_score", train_and_score)
    return made


def read_best(workdir) -> dict:
    return json.loads((workdir.path / "tuning" / "best.json").read_text())


def test_grid_finds_the_best_of_the_space(run, trainings, monkeypatch):
    monkeypatch.setattr(spaces, "STRIDES", (1,))
    workdir, config = run
    best = search(workdir, config, tuner="grid", max_trials=500, clips=(1, 4), max_trainings=0, quiet=True)
    assert trainings == []
    assert json.loads(json.dumps(best)) == read_best(workdir)
    data = evaluation_set(workdir.index(config), load_tables(workdir), "val")
    costs = network_costs(workdir)
    space = make_space(
        config.selection, 0.1, visual=True, audio=True, longest=12, clips=(1, 4), max_trainings=0
    )
    every = [assess(data, space.setting(values).selection, costs) for values in space.grid()]
    assert best["trials"] == len(every) < 500
    assert best["val"]["objective"] == max(found.objective for found in every)
    # The planted clips: the one that md likes best is right alone, four clips are mostly wrong ones.
    assert best["val"]["accuracy"] == 1.0
    assert best["selection"]["K"] == 1


def test_margins_are_trained_once_and_the_better_one_is_found(run, trainings):
    workdir, config = run
    best = search(workdir, config, tuner="random", max_trials=40, seed=3, clips=(2,), quiet=True)
    assert sorted(trainings) == [0.0, 0.05, 0.2, 0.4]
    assert best["audio"]["margin"] == 0.2
    assert best["audio"]["folder"].startswith("tuning/audio-margin-0.2-")
    assert (workdir.path / best["audio"]["table"]).exists()
    assert best["val"]["accuracy"] == 1.0 > best["own"]["val"]["accuracy"]


def test_same_command_keeps_what_is_done(run, trainings, capsys):
    workdir, config = run
    search(workdir, config, max_trials=6)
    first, made = (workdir.path / "tuning" / "trials.csv").read_text(), list(trainings)
    capsys.readouterr()
    search(workdir, config, max_trials=9)
    second = (workdir.path / "tuning" / "trials.csv").read_text()
    assert second.startswith(first)
    assert len(second.splitlines()) == 1 + 1 + 9  # head, own settings, trials
    text = capsys.readouterr().out
    assert "6 of 9 trials are done" in text
    assert "trial 7/9: " in text
    assert "trial 6/9" not in text
    assert "own settings:  union_list K=5 K'=4 stride=1 margin=0.1" in text
    assert set(made) <= set(trainings)


def test_other_networks_begin_another_search(run, trainings):
    workdir, config = run
    search(workdir, config, max_trials=2, max_trainings=0, quiet=True)
    table = load_table(workdir.table("md"))
    save_table(dataclasses.replace(table, made_by={"network": "md-2"}), workdir.table("md"))
    search(workdir, config, max_trials=2, max_trainings=0, quiet=True)
    assert len(list((workdir.path / "tuning").glob("random-seed0-*"))) == 2


def test_tables_and_tensorboard(run, trainings):
    workdir, config = run
    search(workdir, config, max_trials=3, max_trainings=0, quiet=True)
    folder = workdir.path / "tuning"
    rows = list(csv.DictReader(io.StringIO((folder / "trials.csv").read_text())))
    assert [row["trial"] for row in rows] == ["own", "001", "002", "003"]
    assert "| own | union_list K=5 K'=4 stride=1 margin=0.1 |" in (folder / "trials.md").read_text()
    (logs,) = (folder / "logs").iterdir()
    assert sorted(path.name for path in logs.iterdir() if path.is_dir()) == ["001", "002", "003", "own"]
    events = EventAccumulator(str(logs / "002"))
    events.Reload()
    for tag in ("objective", "val_accuracy", "val_true_score", "gflops_per_video"):
        (point,) = events.Tensors(tag)
        value = float(rows[2][tag.removeprefix("val_")])
        assert float(tf.make_ndarray(point.tensor_proto)) == pytest.approx(value, rel=1e-6)
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_an_error_in_training_is_told_and_the_trial_tried_again(run, monkeypatch):
    workdir, config = run

    def fails(*args):
        raise UserError("the loss is not a number at batch 3")

    monkeypatch.setattr(study_module, "train_and_score", fails)
    with pytest.raises(UserError, match="not a number"):
        search(workdir, config, tuner="random", max_trials=40, seed=3, quiet=True)
    done = read_best(workdir)["trials"] if (workdir.path / "tuning/best.json").exists() else 0
    with pytest.raises(UserError, match="not a number"):
        search(workdir, config, tuner="random", max_trials=40, seed=3, quiet=True)
    assert done < 40


def test_a_sampler_trained_otherwise_has_no_margin_to_search(run, trainings):
    workdir, config = run
    change_json(workdir.model("audio") / "model.json", lambda about: about["config"].update(objective="ac"))
    best = search(workdir, config, max_trials=8, quiet=True)
    assert trainings == []
    assert best["own"]["margin"] is None


def test_visual_sampler_alone(run, trainings):
    workdir, config = run
    workdir.table("audio").unlink()
    best = search(workdir, config, tuner="grid", max_trials=200, quiet=True)
    assert best["selection"]["fusion"] == "visual"
    assert best["audio"] is None
    assert best["trials"] == 8 * 4  # K 1, 2, 3, 4, 5, 6, 8, 10; stride 1 to 4


def no_val(workdir):
    change_json(
        workdir.features / "index.json",
        lambda index: [video.update(split="train") for video in index["videos"]],
    )


def no_samplers(workdir):
    workdir.table("md").unlink()
    workdir.table("audio").unlink()


@pytest.mark.parametrize(
    ("damage", "options", "words"),
    [
        (lambda workdir: workdir.config_file.unlink(), [], "no config.json here"),
        (lambda workdir: workdir.table("classifier").unlink(), [], "no such score table"),
        (no_samplers, [], "no sampler has a score table"),
        (no_val, [], "no scored video in split 'val'"),
        (lambda workdir: (workdir.model("md") / "model.json").unlink(), [], "no trained network"),
        (None, ["--max-trials", "0"], "--max-trials 0: give 1 or more"),
        (None, ["--clips", "13"], "the longest validation video has 12 clips"),
        (None, ["--max-trainings", "-2"], "--max-trainings -2"),
        (None, ["--seed", "-1"], "--seed -1"),
    ],
)
def test_mistakes_are_one_sentence(run, capsys, damage, options, words):
    workdir, _ = run
    if damage:
        damage(workdir)
    assert main(["--workdir", str(workdir.path), "--max-trials", "2", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (workdir.path / "tuning").exists()


def test_missing_packages(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sklearn" else real(name))
    require_packages("random")
    with pytest.raises(UserError, match=r"scikit-learn is not installed; run pip install"):
        require_packages("bayesian")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"keras-tuner is not installed"):
        require_packages("grid")
