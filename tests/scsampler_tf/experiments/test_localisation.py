import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf.experiments.localisation import (
    at_k,
    average_precision,
    found_at,
    position_histogram,
    table,
)
from scsampler_tf.selection import fit_empirical
from tests.scsampler_tf.experiments.runs import hand_run
from tests.scsampler_tf.records import record, two_class_set


def test_positions_by_hand():
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
    # The last quarter; both halves; nothing.
    chosen = np.array([[0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    expected = (np.array([0, 0, 0, 1]) + np.array([1, 1, 1, 1]) / 4) / 2
    np.testing.assert_allclose(position_histogram(chosen, mask, bins=4), expected)
    # A third of a video over two bins: all of the first bin's two thirds and a half of the second's.
    one = position_histogram(np.array([[0, 1, 0]], bool), np.ones((1, 3), bool), bins=2)
    np.testing.assert_allclose(one, [0.5, 0.5])
    np.testing.assert_array_equal(position_histogram(chosen[2:], mask[2:], bins=4), np.zeros(4))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.floats(0, 1, width=16), min_size=1, max_size=9), min_size=1, max_size=4),
    st.integers(1, 9),
)
def test_positions_are_those_that_the_empirical_baseline_learns(rows, k):
    mask = np.arange(9) < np.array([[len(row)] for row in rows])
    scores, chosen = np.zeros(mask.shape), np.zeros(mask.shape, bool)
    for place, row in enumerate(rows):
        scores[place, : len(row)] = row
        chosen[place, np.argsort([-value for value in row], kind="stable")[:k]] = True
    np.testing.assert_allclose(
        position_histogram(chosen, mask, 7), fit_empirical(scores, mask, k, 7), atol=1e-12
    )


def test_lists_and_their_scores_by_hand():
    order = np.array([[2, 0, 1, 3], [1, 0, -1, -1], [0, 1, 2, -1]])
    action = np.array([[1, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    found = found_at(order, action)
    np.testing.assert_array_equal(found, [[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])
    # Precision at the places 1, 2 and 4: 1, 1, 3/4; at place 2: 1/2; nothing to find.
    np.testing.assert_allclose(average_precision(found), [(1 + 1 + 3 / 4) / 3, 1 / 2, np.nan])
    lengths = np.array([4, 2, 3])
    np.testing.assert_allclose(at_k(found, lengths, 1)["precision"], [1, 0, 0])
    three = at_k(found, lengths, 3)
    # The second video has two clips, so three of them are these two.
    np.testing.assert_allclose(three["precision"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(three["recall"], [2 / 3, 1, 0])
    np.testing.assert_allclose(three["hit"], [1, 1, 0])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_average_precision_against_its_words(places):
    found = np.array([places])
    expected = [sum(places[: place + 1]) / (place + 1) for place, hit in enumerate(places) if hit]
    value = average_precision(found)[0]
    assert np.isnan(value) if not expected else value == pytest.approx(np.mean(expected))


def annotated_run(segments, **changes):
    data = two_class_set(
        [0, 1], [[0.9, 0.1, 0.2, 0.3], [0.9, 0.8, 0.1]], visual=[[0.9, 0.1, 0.8, 0.2], [0.1, 0.5, 0.9]]
    )
    videos = [
        dataclasses.replace(record(str(row), frames=10 * clips), segments=found)
        for row, (clips, found) in enumerate(zip((4, 3), segments, strict=True))
    ]
    return hand_run(data=dataclasses.replace(data, videos=videos), audio=None, draws=50, **changes)


def test_a_run_with_segments():
    found = table(annotated_run([[[0, 2]], [[1, 2]]]))
    rows = {row["name"]: row for row in found.sections[0].rows}
    assert list(rows) == ["random", "visual", "oracle"]
    # Lists 0 2 3 1 with 0 and 1 in the action, 2 1 0 with 1.
    assert rows["visual"]["precision"] == pytest.approx(0.5)
    assert rows["visual"]["recall"] == pytest.approx((1 / 2 + 1) / 2)
    assert rows["visual"]["hit"] == 1
    assert rows["visual"]["average_precision"] == pytest.approx(((1 + 2 / 4) / 2 + 1 / 2) / 2)
    # The oracle's lists: 0 3 2 1 and 0 1 2.
    assert rows["oracle"]["average_precision"] == pytest.approx(((1 + 2 / 4) / 2 + 1 / 2) / 2)
    # On average the share of the clips that are in the action.
    assert rows["random"]["precision"] == pytest.approx((1 / 2 + 1 / 3) / 2, abs=0.08)
    histogram = [row["visual"] for row in found.sections[1].rows]
    assert sum(histogram) == pytest.approx(1)
    assert sum(row["action"] for row in found.sections[1].rows[:5]) == pytest.approx((1 + 1 / 2) / 2)
    assert "2 of 2 videos" in " ".join(found.notes)


def test_only_annotated_videos_count():
    found = table(annotated_run([[[0, 2]], None]))
    rows = {row["name"]: row for row in found.sections[0].rows}
    assert rows["visual"]["recall"] == pytest.approx(1 / 2)
    assert "1 of 2 videos" in " ".join(found.notes)


@pytest.mark.parametrize("segments", [[None, None], [[[0.1, 0.2]], None]])
def test_without_an_action_to_find_there_is_the_histogram_alone(segments):
    found = table(annotated_run(segments))
    assert [section.title for section in found.sections] == [
        "Share of the chosen clips by place in the video"
    ]
    assert len(found.panels) == 1
    assert "action_segments" in found.notes[-1]
