"""What `evaluate`, `export` and `predict` make of the file that a search writes."""

import argparse
import dataclasses
import json
import os

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.evaluate import evaluate, main, markdown
from scsampler_tf.evaluation_set import load_tables
from scsampler_tf.found_settings import apply_found, configured_run, found_in
from scsampler_tf.methods import scheme_networks
from scsampler_tf.model_folder import is_finished
from scsampler_tf.predict import main as predict
from scsampler_tf.run_export import exported_run
from scsampler_tf.tables import load_table, save_table
from tests.tuning.conftest import digest_of

SELECTION = {"K": 3, "K_prime": 1, "alpha": 0.25, "fusion": "convex_list", "stride": 2}
OTHER = {
    "folder": "tuning/samplers/other/network",
    "table": "tuning/samplers/other/scores.npz",
    "digest": digest_of("turned"),
}


@pytest.fixture
def best(run):
    """A settings file with an audio sampler of another margin, whose scores are the own ones turned round."""
    workdir, config = run
    own = load_table(workdir.table("audio"))
    turned = {name: 1 - rows for name, rows in own.values.items()}
    table = dataclasses.replace(own, values=turned, made_by={"network": digest_of("turned")})
    save_table(table, workdir.path / OTHER["table"])
    folder = workdir.path / OTHER["folder"]
    folder.mkdir(parents=True)
    (folder / "model.json").write_text((workdir.model("audio") / "model.json").read_text())
    path = workdir.path / "best.json"
    own = {kind: {"digest": digest_of(kind)} for kind in ("classifier", "md")}
    networks = {**own, "audio": OTHER}
    audio = dataclasses.asdict(dataclasses.replace(config.audio, margin=0.4))
    path.write_text(json.dumps({"selection": SELECTION, "audio": audio, "networks": networks, "found": {}}))
    return path


def applied(run, best, **options):
    return apply_found(*run, found_in(best), best, **options)


def arguments(workdir, path, *settings):
    return argparse.Namespace(
        workdir=str(workdir.path), preset=None, config=path, set=list(settings), workers=0
    )


def test_settings_and_samplers_are_taken(run, best):
    workdir, config = run
    changed, found = applied(run, best)
    assert found.selection == dataclasses.replace(config.selection, **SELECTION)
    assert found.audio == dataclasses.replace(config.audio, margin=0.4)
    assert (found.classifier, found.md) == (config.classifier, config.md)
    assert changed.model("audio") == workdir.path / OTHER["folder"]
    assert changed.table("audio") == workdir.path / OTHER["table"]
    for kind in ("classifier", "md"):
        assert changed.model(kind) == workdir.model(kind)
        assert changed.table(kind) == workdir.table(kind)
    assert changed.features == workdir.features


def test_one_setting_more_on_the_command_line(run, best):
    workdir, config = run
    changed, found = configured_run(arguments(workdir, best, "selection.K=2"))
    assert found.selection == dataclasses.replace(config.selection, **{**SELECTION, "K": 2})
    assert changed.model("audio") == workdir.path / OTHER["folder"]


def test_files_of_settings_without_networks_are_read_as_ever(run, best):
    workdir, config = run
    best.write_text(json.dumps({"selection": SELECTION}))
    assert found_in(best) is None
    assert found_in(None) is None
    changed, found = configured_run(arguments(workdir, best))
    assert changed == workdir
    assert found.selection == dataclasses.replace(config.selection, **SELECTION)


def change(**values):
    return lambda content: content.update(values)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (change(selection={**SELECTION, "K_prime": 4}), r"best.json: selection.K_prime: 4"),
        (change(selection={"speed": 1}), "unknown setting 'selection.speed'"),
        (change(networks={"audio": {**OTHER, "folder": "tuning/gone"}}), "network audio is not in this run"),
        (change(networks={"audio": {**OTHER, "digest": "x"}}), "found with another network audio"),
        (change(networks={"md": {"digest": "md-2"}}), "found with another network md"),
        (change(networks={"md": {}}), "says nothing of its network md"),
        (change(networks={"audio": {**OTHER, "folder": 3}}), "networks.audio.folder is no path"),
    ],
)
def test_mistakes(run, best, edit, words):
    content = json.loads(best.read_text())
    edit(content)
    best.write_text(json.dumps(content))
    with pytest.raises(UserError, match=words):
        applied(run, best)


