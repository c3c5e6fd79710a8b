import csv
import dataclasses
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.errors import UserError
from scsampler_tf.evaluate import network_costs
from scsampler_tf.evaluation_set import evaluation_set, load_tables
from scsampler_tf.found_settings import apply_found, found_in
from scsampler_tf.tables import load_table, save_table
from tests.tuning.conftest import change_json
from tuning.assess import assess, make_measure
from tuning.free import make_free_space
from tuning.options import Options
from tuning.search import main, search

pytestmark = pytest.mark.filterwarnings(
    r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning",
)
QUIET = Options(quiet=True, objective="val_accuracy", clips=(1, 2, 4), max_trials=6)


def run_search(run, **options) -> dict:
    return search(*run, dataclasses.replace(QUIET, **options))


def read(run, name: str) -> dict:
    return json.loads((run[0].path / "tuning" / name).read_text())


def table_of(run, name: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO((run[0].path / "tuning" / name).read_text())))


def test_without_training_the_best_of_the_free_space_is_found(run, trainings):
    workdir, config = run
    best = run_search(run, train=())
    assert trainings == []
    assert json.loads(json.dumps(best)) == read(run, "best.json")
    data = evaluation_set(workdir.index(config), load_tables(workdir), "val")
    costs = network_costs(workdir)
    every = make_free_space(config.selection, visual=True, audio=True, longest=12, clips=(1, 2, 4)).settings()
    measure = make_measure("val_accuracy", data, costs)
    values = {setting: measure.value(assess(data, setting, costs)) for setting in every[::5]}
    assert best["found"]["objective"] >= max(values.values()) - 1e-9
    # The planted clips: the one that md likes best is right alone, four clips are mostly wrong ones.
    assert best["found"]["val"]["accuracy"] == 1.0
    assert best["selection"]["K"] == 1
    assert [row["trial"] for row in table_of(run, "trials.csv")] == ["own", "001"]


@pytest.fixture
def margins_only(run, monkeypatch):
    """Nothing but margins to search, and an MD sampler that is of no use."""
    monkeypatch.setattr("tuning.trained.OBJECTIVES", ("sal_rank",))
    monkeypatch.setattr("tuning.trained.RATES", (1.0,))
    table = load_table(run[0].table("md"))
    rng = np.random.default_rng(1)
    noise = {name: rng.random(len(rows)).astype(np.float32) for name, rows in table.values.items()}
    save_table(dataclasses.replace(table, values=noise), run[0].table("md"))


def test_a_better_margin_is_found_and_its_network_used(run, trainings, margins_only):
    workdir, config = run
    best = run_search(run, tuner="grid", train=("audio",))
    assert trainings == ["audio"] * 4  # the run's own is trial 1 and needs none
    assert best["audio"]["margin"] == 0.2
    assert best["audio"]["objective"] == "sal_rank"
    assert best["networks"]["audio"]["folder"].startswith("tuning/samplers/audio-")
    assert "folder" not in best["networks"]["md"]
    path = workdir.path / "tuning" / "best.json"
    changed, found = apply_found(workdir, config, found_in(path), path)
    data = evaluation_set(changed.index(found), load_tables(changed), "val")
    numbers = assess(data, found.selection, network_costs(changed))
    assert numbers.true_score == pytest.approx(best["found"]["val"]["true_score"], abs=1e-6)
    assert numbers.accuracy == best["found"]["val"]["accuracy"]


def test_samplers_are_shared_by_trials_and_combined_without_training(run, trainings):
    run_search(run, tuner="random", max_trials=4, seed=1)
    assert sorted(trainings) == ["audio"] * 3 + ["md"] * 3
    names = [row["trial"] for row in table_of(run, "trials.csv")]
    # 4 x 4 sets of samplers, of which the trials were 4.
    assert names == ["own", "001", "002", "003", "004", *(f"mix-{n:03d}" for n in range(1, 13))]
    run_search(run, tuner="random", max_trials=4, seed=1, combinations=2)
    assert len(table_of(run, "trials.csv")) == 5 + 2
    assert len(trainings) == 6


