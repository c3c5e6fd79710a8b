"""The command that trains and scores what tables compare, on a copy of the tiny run."""

import json
import shutil

import numpy as np
import pytest

from scsampler_tf import variant_plan, variants
from scsampler_tf.evaluate import main as evaluate
from scsampler_tf.model_folder import load_model
from scsampler_tf.tables import load_table


@pytest.fixture(scope="module")
def folder(tiny_run, tmp_path_factory):
    """The run with one epoch for every sampler, which tests may write to."""
    path = tmp_path_factory.mktemp("variants") / "own"
    shutil.copytree(tiny_run.folder, path, ignore=shutil.ignore_patterns("saved_models", "report"))
    values = json.loads((path / "config.json").read_text())
    values["iframe"]["epochs"] = 1
    (path / "config.json").write_text(json.dumps(values))
    return path


def command(folder, *words):
    return variants.main([*words, "--workdir", str(folder)])


def test_what_would_be_done_is_listed_and_not_done(folder, capsys):
    before = sorted(folder.rglob("*"))
    assert command(folder, "objectives", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["md (the run's own): is there", "rgb_r (the run's own): is there"] + [
        "md-sal_cl: train and score"
    ]
    assert lines[-1] == "audio (the run's own): is there"
    assert command(folder, "transfer", "--other", str(folder), "--dry-run") == 0
    assert sorted(folder.rglob("*")) == before


def test_i_frames_are_trained_scored_and_tabled(folder, capsys, monkeypatch):
    """Table 5 with the run's networks only: I-frames are what is missing."""
    monkeypatch.setattr(variant_plan, "SHUFFLENET", "resnet_small")
    assert command(folder, "features") == 0
    trained = load_model(folder / "models" / "iframe")
    assert (trained.kind, trained.about["frames_per_clip"], trained.about["motion"]) == ("iframe", 1, {})
    assert trained.network.input_shape == (None, 32, 32, 3)
    table = load_table(folder / "scores" / "iframe.npz")
    assert all(np.isfinite(rows).all() and len(rows) == 6 for rows in table.values.values())
    assert not [path for path in (folder / "models" / "variants").iterdir() if path.is_dir()]
    assert evaluate(["features", "--workdir", str(folder), "--draws", "2"]) == 0
    assert "| IF + MD + RGB-R, resnet_small |" in capsys.readouterr().out

    network = folder / "models" / "iframe" / "best.keras"
    times = network.stat().st_mtime_ns, (folder / "scores" / "iframe.npz").stat().st_mtime_ns
    assert command(folder, "features") == 0
    assert times == (network.stat().st_mtime_ns, (folder / "scores" / "iframe.npz").stat().st_mtime_ns)


def test_frozen_activations_are_those_of_the_network_they_come_from(folder, monkeypatch):
    """Table 6 without weights: the class layer alone learns on layers of the network trained with AC."""
    monkeypatch.setattr(variant_plan, "audio_layers", lambda arch: ["pool4"])
    plan = variant_plan.audio_rows

    def frozen(config, sound):
        return plan(config, sound)[1:2]

    monkeypatch.setitem(variant_plan.PLANS, "audio", frozen)
    assert command(folder, "audio") == 0
    made = folder / "models" / "variants"
    source, head = (load_model(made / name) for name in ("audio-ac", "audio-head-pool4-from_audio-ac"))
    assert head.about["objective"] == "sal_rank"
    assert list(head.about["initial_weights"]["fresh"]) == ["logits"]
    for layer in ("conv1_1", "bn1_1", "conv4_2", "bn4_2"):
        pairs = zip(
            source.network.get_layer(layer).get_weights(),
            head.network.get_layer(layer).get_weights(),
            strict=True,
        )
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert command(folder, "audio", "--dry-run") == 0
    assert (folder / "scores" / "variants" / "audio-head-pool4-from_audio-ac.npz").exists()


def test_samplers_of_another_run_choose_here(folder, tiny_run, capsys):
    """The run itself under another name: its samplers say the same."""
    assert command(folder, "transfer", "--other", str(tiny_run.folder)) == 0
    note = json.loads((folder / "scores" / "variants" / "transfer-run.json").read_text())
    assert (note["same_videos"], note["same_classifier"]) == (True, True)
    assert set(note["samplers"]) == {"md", "rgb_r", "audio"}
    assert evaluate(["transfer", "--workdir", str(folder), "--draws", "2"]) == 0
    assert "SCSampler, AV-union-list, of run" in capsys.readouterr().out
    rows = json.loads((folder / "report" / "transfer.json").read_text())["sections"][0]["rows"]
    by_name = {row["name"]: row for row in rows}
    for scheme in ("visual", "audio", "union_list"):
        own, theirs = by_name[scheme], by_name[f"run-{scheme}"]
        assert own["accuracy"] == theirs["accuracy"]
        assert own["gflops_per_video"] == pytest.approx(theirs["gflops_per_video"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["transfer"], "--other RUN belongs to transfer, and transfer needs it"),
        (["audio", "--other", "x"], "--other RUN belongs to transfer, and transfer needs it"),
        (["transfer", "--other", "nowhere"], "nowhere: no config.json here"),
        (["features", "--set", "md.arch=5"], "md.arch: 5 is not of type str"),
    ],
)
def test_mistakes_are_one_sentence(folder, capsys, words, message):
    assert command(folder, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_run_cannot_be_its_own_other_and_needs_a_scored_classifier(folder, tmp_path, capsys):
    assert command(folder, "transfer", "--other", str(folder)) == 2
    assert "is this very run; give another one" in capsys.readouterr().err
    bare = shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("scores", "shards"))
    assert command(bare, "objectives") == 2
    assert "the classifier has no scores" in capsys.readouterr().err