def test_a_sampler_that_the_run_has_got_since_is_left_out(run, best):
    workdir, _ = run
    before = evaluate(*applied(run, best), split="val", draws=2)["main"]
    table = load_table(workdir.table("md"))
    other = {name: rows[::-1] for name, rows in table.values.items()}
    save_table(dataclasses.replace(table, network="rgb_r", values=other), workdir.table("rgb_r"))
    (workdir.path / "models" / "rgb_r").mkdir()
    for name in ("model.json", "best.keras"):
        content = (workdir.model("md") / name).read_text()
        (workdir.path / "models" / "rgb_r" / name).write_text(content)
    changed, _ = applied(run, best)
    assert not is_finished(changed.model("rgb_r"))
    assert set(load_tables(changed)) == {"classifier", "md", "audio"}
    assert evaluate(*applied(run, best), split="val", draws=2)["main"] == before
    assert evaluate(*run, split="val", draws=2)["main"]["visual"] != before["visual"]


@pytest.mark.parametrize(("kind", "words"), [("md", "score it again"), ("audio", "--restore")])
def test_a_network_that_was_trained_anew_is_refused_where_it_is_run(run, best, kind, words):
    (run[0].path / OTHER["folder"] / "best.keras").write_text("turned")
    applied(run, best, networks=True)
    folder = applied(run, best)[0].model(kind)
    (folder / "best.keras").write_text("trained anew")
    applied(run, best)
    with pytest.raises(UserError, match=rf"network {kind} .*{words}"):
        applied(run, best, networks=True)


def test_networks_that_were_not_kept_are_missed_only_where_they_are_run(run, best):
    workdir, _ = run
    with pytest.raises(UserError, match=r"network audio only the scores were kept; .* --restore"):
        applied(run, best, networks=True)
    (workdir.path / OTHER["folder"] / "best.keras").write_text("turned")
    applied(run, best, networks=True)


def test_the_found_scheme_has_a_row_beside_the_standard_ones(run, best):
    workdir, config = applied(run, best)
    results = evaluate(workdir, config, split="val", draws=2)
    assert list(results["main"]) == [
        *("random", "uniform", "empirical", "dense", "visual", "audio", "union_list"),
        *("convex_list", "oracle"),
    ]
    row = results["main"]["convex_list"]
    # 6 of 12 clips are scored by both samplers, 3 classified.
    assert row["gflops_per_video"] == pytest.approx(6 * (0.3 + 0.5) + 3 * 2)
    assert row["clips_per_video"] == 3
    assert "| SCSampler, AV-convex-list |" in markdown(results)
    own = evaluate(run[0], config, split="val", draws=2)["main"]
    assert {key: own["visual"][key] for key in own["visual"]} == results["main"]["visual"]
    assert list(evaluate(*run, split="val", draws=2)["main"])[-2:] == ["union_list", "oracle"]


def test_the_other_samplers_scores_are_used(run, best):
    workdir, config = applied(run, best)
    selection = dataclasses.replace(
        config.selection, fusion="convex_score", alpha=0.0, K=1, K_prime=1, stride=1
    )
    config = dataclasses.replace(config, selection=selection)
    audio = load_table(run[0].table("audio")).values
    classifier = load_table(run[0].table("classifier")).values
    index = run[0].index(config)
    right = [
        classifier[video.video_id][np.argmin(audio[video.video_id])].argmax() == index.label_id(video)
        for video in index.of_split("val")
    ]
    results = evaluate(workdir, config, split="val", draws=2)
    assert results["main"]["convex_score"]["accuracy"] == pytest.approx(np.mean(right))


