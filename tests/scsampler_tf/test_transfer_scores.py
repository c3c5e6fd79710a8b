"""Runs whose samplers are scored in another one: what they are called, and when they are known again."""

import json
import shutil

import pytest

from scsampler_tf import variants
from scsampler_tf.evaluate import main as evaluate
from scsampler_tf.model_folder import load_model
from scsampler_tf.tables import load_table
from scsampler_tf.transfer_scores import make_transfer, name_of, notes_of_others, transfer_table
from scsampler_tf.workdir import open_workdir

A = {"place": "aaaa0000", "networks": {"md": "1", "audio": "2"}}
B = {"place": "bbbb0000", "networks": {"md": "3"}}


@pytest.mark.parametrize(
    ("known", "notes", "name"),
    [
        (A, {}, "run"),
        (A, {"other": B}, "run"),
        (A, {"run": B}, "run-aaaa0000"),
        (A, {"run": {"place": "", "networks": {}}}, "run-aaaa0000"),  # a note of old
        (A, {"run": B, "run-aaaa0000": A}, "run-aaaa0000"),
        ({**A, "networks": B["networks"]}, {"run": A, "other": B}, "run"),  # trained anew where it lies
        ({**A, "place": "cccc0000"}, {"before": A, "run": B}, "before"),  # moved
    ],
)
def test_a_run_is_known_by_its_place_then_by_its_networks(known, notes, name):
    assert name_of("run", known, notes) == name


def other_run(tiny_run, folder, shift):
    """A run with the tiny run's MD sampler alone, moved by `shift`, in a folder of this name."""
    shutil.copytree(tiny_run.folder / "models" / "md", folder / "models" / "md")
    shutil.copy(tiny_run.folder / "config.json", folder)
    train_anew(folder, shift)
    return folder


def train_anew(folder, shift):
    network = load_model(folder / "models" / "md").network
    *others, bias = network.get_weights()
    network.set_weights([*others, bias + [shift, 0]])
    network.save(folder / "models" / "md" / "best.keras")


def test_two_runs_of_one_name_stand_beside_each_other(tiny_run, tmp_path, capsys):
    own = tmp_path / "own"
    shutil.copytree(tiny_run.folder, own, ignore=shutil.ignore_patterns("saved_models", "report"))
    workdir, config = open_workdir(own)
    first, second = (other_run(tiny_run, tmp_path / place / "run", 1 + n) for n, place in enumerate("xy"))
    for folder in (first, second):
        assert variants.main(["transfer", "--other", str(folder), "--workdir", str(own)]) == 0
    notes = notes_of_others(workdir)
    (name,) = set(notes) - {"run"}
    assert name == f"run-{notes[name]['place']}"
    made = {each: load_table(transfer_table(each, "md", workdir)).made_by["network"] for each in notes}
    assert made["run"] != made[name]
    assert {each: {"md": digest} for each, digest in made.items()} == {
        each: note["networks"] for each, note in notes.items()
    }
    capsys.readouterr()
    assert evaluate(["transfer", "--workdir", str(own), "--draws", "2"]) == 0
    printed = capsys.readouterr().out
    assert "| SCSampler, visual, of run |" in printed
    assert f"| SCSampler, visual, of {name} |" in printed

    train_anew(second, 3)  # it takes its own place, not another
    make_transfer(second, workdir, config, quiet=True)
    again = notes_of_others(workdir)
    assert set(again) == set(notes)
    assert again["run"] == notes["run"]
    assert again[name]["networks"] != notes[name]["networks"]
    moved = shutil.move(first, tmp_path / "elsewhere")  # so does a run that was moved
    make_transfer(moved, workdir, config, quiet=True)
    assert set(notes_of_others(workdir)) == set(notes)


def test_a_run_that_was_trained_anew_and_not_scored_whole_has_no_row(tiny_run, tmp_path, monkeypatch):
    """Its scores would be of new networks, and what is said of it of the old ones."""
    own = tmp_path / "own"
    shutil.copytree(tiny_run.folder, own, ignore=shutil.ignore_patterns("saved_models", "report"))
    workdir, config = open_workdir(own)
    folder = other_run(tiny_run, tmp_path / "there", 1)
    make_transfer(folder, workdir, config, quiet=True)
    train_anew(folder, 1)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scsampler_tf.score.score", killed)
        with pytest.raises(KeyboardInterrupt):
            make_transfer(folder, workdir, config, quiet=True)
    assert notes_of_others(workdir) == {}
    make_transfer(folder, workdir, config, quiet=True)
    path = workdir.variant_table("transfer").with_name("transfer-there.json")
    assert json.loads(path.read_text())["run"] == "there"
