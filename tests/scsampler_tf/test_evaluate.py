import json

import pytest

from pipelines.errors import UserError
from scsampler_tf.evaluate import evaluate, main, markdown, network_costs
from scsampler_tf.workdir import open_workdir

METHODS = ["random", "uniform", "empirical", "dense", "visual", "audio", "union_list", "oracle"]


@pytest.fixture(scope="module")
def results(tiny_run):
    return evaluate(*open_workdir(tiny_run.folder), draws=20)


def test_the_eight_methods_with_their_numbers(tiny_run, results):
    written = json.loads((tiny_run.folder / "results.json").read_text())
    for values in (results, written):
        assert list(values["main"]) == METHODS
        for row in values["main"].values():
            low, high = row["accuracy_ci"]
            assert 0 <= low <= row["accuracy"] <= high <= 1
            assert row["clips_per_video"] > 0
            assert row["gflops_per_video"] > 0
    assert results["main"]["dense"]["clips_per_video"] == 6
    assert results["main"]["visual"]["clips_per_video"] == 3
    assert results["used"]["videos"] == 3
    assert results["used"]["videos_with_sound"] == 2
    assert results["config"]["selection"]["K"] == 3
    json.dumps(results, allow_nan=False)


def test_costs_are_those_of_the_networks(tiny_run, results):
    costs = network_costs(open_workdir(tiny_run.folder)[0])
    assert costs.samplers["md"].examples_per_clip == 4
    assert costs.samplers["audio"].examples_per_clip == 1
    assert results["main"]["dense"]["gflops_per_video"] == pytest.approx(6 * costs.classifier / 1e9)
    md = 6 * 4 * costs.samplers["md"].multiply_adds
    residual = 6 * 2 * costs.samplers["rgb_r"].multiply_adds
    visual = results["main"]["visual"]["gflops_per_video"]
    assert visual == pytest.approx((3 * costs.classifier + md + residual) / 1e9)


def test_the_markdown_has_a_line_for_every_method(results):
    lines = markdown(results).splitlines()
    assert lines[0].startswith("| Method | Accuracy |")
    assert [line.split("|")[1].strip() for line in lines[2:10]] == [
        *("Random", "Uniform", "Empirical", "Dense"),
        *("SCSampler, visual", "SCSampler, audio", "SCSampler, AV-union-list", "Oracle"),
    ]
    assert len({line.count("|") for line in lines[:10]}) == 1
    assert "3 videos of split test (2 with sound, 0 files refused), K=3, K'=2" in lines[-1]
    plain = {
        name: {k: v for k, v in row.items() if k != "localisation"} for name, row in results["main"].items()
    }
    assert "Precision" not in markdown({**results, "main": plain})


def test_the_command(tiny_run, tmp_path, capsys):
    assert main(["--workdir", str(tiny_run.folder), "--draws", "5"]) == 0
    out = capsys.readouterr().out
    assert "| SCSampler, visual |" in out
    assert (tiny_run.folder / "report" / "main.md").read_text() in out
    assert main(["--workdir", str(tmp_path / "typo")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_settings_can_be_changed_for_one_table(tiny_run):
    workdir, config = open_workdir(tiny_run.folder)
    from scsampler_tf.config import with_settings

    changed = with_settings(config, ["selection.K=6", "selection.K_prime=0"])
    rows = evaluate(workdir, changed, draws=2)["main"]
    assert {row["accuracy"] for row in rows.values()} == {rows["dense"]["accuracy"]}
    with pytest.raises(UserError, match="K_prime"):
        with_settings(config, ["selection.K=1"])