def test_the_command_writes_beside_the_runs_own_results(run, best, capsys):
    workdir, _ = run
    assert main(["main", "--workdir", str(workdir.path), "--config", str(best), "--draws", "2"]) == 0
    assert "AV-convex-list" in capsys.readouterr().out
    assert not (workdir.path / "results.json").exists()
    assert sorted(path.name for path in workdir.report.iterdir()) == [
        f"main-best.{e}" for e in ("json", "md", "png")
    ]


def test_no_row_for_a_scheme_whose_sampler_is_missing(run):
    workdir, config = run
    workdir.table("audio").unlink()
    config = dataclasses.replace(
        config, selection=dataclasses.replace(config.selection, fusion="convex_list")
    )
    assert "convex_list" not in evaluate(workdir, config, split="val", draws=2)["main"]


def test_networks_of_a_scheme():
    class Costs:
        samplers = dict.fromkeys(("audio", "rgb_r", "md"))

    assert scheme_networks("visual", Costs) == ("md", "rgb_r")
    assert scheme_networks("audio", Costs) == ("audio",)
    assert scheme_networks("convex_score", Costs) == ("md", "rgb_r", "audio")


def write_saved_model(folder):
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "saved_model.pb").write_text("")


def test_a_run_is_exported_once_for_the_same_networks_and_settings(run, best, monkeypatch):
    workdir, config = applied(run, best)
    for kind in ("classifier", "md", "audio"):
        (workdir.model(kind) / "best.keras").write_text(kind)
    made = []

    def export(workdir, config, name, base, once):
        made.append(name)
        write_saved_model(base / name)

    monkeypatch.setattr("scsampler_tf.export.export", export)
    first = exported_run(workdir, config)
    assert first == exported_run(workdir, config) == run[0].path / "exports" / made[0]
    assert len(made) == 1
    (workdir.model("audio") / "best.keras").write_text("trained again")
    assert exported_run(workdir, config) != first
    other = dataclasses.replace(config, selection=dataclasses.replace(config.selection, K=2))
    assert exported_run(workdir, other).name == made[2]
    monkeypatch.setattr("scsampler_tf.run_export.EXPORT_FORMAT", 0)
    assert exported_run(workdir, other).name == made[3]
    assert len(set(made)) == 4


def test_the_exports_used_last_are_kept(run, monkeypatch):
    workdir, config = run
    monkeypatch.setattr(
        "scsampler_tf.export.export", lambda workdir, config, name, base, once: write_saved_model(base / name)
    )

    def exported(K: int):
        selection = dataclasses.replace(config.selection, K=K, K_prime=1)
        return exported_run(workdir, dataclasses.replace(config, selection=selection))

    made = [exported(K) for K in (1, 2, 3)]
    for age, folder in enumerate(made):
        os.utime(folder, (100 + age, 100 + age))
    exported(1)  # used again
    made.append(exported(4))
    assert [folder.exists() for folder in made] == [True, False, True, True]


def test_predict_takes_a_run_with_settings(run, best, monkeypatch, capsys):
    workdir, _ = run
    asked = []

    def exported(path, settings):
        asked.append((path, settings))
        return workdir.path / "exports" / "x"

    monkeypatch.setattr("scsampler_tf.run_export.exported_with", exported)
    words = ["video.mp4", "--workdir", str(workdir.path), "--config", str(best)]
    assert predict(words) == 2
    assert f"{workdir.path}/exports/x: no exported model here" in capsys.readouterr().err
    assert asked == [(str(workdir.path), str(best))]


def test_predict_refuses_what_is_no_run(tmp_path, capsys):
    assert predict(["video.mp4", "--workdir", str(tmp_path / "gone")]) == 2
    assert "no config.json here" in capsys.readouterr().err
    assert not (tmp_path / "gone").exists()
    with pytest.raises(SystemExit):
        predict(["video.mp4", "--model", "m", "--config", "best.json"])
    assert "--config is for a run; give --workdir" in capsys.readouterr().err