def test_same_command_keeps_what_is_done(run, trainings, capsys):
    loud = {"quiet": False, "combinations": 0}
    run_search(run, max_trials=3, **loud)
    first, made = table_of(run, "trials.csv"), list(trainings)
    capsys.readouterr()
    run_search(run, max_trials=5, **loud)
    assert table_of(run, "trials.csv")[: len(first)] == first
    text = capsys.readouterr().out
    assert "3 of 5 trials are done" in text
    assert "trial 005/005: " in text
    assert "own   union_list K=5 K'=4 stride=1: accuracy" in text
    assert trainings[: len(made)] == made
    samplers = workdir_samplers(run)
    assert len(trainings) == len(set(samplers)) == len(samplers)


def workdir_samplers(run) -> list[str]:
    """Everything that was trained, as it is noted beside its scores."""
    return [path.read_text() for path in (run[0].path / "tuning" / "samplers").glob("*/about.json")]


def test_trainings_are_limited_over_all_runs_of_a_search(run, trainings, capsys):
    for most, made in ((0, 0), (1, 1), (1, 1), (5, 5)):
        run_search(run, max_trainings=most, quiet=False)
        assert len(trainings) == made
    assert "--max-trainings 5 are spent; a larger number goes on" in capsys.readouterr().out
    run_search(run)
    assert len(table_of(run, "trials.csv")) >= 1 + 6
    assert len(trainings) == len(set(workdir_samplers(run)))  # none twice


def test_a_budget_in_gflops(run, trainings):
    own = read_own(run)
    best = run_search(run, train=(), max_gflops=5.0)
    assert best["found"]["val"]["gflops_per_video"] <= 5.0 < own.gflops_per_video
    front = table_of(run, "front.csv")
    assert max(float(row["gflops_per_video"]) for row in front) >= best["found"]["val"]["gflops_per_video"]


def read_own(run):
    workdir, config = run
    data = evaluation_set(workdir.index(config), load_tables(workdir), "val")
    return assess(data, config.selection, network_costs(workdir))


def test_a_smooth_objective(run, trainings):
    best = run_search(run, train=(), objective="val_smooth_accuracy", clips=None)
    assert best["found"]["objective"] <= best["found"]["val"]["accuracy"] + 0.001


@pytest.mark.parametrize("objective", ["val_true_score", "val_mean_class_accuracy"])
def test_other_objectives_are_other_searches(run, trainings, objective):
    run_search(run, train=())
    best = run_search(run, train=(), objective=objective)
    column = objective.removeprefix("val_")
    assert best["found"]["val"][column] >= getattr(read_own(run), column)
    assert len(list((run[0].path / "tuning").glob("random-seed0-*"))) == 2


def test_other_networks_begin_another_search(run, trainings):
    workdir, _ = run
    run_search(run, train=())
    table = load_table(workdir.table("md"))
    save_table(dataclasses.replace(table, made_by={"network": "md-2"}), workdir.table("md"))
    run_search(run, train=())
    assert len(list((workdir.path / "tuning").glob("random-seed0-*"))) == 2


def test_every_point_of_the_front_has_a_settings_file(run, trainings):
    workdir, config = run
    run_search(run, max_trials=3)
    front = table_of(run, "front.csv")
    assert sorted((workdir.path / "tuning" / "front").glob("*.json")) == [
        workdir.path / "tuning" / row["file"] for row in front
    ]
    for row in front:
        path = workdir.path / "tuning" / row["file"]
        changed, found = apply_found(workdir, config, found_in(path), path)
        data = evaluation_set(changed.index(found), load_tables(changed), "val")
        numbers = assess(data, found.selection, network_costs(changed))
        assert numbers.accuracy == float(row["accuracy"])
        assert numbers.gflops_per_video == pytest.approx(float(row["gflops_per_video"]))
    costs = [float(row["gflops_per_video"]) for row in front]
    assert costs == sorted(costs)
    assert (workdir.path / "tuning" / "front.png").stat().st_size > 5000
    knee = read(run, "knee.json")["found"]["val"]
    assert knee["gflops_per_video"] <= max(costs)


