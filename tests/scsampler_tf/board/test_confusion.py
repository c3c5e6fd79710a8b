import numpy as np
import pytest

from scsampler_tf.board.confusion import ConfusionJob, ConfusionMatrix, confusion, draw_confusion
from scsampler_tf.board.guard import Guard
from scsampler_tf.board.log import Log
from tests.scsampler_tf.board.events import runs_of

SURE = np.eye(3)
ANSWERS = SURE[[0, 0, 1, 2, 2]]
LABELS = np.array([0, 1, 1, 2, 0])


def test_rows_are_classes_and_columns_answers():
    assert confusion(ANSWERS, LABELS).tolist() == [[1, 0, 1], [1, 1, 0], [0, 0, 1]]


def test_a_video_without_an_answer_counts_nowhere():
    answers = ANSWERS.copy()
    answers[1] = 0
    answers[4] = np.nan
    assert confusion(answers, LABELS).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_the_picture_has_names_numbers_and_a_count():
    counts = confusion(ANSWERS, LABELS)
    figure = draw_confusion(ConfusionJob(counts, ["a", "b", "$c_$"], 4))
    axis = figure.axes[0]
    assert axis.get_title() == "epoch 4: 3 of 5 val videos right"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b", r"\$c_\$"]
    at = {text.get_position(): text.get_text() for text in axis.texts}
    assert at == {(0, 0): "1", (2, 0): "1", (0, 1): "1", (1, 1): "1", (2, 2): "1"}
    figure.canvas.draw()
    # Shares of a row: one of the two videos of class 0 is taken for class 2.
    assert axis.images[0].get_array()[0].tolist() == [0.5, 0, 0.5]


@pytest.mark.parametrize("classes", [2, 30, 400])
def test_any_number_of_classes_is_a_picture_of_bounded_size(classes, tmp_path):
    class Measured:
        latest = np.zeros(1)
        probabilities = np.eye(classes)
        labels_of_videos = np.arange(classes)

    log = Log(tmp_path, Guard(), apart=False)
    panel = ConfusionMatrix(Measured, [f"class {number}" for number in range(classes)], frozenset({2}))
    for epoch in (1, 2):
        panel.after_epoch(log, epoch, {})
    log.close()
    pictures = runs_of(tmp_path)["validation"].pictures("confusion/val videos")
    assert list(pictures) == [2]
    assert 400 <= pictures[2].size[0] <= 720
