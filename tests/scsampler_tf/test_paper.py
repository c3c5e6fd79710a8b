"""The command that makes every table of the paper, on a copy of the tiny run."""

import json
import shutil
from pathlib import Path

import pytest

from scsampler_tf import paper
from scsampler_tf.config import PRESETS, preset
from scsampler_tf.experiments.catalogue import TABLES
from scsampler_tf.models import PRESETS as NETWORKS
from scsampler_tf.workdir import Workdir

FROM_SCORES = ["main", "combinations", "sweep-k", "sweep-kprime", "stride", "localisation"]


@pytest.fixture
def copied(tiny_run, tmp_path):
    """The words of the command that makes the paper's tables in a copy of the run."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder, ignore=shutil.ignore_patterns("saved_models"))
    place = tiny_run.arguments.index(str(tiny_run.folder))
    return [*tiny_run.arguments[:place], str(folder), *tiny_run.arguments[place + 1 :]]


def folder_of(words):
    return Workdir(Path(words[words.index("--workdir") + 1]))


def began(output):
    lines = output.splitlines()
    return [
        line[3:]
        for line in lines
        if line.startswith("== ") and not line.endswith(" s") and "not done" not in line
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_the_other_classifier_is_another_one_for_the_same_clips(name):
    own = preset(name).classifier.arch
    other = paper.other_classifier(own)
    assert other != own
    assert NETWORKS[other]["inputs"] == "rgb"
    assert other.endswith("_small") == own.endswith("_small")
    assert paper.other_classifier(other) not in (other, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--other-classifier", "resnet18"], "--other-classifier resnet18: is none of r3d_18, "),
        (["--other-classifier", "r2plus1d_small"], "--other-classifier r2plus1d_small: is none of "),
        (["--videos", "9", "--manifest", "x.csv"], "--videos: is for the set that this command makes"),
        (["--manifest", "nowhere.csv"], "nowhere.csv: no such manifest"),
        (["--videos", "2"], "--videos: 2 is too few"),
        (["--set", "md.epochs=0"], "md.epochs: 0 is not positive"),
    ],
)
def test_mistakes_show_before_any_work(tmp_path, capsys, words, message):
    assert paper.main(["--workdir", str(tmp_path / "run"), "--preset", "tiny", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_features_are_shared_and_stay_so_when_both_are_moved(tmp_path):
    run, other = Workdir(tmp_path / "a"), Workdir(tmp_path / "a" / "other")
    for folder in (run.features, other.path):
        folder.mkdir(parents=True)
    other.features.symlink_to("nowhere")
    for _ in range(2):
        paper.share_features(run, other)
    (run.features / "index.json").write_text("{}")
    shutil.move(run.path, tmp_path / "b")
    assert (tmp_path / "b" / "other" / "features" / "index.json").read_text() == "{}"
    own = Workdir(tmp_path / "c")
    own.features.mkdir(parents=True)
    paper.share_features(run, own)
    assert not own.features.is_symlink()


def test_a_part_that_cannot_be_made_is_named_and_the_rest_is_made(copied, capsys, monkeypatch):
    """Here the audio table, as without sound; the second run's networks are those of the first."""
    workdir = folder_of(copied)

    def ready(stages, other, config, index, workers, strategy, prefix):
        assert config.classifier.arch == "csn_small"
        assert other.index(config).folder == other.path / "features"
        shutil.copytree(workdir.model("md"), other.model("md"))

    monkeypatch.setattr(paper.variants, "has_sound", lambda index: False)
    with monkeypatch.context() as patch:
        patch.setattr(paper, "train_and_score", ready)
        assert paper.main([*copied, "--without", "objectives", "features", "sweep-ktr", "joint"]) == 0
    printed = capsys.readouterr().out
    assert "== audio: not done: compares audio samplers, and no train video of this run" in printed
    assert began(printed).index("score transfer") < began(printed).index("table main")
    tables = {name.removeprefix("table ") for name in began(printed) if name.startswith("table ")}
    assert tables == set(TABLES) - {"objectives", "features", "sweep-ktr", "audio"}
    closing = printed.rpartition("== table ")[2]
    assert "| SCSampler, AV-union-list |" in closing
    assert "not made:     audio: compares audio samplers" in closing
    (listed,) = [line[14:] for line in closing.splitlines() if line.startswith("tables:")]
    assert listed.split(", ") == sorted(path.stem for path in workdir.report.glob("*.md"))
    assert {"transfer", *FROM_SCORES} <= set(listed.split(", "))
    notes = json.loads((workdir.path / "stages.json").read_text())
    assert {"train md", "score transfer", "table main"} <= set(notes)
    assert f"{sum(note['seconds'] for note in notes.values()):.0f} s in all stages" in closing
    note = json.loads((workdir.path / "scores" / "variants" / "transfer-other.json").read_text())
    assert (note["classifier"], list(note["samplers"])) == ("csn_small", ["md"])


@pytest.mark.slow
def test_everything_is_made_and_goes_on_after_a_kill(copied, capsys, monkeypatch):
    """One variant, joint training and the second run."""
    from scsampler_tf import variant_plan

    rows = variant_plan.objective_rows
    monkeypatch.setitem(variant_plan.PLANS, "objectives", lambda *args: rows(*args)[-2:])
    copied += ["--without", "features", "audio", "sweep-ktr"]
    workdir = folder_of(copied)
    made = paper.make_transfer

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(paper, "make_transfer", killed)
    assert paper.main(copied) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    monkeypatch.setattr(paper, "make_transfer", made)
    networks = {path: path.stat().st_mtime_ns for path in workdir.path.rglob("best.keras")}
    assert workdir.path / "other" / "models" / "audio" / "best.keras" in networks
    assert workdir.path / "models" / "joint" / "md" / "best.keras" in networks
    assert paper.main(copied) == 0
    printed = capsys.readouterr().out
    assert networks == {path: path.stat().st_mtime_ns for path in workdir.path.rglob("best.keras")}
    assert not [name for name in paper.PARTS if f"not made:     {name}:" in printed]
    expected = {*FROM_SCORES, "objectives", "transfer"}
    assert expected <= {path.stem for path in workdir.report.glob("*.md")}
    assert "SCSampler, AV-joint-training" in printed.rpartition("== table ")[2]
    source = json.loads((workdir.report / "transfer.json").read_text())["sections"][2]["rows"]
    assert [(row["run"], row["classifier"], row["same_classifier"]) for row in source] == [
        ("other", "csn_small", "no")
    ]
