"""Every row of the main table against four videos whose choices are worked out by hand."""

import numpy as np
import pytest

from scsampler_tf import methods
from scsampler_tf.answers import chosen_clips, is_right, saliency_choice
from scsampler_tf.config import SelectionConfig
from scsampler_tf.cost import Sampler
from scsampler_tf.methods import Costs, main_table
from scsampler_tf.selection import random_clips
from tests.scsampler_tf.records import two_class_set

NAN = np.nan
K = 2
# 2 GFLOPs a clip for f; 0.2 for MD (two frames of 0.1), 0.3 for RGB-R, 0.1 for sound.
COSTS = Costs(2e9, {"md": Sampler(1e8, 2), "rgb_r": Sampler(3e8, 1), "audio": Sampler(1e8, 1)})
LABELS = [0, 1, 0, 1]
TRUE = [[0.9, 0.2, 0.3, 0.2], [0.6, 0.7, 0.1], [0.3, 0.4], [0.8]]
VISUAL = [[0.9, 0.1, 0.5, 0.2], [0.2, 0.3, 0.9], [0.4, 0.4], [0.1]]
AUDIO = [[0.1, 0.8, 0.2, 0.3], [0.5, 0.4, NAN], [NAN, NAN], [0.7]]
ACTION = [[1, 0, 0, 1], [0, 1, 0], [0, 0], [1]]
SELECTION = SelectionConfig(K=K, K_prime=1)
CLIPS = (2 + 2 + 2 + 1) / 4
LENGTH = (4 + 3 + 2 + 1) / 4


def videos(**changes):
    parts = {"visual": VISUAL, "audio": AUDIO, "action": ACTION, **changes}
    return two_class_set(LABELS, TRUE, **parts)


def table(data, selection=SELECTION, costs=COSTS, train=None, draws=300):
    return main_table(data, train, selection, costs, seed=5, draws=draws)


@pytest.fixture(scope="module")
def rows():
    # The oracle's two clips are the first two of every training video.
    train = two_class_set([1, 0], [[0.9, 0.8, 0.1, 0.2], [0.7, 0.6, 0.1, 0.2]])
    return table(videos(), train=train)


def right(row):
    return row.correct.tolist()


def test_the_rows_are_those_of_the_papers_tables(rows):
    assert list(rows) == [
        "random",
        "uniform",
        "empirical",
        "dense",
        "visual",
        "audio",
        "union_list",
        "oracle",
    ]


def test_random_has_its_expected_value(rows):
    # Right are 3 of 6 pairs of the first video (those with clip 0), 1 of 3 of the second (clips 0 and 1).
    assert right(rows["random"]) == pytest.approx([1 / 2, 1 / 3, 0, 1], abs=0.1)
    assert rows["random"].accuracy == pytest.approx((1 / 2 + 1 / 3 + 0 + 1) / 4, abs=0.04)
    # The same two clips of action in six pairs, one in three.
    assert rows["random"].precision == pytest.approx((1 / 2 + 1 / 3 + 0 + 1) / 4, abs=0.04)
    assert rows["random"].recall == pytest.approx((1 / 2 + 2 / 3 + 1) / 3, abs=0.04)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("uniform", [1, 0, 0, 1]),  # first and last: means 0.55, 0.35, 0.35, 0.8
        ("empirical", [1, 1, 0, 1]),  # clips 0 and 1: 0.55, 0.65, 0.35, 0.8
        ("dense", [0, 0, 0, 1]),  # 0.4, 0.467, 0.35, 0.8
        ("visual", [1, 0, 0, 1]),  # clips 0+2, 2+1, both, the only one: 0.6, 0.4, 0.35, 0.8
        ("audio", [0, 1, 0, 1]),  # clips 1+3, 0+1, both, the only one: 0.2, 0.65, 0.35, 0.8
        ("union_list", [1, 0, 0, 1]),  # clips 0+1, 2+0, both, the only one: 0.55, 0.35, 0.35, 0.8
        ("oracle", [1, 1, 0, 1]),  # clips 0+2, 1+0, both, the only one: 0.6, 0.65, 0.35, 0.8
    ],
)
def test_what_is_right(rows, method, expected):
    assert right(rows[method]) == expected
    assert rows[method].accuracy == np.mean(expected)
    low, high = rows[method].accuracy_ci
    assert 0 <= low <= rows[method].accuracy <= high <= 1


@pytest.mark.parametrize(
    ("method", "clips", "gflops"),
    [
        ("random", CLIPS, 2 * CLIPS),
        ("uniform", CLIPS, 2 * CLIPS),
        ("empirical", CLIPS, 2 * CLIPS),
        ("dense", LENGTH, 2 * LENGTH),
        ("visual", CLIPS, 0.5 * LENGTH + 2 * CLIPS),
        # The third video is silent: there the visual networks run and the audio network does not.
        ("audio", CLIPS, (0.1 * (4 + 3 + 1) + 0.5 * 2) / 4 + 2 * CLIPS),
        ("union_list", CLIPS, (0.6 * (4 + 3 + 1) + 0.5 * 2) / 4 + 2 * CLIPS),
        ("oracle", CLIPS, 2 * LENGTH),
    ],
)
def test_what_it_costs(rows, method, clips, gflops):
    assert rows[method].clips_per_video == pytest.approx(clips)
    assert rows[method].gflops_per_video == pytest.approx(gflops)


