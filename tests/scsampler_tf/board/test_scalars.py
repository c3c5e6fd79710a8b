import pytest

from scsampler_tf.board.guard import Guard
from scsampler_tf.board.log import Log
from scsampler_tf.board.scalars import Scalars, chart_of
from tests.scsampler_tf.board.events import runs_of


def test_training_and_validation_share_charts(tmp_path):
    log, panel = Log(tmp_path, Guard()), Scalars()
    classifier = {"loss": 0.5, "accuracy": 0.25, "top5_accuracy": 0.75, "learning_rate": 1e-3}
    classifier |= {"val_log_likelihood": -0.75, "val_accuracy": 0.5, "val_top5_accuracy": 1.0}
    panel.after_epoch(log, 1, classifier)
    panel.after_epoch(log, 2, {**classifier, "examples_per_second": 8.0, "input_wait": 0.125})
    log.close()
    runs = runs_of(tmp_path)
    train, validation = runs["train"], runs["validation"]
    assert validation.tags == {"loss", "quality/top_1", "quality/top_5"}
    assert train.tags == validation.tags | {
        "training/learning_rate",
        "training/examples_per_second",
        "training/input_wait",
    }
    assert train.scalar("loss") == {1: 0.5, 2: 0.5}
    assert validation.scalar("loss") == {1: 0.75, 2: 0.75}  # cross-entropy is minus log-likelihood
    assert validation.scalar("quality/top_5") == {1: 1.0, 2: 1.0}
    assert train.scalar("training/input_wait") == {2: 0.125}
    assert train.scalar("training/learning_rate")[1] == pytest.approx(1e-3)


def test_the_chosen_score_stands_against_the_oracles(tmp_path):
    log = Log(tmp_path, Guard())
    Scalars().after_epoch(log, 3, {"val_chosen_score": 0.5, "val_oracle_score": 0.75})
    log.close()
    runs = runs_of(tmp_path)
    assert {name: run.scalar("quality/true_class_score") for name, run in runs.items()} == {
        "validation": {3: 0.5},
        "oracle": {3: 0.75},
    }


def test_new_values_get_charts_of_their_own():
    assert chart_of("val_spread") == ("validation", "spread", 1)
    assert chart_of("spread") == ("train", "spread", 1)