def test_only_the_best_networks_are_kept(run, trainings):
    workdir, _ = run
    best = run_search(run, tuner="grid", train=("audio",), max_trials=12, keep=2)
    kept = list((workdir.path / "tuning" / "samplers").glob("*/network/best.keras"))
    assert len(trainings) == 11
    assert len(kept) <= 2
    if "folder" in best["networks"]["audio"]:
        assert workdir.path / best["networks"]["audio"]["folder"] / "best.keras" in kept
    assert len(list((workdir.path / "tuning" / "samplers").glob("*/scores.npz"))) == 11
    again = run_search(run, tuner="grid", train=("audio",), max_trials=12, keep=2)
    assert (again, len(trainings)) == (best, 11)


def test_a_network_that_was_not_kept_is_restored(run, trainings, margins_only, capsys):
    workdir, config = run
    run_search(run, tuner="grid", train=("audio",))
    path = workdir.path / "tuning" / "best.json"
    folder = workdir.path / read(run, "best.json")["networks"]["audio"]["folder"]
    for kind in ("classifier", "md"):
        (workdir.model(kind) / "best.keras").write_text("")
    (folder / "best.keras").unlink()
    with pytest.raises(UserError, match="--restore"):
        apply_found(workdir, config, found_in(path), path, networks=True)
    words = ["--workdir", str(workdir.path), "--restore", str(path)]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(folder)
    apply_found(workdir, config, found_in(path), path, networks=True)
    made = len(trainings)
    assert main(words) == 0
    assert len(trainings) == made


def test_the_test_videos_are_looked_at_once(run, trainings, monkeypatch):
    from tuning import held_out

    run_search(run, train=(), test=False)
    assert not (run[0].path / "tuning" / "test.json").exists()
    run_search(run, train=())
    first = read(run, "test.json")
    assert (first["looks"], first["videos"]) == (1, 6)
    assert list(first["rows"]) == [
        *("best", "knee", "own"),
        *("paper, union_list", "paper, convex_list", "paper, convex_score"),
    ]
    workdir, config = run
    data = evaluation_set(workdir.index(config), load_tables(workdir), "test")
    own = assess(data, config.selection, network_costs(workdir))
    assert first["rows"]["own"]["accuracy"] == own.accuracy
    assert first["rows"]["own"]["gflops_per_video"] == own.gflops_per_video
    assert first["rows"]["best"]["best_against_it"] is None
    with monkeypatch.context() as patched:
        patched.setattr(held_out, "assess_each", lambda *args: pytest.fail("looked again"))
        run_search(run, train=())
    assert read(run, "test.json") == first
    run_search(run, train=(), clips=(4,))
    assert read(run, "test.json")["looks"] == 2


def test_the_search_looks_at_validation_videos_only(run, trainings, monkeypatch):
    from tuning import study

    splits = []
    real = study.evaluation_set
    monkeypatch.setattr(study, "evaluation_set", lambda *args: (splits.append(args[2]), real(*args))[1])
    run_search(run, max_trials=3, test=False)
    assert set(splits) == {"val"}


def test_tables_and_tensorboard(run, trainings):
    workdir, _ = run
    run_search(run, max_trials=3, combinations=0)
    folder = workdir.path / "tuning"
    rows = table_of(run, "trials.csv")
    assert [row["trial"] for row in rows] == ["own", "001", "002", "003"]
    assert "| own | union_list K=5 K'=4 stride=1 |" in (folder / "trials.md").read_text()
    (logs,) = (folder / "logs").iterdir()
    assert sorted(path.name for path in logs.iterdir() if path.is_dir()) == ["001", "002", "003"]
    events = EventAccumulator(str(logs / "002"))
    events.Reload()
    for tag in ("objective", "val_accuracy", "val_true_score", "gflops_per_video"):
        (point,) = events.Tensors(tag)
        value = float(rows[2][tag.removeprefix("val_")])
        assert float(tf.make_ndarray(point.tensor_proto)) == pytest.approx(value, rel=1e-6)
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    for name in (b"md.objective", b"audio.learning_rate", b"fusion", b"K_prime"):
        assert name in content