@pytest.mark.parametrize(
    ("method", "precision", "recall"),
    [
        ("uniform", (1 + 0 + 0 + 1) / 4, (1 + 0 + 1) / 3),
        ("dense", (1 / 2 + 1 / 3 + 0 + 1) / 4, 1),
        ("visual", (1 / 2 + 1 / 2 + 0 + 1) / 4, (1 / 2 + 1 + 1) / 3),
        ("audio", (1 / 2 + 1 / 2 + 0 + 1) / 4, (1 / 2 + 1 + 1) / 3),
        ("union_list", (1 / 2 + 0 + 0 + 1) / 4, (1 / 2 + 0 + 1) / 3),
    ],
)
def test_where_the_chosen_clips_lie(rows, method, precision, recall):
    """The third video's action fills no clip: nothing of it could be found, so recall leaves it out."""
    assert rows[method].precision == pytest.approx(precision)
    assert rows[method].recall == pytest.approx(recall)


def test_enough_clips_for_everything_make_all_methods_one(rows):
    every = table(videos(), SelectionConfig(K=4, K_prime=2), draws=3)
    for name, row in every.items():
        assert right(row) == right(rows["dense"]), name
        assert row.clips_per_video == LENGTH


def test_with_a_stride_only_clips_looked_at_are_scored_and_chosen():
    rows = table(videos(), SelectionConfig(K=K, K_prime=1, stride=2), draws=1)
    # Looked at: 0 and 2, 0 and 2, 0, 0.
    for method in ("visual", "audio", "union_list"):
        assert right(rows[method]) == [1, 0, 0, 1]
        assert rows[method].clips_per_video == 1.5
    assert rows["visual"].gflops_per_video == pytest.approx(0.5 * 1.5 + 2 * 1.5)
    assert rows["union_list"].gflops_per_video == pytest.approx((0.6 * 5 + 0.5 * 1) / 4 + 2 * 1.5)
    # Baselines and the oracle don't depend on samplers.
    assert rows["uniform"].gflops_per_video == 2 * CLIPS
    assert right(rows["oracle"]) == [1, 1, 0, 1]


def test_lists_are_made_among_the_clips_looked_at():
    """The visual list's first is clip 2 of 0, 2, 4, though 1 has more; the audio list's first is 4."""
    data = two_class_set(
        [0],
        [[0.5] * 6],
        visual=[[0.5, 0.9, 0.6, 0.1, 0.1, 0.1]],
        audio=[[0.3, 0.9, 0.1, 0.8, 0.4, 0.9]],
    )
    chosen = saliency_choice(data, SelectionConfig(K=2, K_prime=1, stride=2), "union_list")
    np.testing.assert_array_equal(chosen, [[2, 4]])


def test_a_missing_sampler_leaves_its_rows_out():
    eyes_only = Costs(2e9, {"md": Sampler(1e8, 2)})
    rows = table(videos(audio=None), costs=eyes_only, draws=1)
    assert list(rows) == ["random", "uniform", "dense", "visual", "oracle"]
    assert rows["visual"].gflops_per_video == pytest.approx(0.2 * LENGTH + 2 * CLIPS)
    ears_only = Costs(2e9, {"audio": Sampler(1e8, 1)})
    rows = table(videos(visual=None), costs=ears_only, draws=1)
    assert list(rows) == ["random", "uniform", "dense", "audio", "oracle"]
    assert right(rows["audio"]) == [0, 1, 0, 1]


def test_other_networks_of_sight_cost_where_the_visual_ones_do():
    """An I-frame network of 0.4 GFLOPs a clip beside the others."""
    rows = table(videos(), costs=Costs(2e9, {**COSTS.samplers, "iframe": Sampler(4e8)}), draws=1)
    assert rows["visual"].gflops_per_video == pytest.approx(0.9 * LENGTH + 2 * CLIPS)
    assert rows["audio"].gflops_per_video == pytest.approx((0.1 * (4 + 3 + 1) + 0.9 * 2) / 4 + 2 * CLIPS)


def test_seconds_are_counted_as_gflops_are():
    seconds = {"classifier": 4.0, "md": 0.25, "rgb_r": 0.5, "audio": 1.0}
    rows = table(videos(), costs=Costs(COSTS.classifier, COSTS.samplers, seconds), draws=1)
    assert rows["dense"].seconds_per_video == 4 * LENGTH
    assert rows["visual"].to_dict()["seconds_per_video"] == pytest.approx(0.75 * LENGTH + 4 * CLIPS)
    assert rows["visual"].gflops_per_video == pytest.approx(0.5 * LENGTH + 2 * CLIPS)


def test_without_annotation_there_is_no_localisation():
    row = table(videos(action=None), draws=1)["visual"]
    assert (row.precision, row.recall) == (None, None)
    assert set(row.to_dict()) == {"accuracy", "accuracy_ci", "clips_per_video", "gflops_per_video"}
    annotated = table(videos(), draws=1)["visual"].to_dict()
    assert set(annotated["localisation"]) == {"precision", "recall"}


@pytest.mark.parametrize("held", [0, 1000])
def test_random_clips_are_drawn_alike_whether_they_are_held_or_not(monkeypatch, held):
    monkeypatch.setattr(methods, "HELD_NUMBERS", held)
    data = videos()
    bench = methods.Bench(data, None, COSTS, seed=5, draws=20)
    for clips in (1, 2, 3, 9):
        drawn = [chosen_clips(data, random_clips(data.mask, clips, 5 + draw)) for draw in range(20)]
        expected = np.mean([is_right(data, each) for each in drawn], axis=0)
        np.testing.assert_array_equal(bench.random(clips).correct, expected)


def test_the_same_seed_gives_the_same_table():
    again = [table(videos(), draws=5)["random"].to_dict() for _ in range(2)]
    assert again[0] == again[1]
