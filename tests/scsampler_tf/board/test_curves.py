import numpy as np
import pytest

from scsampler_tf import selection
from scsampler_tf.aggregate import correct, video_probabilities
from scsampler_tf.board.curves import (
    DRAWS,
    AccuracyCurve,
    CurvesJob,
    draw_curves,
    reference_curves,
    right_in_order,
)
from scsampler_tf.board.guard import Guard
from scsampler_tf.board.log import Log
from scsampler_tf.tables import padded
from tests.scsampler_tf.board.events import runs_of

TWO = np.float32([[0.75, 0.25], [0.125, 0.875], [0.5, 0.5]])  # clips of a video with two classes


def test_the_mean_over_the_first_clips_decides():
    """Class 1 in order 1, 0, 2: means 0.875, 0.5625, 0.5417, right; in order 0, 2, 1: 0.25, 0.375, 0.5417."""
    assert right_in_order(TWO, 1, np.array([1, 0, 2]), 3).tolist() == [True, True, True]
    assert right_in_order(TWO, 1, np.array([0, 2, 1]), 3).tolist() == [False, False, True]


def test_a_short_video_has_all_of_its_clips_from_there_on():
    assert right_in_order(TWO, 1, np.array([0, 2, 1]), 6).tolist() == [False, False] + [True] * 4
    assert right_in_order(TWO, 1, np.array([0, 2, 1]), 2).tolist() == [False, False]


def test_of_equally_probable_classes_the_first_counts():
    assert right_in_order(TWO[2:], 0, np.array([0]), 1).tolist() == [True]
    assert right_in_order(TWO[2:], 1, np.array([0]), 1).tolist() == [False]


def test_oracle_and_dense_by_hand():
    """Of two videos like TWO one is of class 1 (right with all clips), one of class 0 (wrong with them)."""
    lines = reference_curves([TWO, TWO], [1, 0], 3)
    assert lines["oracle"].tolist() == [1, 1, 0.5]  # class 0: 0.75, 0.625, 0.458
    assert lines["dense"].tolist() == [0.5, 0.5, 0.5]


def test_the_lines_are_what_evaluation_says():
    """Against the selectors of `selection`, on videos of 1 to 9 clips."""
    rng = np.random.default_rng(0)
    rows = [rng.dirichlet([0.5] * 3, count).astype(np.float32) for count in range(1, 10)]
    labels = rng.integers(0, 3, len(rows))
    probabilities, mask = padded(rows)
    lines = reference_curves(rows, labels.tolist(), 6)

    def accuracy(indices):
        chosen = np.asarray(selection.chosen_mask(indices, mask.shape[1])) & mask
        return np.mean(correct(video_probabilities(probabilities, chosen), labels))

    for K in range(1, 7):
        oracle = selection.oracle_clips(probabilities, labels, mask, K)
        assert lines["oracle"][K - 1] == pytest.approx(accuracy(oracle))
        random = [accuracy(selection.random_clips(mask, K, draw)) for draw in range(DRAWS)]
        assert lines["random"][K - 1] == pytest.approx(np.mean(random))
        assert lines["dense"][K - 1] == pytest.approx(accuracy(selection.dense(mask)))


class Measured:
    """A validation whose two videos are right with at least this many clips."""

    def __init__(self, needed):
        self.latest = np.zeros((2, 1))
        self.right_at_K = np.arange(1, 5) >= np.array(needed)[:, None]


def test_the_panel_draws_on_schedule_and_charts_every_epoch(tmp_path):
    """Of two videos one is right from 2 clips on, the other one from 4: with K = 2 half of them."""
    log = Log(tmp_path, Guard(), apart=False)
    panel = AccuracyCurve(Measured([2, 4]), [TWO, TWO], [1, 0], 2, frozenset({1, 3}))
    for epoch in (1, 2, 3):
        panel.after_epoch(log, epoch, {})
    log.close()
    runs = runs_of(tmp_path)
    assert runs["validation"].scalar("quality/videos_right_with_K_clips") == {1: 0.5, 2: 0.5, 3: 0.5}
    assert runs["oracle"].scalar("quality/videos_right_with_K_clips") == {1: 1.0, 2: 1.0, 3: 1.0}
    pictures = runs["validation"].pictures("accuracy against K/val videos")
    assert {step: picture.size for step, picture in pictures.items()} == {1: (512, 320), 3: (512, 320)}


def test_nothing_measured_is_nothing_shown(tmp_path):
    measured = Measured([2, 4])
    measured.latest = None
    log = Log(tmp_path, Guard(), apart=False)
    AccuracyCurve(measured, [TWO, TWO], [1, 0], 2, frozenset({1})).after_epoch(log, 1, {})
    assert log.is_new
    assert not runs_of(tmp_path)


def test_pictures_of_all_epochs_have_the_same_range():
    lines = {"sampler": np.array([0.25, 0.5]), "oracle": np.array([0.5, 0.75])}
    axis = draw_curves(CurvesJob(lines, 2, 7)).axes[0]
    assert axis.get_ylim() == (0, 1.02)
    assert axis.get_title() == "accuracy on the val videos after epoch 7"
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axis.lines[:2]}
    assert drawn == {name: values.tolist() for name, values in lines.items()}