def test_an_error_in_training_is_told_and_the_trial_tried_again(run, monkeypatch):
    def fails(*args, **options):
        raise UserError("shard v3: cannot be read")

    monkeypatch.setattr("scsampler_tf.train.train", fails)
    for _ in range(2):
        with pytest.raises(UserError, match="shard v3: cannot be read"):
            run_search(run)
    assert [row["trial"] for row in table_of(run, "trials.csv")] == ["own", "001"]


def test_samplers_that_diverge_are_failed_trials(run, trainings, capsys):
    workdir, _ = run
    change_json(workdir.model("md") / "model.json", lambda about: about["config"].update(learning_rate=0.4))
    best = run_search(run, tuner="grid", train=("md",), max_trials=10, quiet=False)
    text = capsys.readouterr().out
    assert "its training diverged" in text
    assert "whose training diverged" in text
    assert best["found"]["val"]["accuracy"] == 1.0


def test_by_default_samplers_trained_with_saliency_may_change(run, trainings):
    workdir, _ = run
    change_json(workdir.model("audio") / "model.json", lambda about: about["config"].update(objective="ac"))
    run_search(run, max_trials=3)
    assert set(trainings) == {"md"}


def test_visual_sampler_alone(run, trainings):
    workdir, _ = run
    workdir.table("audio").unlink()
    best = run_search(run, max_trials=2, clips=None)
    assert best["selection"]["fusion"] == "visual"
    assert set(best["networks"]) == {"classifier", "md"}
    assert trainings == ["md"]


def test_minutes_end_a_search_that_goes_on_later(run, trainings, monkeypatch, capsys):
    clock = iter([0.0])
    monkeypatch.setattr("tuning.deadline.time.monotonic", lambda: next(clock, 100.0))
    best = run_search(run, max_minutes=1.0, quiet=False)
    assert trainings == []
    assert "--max-minutes 1 are over; a larger number goes on" in capsys.readouterr().out
    assert best["found"]["trial"] in ("own", "001")


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
        (None, ["--keep", "0"], "--keep 0: give 1 or more"),
        (None, ["--free-budget", "0"], "--free-budget 0: give 1 or more"),
        (None, ["--clips", "13"], "the longest validation video has 12 clips"),
        (None, ["--max-trainings", "-2"], "--max-trainings -2: give 0 or more"),
        (None, ["--max-minutes", "0"], "--max-minutes 0: give a number above 0"),
        (None, ["--max-gflops", "nan"], "--max-gflops nan: give a number above 0"),
        (None, ["--max-gflops", "0.1"], "--max-gflops 0.1: no setting is that cheap; the cheapest takes"),
        (None, ["--train", "rgb_r"], "--train rgb_r: the run has no scored sampler of that kind"),
        (None, ["--train", "eyes"], "--train eyes: is none of md, rgb_r, audio"),
        (None, ["--seed", "-1"], "--seed -1: give 0 or more"),
        (None, ["--restore", "gone.json"], "gone.json: no such file"),
    ],
)
def test_mistakes_are_one_sentence(run, capsys, damage, options, words):
    workdir, _ = run
    if damage:
        damage(workdir)
    assert main(["--workdir", str(workdir.path), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (workdir.path / "tuning").exists()


def test_two_searches_at_once_are_refused(run, trainings, capsys):
    from pipelines.folder_lock import only_writer

    workdir, _ = run
    (workdir.path / "tuning").mkdir()
    with only_writer(workdir.path / "tuning"):
        assert main(["--workdir", str(workdir.path), "--max-trials", "2"]) == 2
    assert "another run is writing here" in capsys.readouterr().err


def test_nothing_is_written_beside_the_searchs_own_folder(run, trainings):
    workdir, _ = run
    before = {path: path.stat().st_mtime_ns for path in workdir.path.rglob("*") if path.is_file()}
    run_search(run, max_trials=3)
    after = {
        path: path.stat().st_mtime_ns
        for path in workdir.path.rglob("*")
        if path.is_file() and workdir.path / "tuning" not in path.parents
    }
    assert after == before
