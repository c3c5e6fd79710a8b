import json
import shutil

import pytest
from PIL import Image

from pipelines.errors import UserError
from scsampler_tf.evaluate import evaluate, main, markdown, network_costs
from scsampler_tf.experiments.catalogue import TABLES
from scsampler_tf.workdir import open_workdir

FROM_SCORES = ("main", "combinations", "sweep-k", "sweep-kprime", "stride", "localisation", "beyond")
METHODS = ["random", "uniform", "empirical", "dense", "visual", "audio", "union_list", "oracle"]


@pytest.fixture(scope="module")
def results(tiny_run):
    return evaluate(*open_workdir(tiny_run.folder), draws=20)


def test_the_eight_methods_with_their_numbers(tiny_run, results):
    written = json.loads((tiny_run.folder / "results.json").read_text())
    assert len(results["comparisons"]) == 3 * 3
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
    assert "networks alone on" in lines[-1]
    plain = {
        name: {k: v for k, v in row.items() if k != "localisation"} for name, row in results["main"].items()
    }
    assert "Precision" not in markdown({**results, "main": plain})


def test_the_command(tiny_run, tmp_path, capsys):
    assert main(["--workdir", str(tiny_run.folder), "--draws", "5"]) == 0
    out = capsys.readouterr().out
    assert "| SCSampler, visual |" in out
    written = (tiny_run.folder / "report" / "main.md").read_text()
    ours, published = written.split("\n## Published numbers")
    assert ours in out
    assert "Paper, table 1: Sports1M" in published
    assert "table 1" not in out
    assert main(["--workdir", str(tmp_path / "typo")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture
def copied(tiny_run, tmp_path):
    """A run of its own, without networks' weights, that a test may write to."""
    ignore = shutil.ignore_patterns("*.keras", "saved_models", "shards", "report")
    return shutil.copytree(tiny_run.folder, tmp_path / "run", ignore=ignore)


def test_all_tables_as_data_text_and_picture(copied, capsys):
    assert main(["all", "--workdir", str(copied), "--draws", "2"]) == 0
    lacking = capsys.readouterr().out.partition("not made:\n")[2]
    assert not [name for name in FROM_SCORES if f"{name}: " in lacking]
    names = {f"{name}{suffix}" for name in FROM_SCORES for suffix in (".json", ".md", ".png")}
    assert {path.name for path in (copied / "report").iterdir()} == names
    for name in FROM_SCORES:
        assert json.loads((copied / "report" / f"{name}.json").read_text())["name"] == name
        with Image.open(copied / "report" / f"{name}.png") as picture:
            assert min(picture.size) > 300
    results = json.loads((copied / "results.json").read_text())
    table = json.loads((copied / "report" / "main.json").read_text())
    assert table["sections"][1]["rows"] == results["comparisons"]
    dense = results["main"]["dense"]
    seconds = results["used"]["timing"]["classifier"]["seconds_per_clip"]
    assert dense["seconds_per_video"] == pytest.approx(6 * seconds)


def test_what_a_run_does_not_allow_is_listed(copied, capsys):
    (copied / "scores" / "audio.npz").unlink()
    assert main(["all", "--workdir", str(copied), "--draws", "1", "--split", "val"]) == 0
    out = capsys.readouterr().out
    assert out.split("not made:\n")[1].count("no scores of a sampler audio") == 2
    assert (copied / "report" / "sweep-k-val.png").exists()
    assert not (copied / "report" / "combinations-val.json").exists()
    assert main(["combinations", "--workdir", str(copied)]) == 2
    err = capsys.readouterr().err
    assert "python -m scsampler_tf.score audio" in err
    assert err.count("\n") == 1


def test_mistakes_are_one_sentence(copied, capsys):
    run = ["--workdir", str(copied)]
    assert main(["main", *run, "--draws", "0"]) == 2
    assert "--draws 0: give 1 or more" in capsys.readouterr().err
    (copied / "scores" / "classifier.npz").unlink()
    for name in TABLES:
        assert main([name, *run]) == 2
        err = capsys.readouterr().err
        assert "no such score table; make it with python -m scsampler_tf.score" in err
        assert err.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["table-9", *run])
    assert "sweep-k" in capsys.readouterr().err


def test_settings_can_be_changed_for_one_table(tiny_run):
    workdir, config = open_workdir(tiny_run.folder)
    from scsampler_tf.config import with_settings

    changed = with_settings(config, ["selection.K=6", "selection.K_prime=0"])
    rows = evaluate(workdir, changed, draws=2)["main"]
    assert {row["accuracy"] for row in rows.values()} == {rows["dense"]["accuracy"]}
    with pytest.raises(UserError, match="K_prime"):
        with_settings(config, ["selection.K=1"])
