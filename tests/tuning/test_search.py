import dataclasses
import json
from types import SimpleNamespace

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.errors import UserError
from scsampler_tf.evaluate import network_costs
from scsampler_tf.evaluation_set import evaluation_set, load_tables
from scsampler_tf.found_settings import apply_found, found_in
from scsampler_tf.tables import load_table, save_table
from tests.tuning.conftest import change_json
from tests.tuning.searching import read, run_search, table_of
from tuning.assess import assess, make_measure
from tuning.free import make_free_space

pytestmark = pytest.mark.filterwarnings(
    r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning",
)


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


def test_torn_notes_leave_the_count_of_trainings_alone(run, trainings, capsys):
    run_search(run, max_trainings=2)
    (oracle,) = (run[0].path / "tuning").glob("random-seed0-*/notes/oracle.json")
    oracle.write_text(oracle.read_text()[:40])
    run_search(run, max_trainings=2, quiet=False)
    said = capsys.readouterr().out
    assert "gone through again" in said
    assert "--max-trainings 2 are spent" in said
    assert len(trainings) == 2


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
    best = run_search(run, train=(), objective="val_smooth_accuracy", clips=(1, 2, 3, 4))
    workdir, config = run
    data = evaluation_set(workdir.index(config), load_tables(workdir), "val")
    costs = network_costs(workdir)
    every = make_free_space(
        config.selection, visual=True, audio=True, longest=12, clips=(1, 2, 3, 4)
    ).settings()
    accuracy = {each: assess(data, each, costs).accuracy for each in every}
    alphas = sorted({each.alpha for each in every})

    def step(each):
        if each.fusion == "union_list":
            return each.K_prime
        return alphas.index(each.alpha) if each.fusion.startswith("convex") else 0

    def smooth(one):
        around = [
            accuracy[each]
            for each in every
            if each.fusion == one.fusion
            and abs(each.stride - one.stride) <= 1
            and abs(step(each) - step(one)) <= 1
            and abs(place(each) - place(one)) <= 1
        ]
        return sum(around) / len(around)

    def place(each):  # K = 5 is the run's own
        return (1, 2, 3, 4, 5).index(each.K)

    values = {each: smooth(each) for each in every if each.fusion != "convex_score"}
    chosen = dataclasses.replace(config.selection, **best["selection"])
    mine = smooth(chosen)
    # What follows the accuracy, which counts in thousandths, weighs less than one of them.
    assert round(mine, 3) >= max(round(each, 3) for each in values.values()) - 0.001
    assert 0 <= best["found"]["objective"] - round(mine, 3) < 0.001
    assert best["found"]["val"]["accuracy"] == accuracy[chosen]


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
    monkeypatch.setattr("tuning.deadline.time", SimpleNamespace(monotonic=lambda: next(clock, 100.0)))
    best = run_search(run, max_minutes=1.0, quiet=False)
    assert trainings == []
    assert "--max-minutes 1 are over; a larger number goes on" in capsys.readouterr().out
    assert best["found"]["trial"] in ("own", "001")


def test_sets_that_there_is_no_time_for_are_left_out_and_told(run, trainings, monkeypatch):
    run_search(run, tuner="random", max_trials=4, seed=1, combinations=0)
    asked = iter([False, False, True])
    monkeypatch.setattr("tuning.deadline.Deadline.over", lambda self, late=0.0: late > 0 and next(asked))
    run_search(run, tuner="random", max_trials=4, seed=1, max_minutes=60.0)
    names = [row["trial"] for row in table_of(run, "trials.csv")]
    assert names == ["own", "001", "002", "003", "004", "mix-001", "mix-002"]
    # 4 x 4 sets of samplers, of which the trials were 4 and two more were tried.
    assert (
        "10 more sets not tried because the minutes were over"
        in (run[0].path / "tuning" / "trials.md").read_text()
    )


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
