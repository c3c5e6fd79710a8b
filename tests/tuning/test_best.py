"""What `evaluate` and `export` make of the file that a search writes."""

import dataclasses
import json

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.evaluate import apply_best, evaluate, markdown
from scsampler_tf.methods import scheme_networks
from scsampler_tf.tables import load_table, save_table

SELECTION = {"K": 3, "K_prime": 1, "alpha": 0.25, "fusion": "convex_list", "stride": 2}
OTHER = {"margin": 0.2, "folder": "tuning/other", "table": "tuning/other/scores.npz"}


@pytest.fixture
def best(run):
    """best.json with an audio sampler of another margin, whose scores are the own ones turned round."""
    workdir, _ = run
    own = load_table(workdir.table("audio"))
    turned = {name: 1 - rows for name, rows in own.values.items()}
    save_table(dataclasses.replace(own, values=turned), workdir.path / OTHER["table"])
    (workdir.path / OTHER["folder"] / "model.json").write_text(
        (workdir.model("audio") / "model.json").read_text()
    )
    path = workdir.path / "best.json"
    path.write_text(json.dumps({"selection": SELECTION, "audio": OTHER}))
    return path


def test_selection_and_audio_sampler_are_taken(run, best):
    workdir, config = run
    changed, found = apply_best(workdir, config, best)
    assert found.selection == dataclasses.replace(config.selection, **SELECTION)
    assert found.classifier == config.classifier
    assert changed.model("audio") == workdir.path / OTHER["folder"]
    assert changed.table("audio") == workdir.path / OTHER["table"]
    for kind in ("classifier", "md", "rgb_r"):
        assert changed.model(kind) == workdir.model(kind)
        assert changed.table(kind) == workdir.table(kind)
    assert changed.features == workdir.features
    assert apply_best(workdir, config, None) == (workdir, config)


@pytest.mark.parametrize(
    "audio", [None, {"margin": 0.1, "folder": "models/audio", "table": "scores/audio.npz"}]
)
def test_the_runs_own_sampler_stays(run, best, audio):
    workdir, config = run
    best.write_text(json.dumps({"selection": SELECTION, "audio": audio}))
    assert apply_best(workdir, config, best)[0] == workdir


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"val": {}}, "holds no selection settings"),
        ([], "holds no selection settings"),
        ({"selection": {**SELECTION, "K_prime": 4}}, "selection.K_prime: 4"),
        ({"selection": {"speed": 1}}, "unknown setting 'selection.speed'"),
        ({"selection": SELECTION, "audio": {**OTHER, "folder": "tuning/gone"}}, "not in this run"),
        ({"selection": SELECTION, "audio": {"margin": 0.2}}, "not in this run"),
    ],
)
def test_mistakes(run, best, content, words):
    best.write_text(json.dumps(content))
    with pytest.raises(UserError, match=words):
        apply_best(*run, best)


def test_the_found_scheme_has_a_row_beside_the_standard_ones(run, best):
    workdir, config = apply_best(*run, best)
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
    workdir, config = apply_best(*run, best)
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
