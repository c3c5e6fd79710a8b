"""The tables on a run made by hand, and what must hold on any run."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UserError
from scsampler_tf.experiments import combinations, main, stride, sweep_k, sweep_kprime
from scsampler_tf.experiments.catalogue import make
from scsampler_tf.experiments.rows import steps, with_k
from scsampler_tf.tables import ScoreTable, save_table
from scsampler_tf.workdir import Workdir
from tests.scsampler_tf.experiments.runs import LABELS, LENGTHS, TRUE, hand_run
from tests.scsampler_tf.records import two_class_set

FROM_SCORES = ("main", "combinations", "sweep-k", "sweep-kprime", "stride", "localisation")
DENSE = 1 / 4  # only the last video, see test_methods.py


def by(rows, key="name"):
    return {row[key]: row for row in rows}


@pytest.mark.parametrize("name", FROM_SCORES)
def test_every_table_is_plain_data_and_says_what_it_stands_on(name):
    found = make(name, hand_run())
    values = found.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == json.loads(json.dumps(values))
    assert values["name"] == name
    assert values["used"]["videos"] == 4
    assert values["used"]["selection"]["K"] == 2
    assert values["used"]["networks"]["audio"] == {"network": "audio-1", "objective": "ac"}
    assert values["config"]["selection"]["K_prime"] == 1
    notes = " ".join(values["notes"])
    assert "4 videos of split test (3 with sound, 0 files refused), K=2, K'=1" in notes
    assert "classifier classifier-1, md md-1 (ac)" in notes
    for section in [*values["sections"], *values["published"]]:
        keys = {column["key"] for column in section["columns"]}
        assert section["rows"]
        assert all(keys <= set(row) for row in section["rows"])
    for panel in values["panels"]:
        for series in panel["series"]:
            more = 1 if panel["kind"] == "steps" else 0
            assert len(series["x"]) == len(series["y"]) + more


def test_main_compares_every_sampler_with_every_baseline():
    rows = main.table(hand_run()).sections[1].rows
    assert [(row["name"], row["against"]) for row in rows] == [
        (name, other)
        for name in ("visual", "audio", "union_list")
        for other in ("Dense", "Uniform", "Random")
    ]
    visual = rows[0]
    # Right on the first and the last video, dense on the last one.
    assert (visual["difference"], visual["ahead"], visual["behind"]) == (1 / 4, 1, 0)
    assert (visual["p_value"], visual["verdict"]) == (1, "not shown")


def test_seconds_are_those_of_the_networks_that_a_method_runs():
    rows = by(main.table(hand_run(device="2 CPU cores")).sections[0].rows)
    clips = np.minimum(LENGTHS, 2).mean()
    # 1 s a clip for f, 2 for MD, 3 for RGB-R, 4 for sound; the silent third video is ranked by sight.
    assert rows["random"]["seconds_per_video"] == pytest.approx(clips)
    assert rows["dense"]["seconds_per_video"] == rows["oracle"]["seconds_per_video"] == LENGTHS.mean()
    assert rows["visual"]["seconds_per_video"] == pytest.approx(clips + 5 * LENGTHS.mean())
    assert rows["audio"]["seconds_per_video"] == pytest.approx(clips + (4 * (4 + 3 + 1) + 5 * 2) / 4)
    notes = " ".join(main.table(hand_run(device="2 CPU cores")).notes)
    assert "networks alone on 2 CPU cores" in notes
    assert "classifier 1e+03 ms" in notes


def test_without_times_there_are_no_seconds():
    found = main.table(hand_run())
    assert all(row["seconds_per_video"] is None for row in found.sections[0].rows)
    assert "Seconds are not known" in " ".join(found.notes)
    run = hand_run(device="2 CPU cores")
    run.tables["md"].timing["device"] = "another"
    assert "Seconds are not known" in " ".join(main.table(run).notes)


def test_combinations_are_those_of_table_7():
    found = combinations.table(hand_run())
    rows = by(found.sections[0].rows)
    assert list(rows) == [
        *("convex_list", "convex_score", "union_list", "intersect_list", "joint"),
        *("visual", "audio", "random", "uniform", "dense"),
    ]
    assert rows["dense"]["accuracy"] == DENSE
    assert rows["visual"]["accuracy"] == 2 / 4
    assert rows["audio"]["accuracy"] == 2 / 4
    assert len(found.sections[1].rows) == 7 * 3
    assert rows["joint"]["method"] == "SCSampler, AV-joint, trained apart"
    assert any("fine-tunes all networks" in note for note in found.notes)


@pytest.mark.parametrize("table", [main, sweep_k, stride])
def test_a_joint_score_of_networks_trained_apart_is_called_so(table):
    text = json.dumps(table.table(hand_run(fusion="joint")).to_dict()["sections"])
    title = json.dumps(table.table(hand_run(fusion="joint")).title)
    assert "SCSampler, AV-joint, trained apart" in text + title
    assert "AV-joint-training" not in text + title


def test_networks_trained_together_take_the_joint_row(tmp_path):
    """Their scores are the clips' own in place of the networks' of the run; the other rows stay."""
    run = hand_run()
    videos = [
        dataclasses.replace(video, video_id=str(row), clips=int(LENGTHS[row]), label="ab"[LABELS[row]])
        for row, video in enumerate(run.data.videos)
    ]
    ids = [video.video_id for video in videos]
    classifier = {name: run.data.probabilities[row, : LENGTHS[row]] for row, name in enumerate(ids)}
    tables = {**run.tables, "classifier": ScoreTable("classifier", classifier, {"network": "c"})}
    run = dataclasses.replace(
        run,
        workdir=Workdir(tmp_path),
        tables=tables,
        index=dataclasses.replace(run.index, videos=videos),
    )
    apart = by(combinations.table(run).sections[0].rows)
    for kind in ("md", "rgb_r", "audio"):
        assert by(combinations.table(run).sections[0].rows)["joint"]["method"].endswith("trained apart")
        assert "joint" not in by(main.table(run).sections[0].rows)
        values = {name: np.float32(TRUE[row]) for row, name in enumerate(ids)}
        save_table(ScoreTable(kind, values, {"network": f"joint-{kind}"}), run.workdir.jointly().table(kind))
    found = combinations.table(run)
    together = by(found.sections[0].rows)
    assert together["joint"]["method"] == "SCSampler, AV-joint-training"
    # They choose as the oracle does.
    assert together["joint"]["accuracy"] == 3 / 4
    assert {name: row for name, row in together.items() if name != "joint"} == {
        name: row for name, row in apart.items() if name != "joint"
    }
    assert found.used["joint_networks"]["md"] == {"network": "joint-md"}
    assert not any("fine-tunes" in note for note in found.notes)
    rows = by(main.table(run).sections[0].rows)
    assert rows["joint"] == together["joint"]
    compared = [row["method"] for row in main.table(run).sections[1].rows if row["name"] == "joint"]
    assert compared == ["SCSampler, AV-joint-training"] * 3
    assert list(rows)[-2:] == ["joint", "oracle"]


def test_k_from_one_clip_to_all():
    found = sweep_k.table(hand_run())
    rows = by(found.sections[0].rows, "K")
    assert list(rows) == [1, 2, 3, 4]
    # One clip: 0; 2; 0, the earlier of two equal ones; the only one.
    assert rows[1]["visual"] == 2 / 4
    # Clips 0, 1, either, the only one: right but for the third.
    assert rows[1]["oracle"] == 3 / 4
    # The middle ones: clips 1, 1, 0, 0.
    assert rows[1]["uniform"] == 2 / 4
    assert {value for key, value in rows[4].items() if key != "K"} == {DENSE}
    dense = found.panels[0].series[-1]
    assert (dense.name, dense.x, dense.y) == ("dense", [4], [DENSE])


def test_k_prime_from_ears_to_eyes():
    run = hand_run()
    found = sweep_kprime.table(run)
    rows = by(found.sections[0].rows, "K_prime")
    levels = {series.name: series.y[0] for series in found.panels[0].series[1:]}
    assert list(rows) == [0, 1, 2]
    assert rows[0]["accuracy"] == levels["audio"]
    assert rows[2]["accuracy"] == levels["visual"]
    assert levels["dense"] == DENSE


def test_strides_and_what_others_give_for_the_same_cost():
    found = stride.table(hand_run(fusion="visual"))
    rows = by(found.sections[0].rows, "stride")
    assert list(rows) == [1, 2]
    assert rows[1]["scored_clips"] == 2.5
    assert rows[2]["scored_clips"] == (2 + 2 + 1 + 1) / 4
    # 0.5 a scored clip, 2 a classified one.
    assert rows[1]["gflops_per_video"] == pytest.approx(0.5 * 2.5 + 2 * 7 / 4)
    assert rows[2]["gflops_per_video"] == pytest.approx(0.5 * 1.5 + 2 * 6 / 4)
    # 2 GFLOPs a clip: K = 1, 2, 3, 4 cost 2, 3.5, 4.5 and 5 a video; there are 4.75 and 3.75.
    assert (rows[1]["same_cost_K"], rows[2]["same_cost_K"]) == (3, 2)
    # First and last of each: right on the first and the last video; of three clips 0, 2 and 3 (halves later).
    assert rows[2]["uniform"] == 2 / 4
    costs = {series.name: series.x for series in found.panels[1].series}
    assert costs["uniform"] == pytest.approx([2, 3.5, 4.5])
    assert costs["visual"] == pytest.approx([4.75, 3.75])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.floats(0.01, 100))
def test_the_clips_that_a_budget_pays_for(lengths, budget):
    found = stride.affordable_k(np.array(lengths), 2.0, budget)
    costs = [2 * np.mean([min(K, length) for length in lengths]) for K in range(1, max(lengths) + 1)]
    paid = [K for K, cost in enumerate(costs, 1) if cost <= budget + 1e-9]
    assert found == max(paid, default=1)


@pytest.mark.parametrize(
    ("name", "missing", "words"),
    [
        ("combinations", {"audio": None}, "combinations: .* no scores of a sampler audio; .*--kind audio"),
        ("combinations", {"visual": None}, "combinations: .* sampler md or rgb_r; .*--kind md"),
        ("sweep-kprime", {"audio": None}, "sweep-kprime: .* sampler audio"),
        ("stride", {"visual": None, "audio": None}, "stride: .* sampler md or rgb_r"),
        ("localisation", {"visual": None, "audio": None}, "localisation: .* sampler md or rgb_r"),
    ],
)
def test_what_is_missing_is_said_with_the_command_that_makes_it(name, missing, words):
    with pytest.raises(UserError, match=f"{words}.* --workdir runs/hand and python -m scsampler_tf.score"):
        make(name, hand_run(**missing))


@pytest.mark.parametrize("missing", [{"audio": None}, {"visual": None}])
@pytest.mark.parametrize("name", ["main", "sweep-k", "stride", "localisation"])
def test_one_sampler_is_enough_for_the_others(name, missing):
    assert make(name, hand_run(**missing)).sections


def test_the_samplers_alone_need_no_training_videos():
    run = hand_run()
    assert "empirical" not in by(main.table(run).sections[0].rows)
    run = dataclasses.replace(run, train=run.data)
    assert "empirical" in by(main.table(run).sections[0].rows)
    assert "empirical" in sweep_k.table(run).sections[0].rows[0]


def test_a_k_of_all_clips_and_a_silent_set_are_remarked():
    notes = " ".join(main.table(hand_run(K=4)).notes)
    assert "The longest video has 4 clips and K is 4" in notes
    assert "The longest video" not in " ".join(main.table(hand_run()).notes)
    silent = hand_run(audio=[[math.nan] * length for length in LENGTHS])
    assert "every combination is the visual sampler" in " ".join(combinations.table(silent).notes)


def test_steps_and_the_share_of_k_prime():
    assert steps(3) == [1, 2, 3]
    assert steps(23, 17, 23, 99) == [*range(1, 11), 12, 15, 17, 20, 23]
    config = hand_run(K=10, K_prime=8).selection
    shares = [with_k(config, K)["K_prime"] for K in (1, 2, 3, 5, 10, 20)]
    assert shares == [1, 2, 2, 4, 8, 16]


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 7))
def test_on_any_scores_k_of_all_clips_is_dense_and_k_prime_of_k_the_visual_sampler(seed, videos, longest):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, videos)
    rows = [[rng.random(length) for length in lengths] for _ in range(3)]
    labels = rng.integers(0, 2, videos).tolist()
    run = hand_run(data=two_class_set(labels, *rows), draws=1, K=int(lengths.max()), K_prime=0)
    bench = run.bench
    whole = [bench.scheme(name, run.selection) for name in combinations.ORDER]
    whole += [bench.random(run.selection.K), bench.uniform(run.selection.K), bench.oracle(run.selection.K)]
    for row in whole:
        np.testing.assert_array_equal(row.correct, bench.dense().correct)
    some = dataclasses.replace(run.selection, K=max(1, longest // 2), K_prime=max(1, longest // 2))
    visual, union = bench.scheme("visual", some), bench.scheme("union_list", some)
    np.testing.assert_array_equal(union.correct, visual.correct)
    assert union.clips_per_video == visual.clips_per_video
