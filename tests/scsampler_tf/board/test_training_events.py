"""Event files of real trainings, read back."""

import json

import pytest

from tests.scsampler_tf.board.events import runs_of
from tests.training_set import TrainingSet, history, make_training_set

RATES = {"training/learning_rate", "training/examples_per_second", "training/input_wait"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> TrainingSet:
    return make_training_set(tmp_path_factory.mktemp("events"))


def values(folder, name) -> dict[int, float]:
    """A column of the training's own table, by epochs done."""
    return {
        epoch: pytest.approx(float(row[name]), rel=1e-5) for epoch, row in enumerate(history(folder), start=1)
    }


def test_a_samplers_training_can_be_looked_at(data, tmp_path):
    folder = tmp_path / "run" / "models" / "md"
    data.train_sampler(folder, "md", epochs=2, margin=0.25, seed=3, pictures=True)
    runs = runs_of(folder / "logs")
    assert set(runs) == {".", "train", "validation", "oracle"}
    assert runs["train"].tags == {"loss"} | RATES
    assert runs["train"].scalar("loss") == values(folder, "loss")
    assert runs["validation"].scalar("quality/true_class_score") == values(folder, "val_chosen_score")
    assert runs["oracle"].scalar("quality/true_class_score") == values(folder, "val_oracle_score")
    assert runs["train"].scalar("training/learning_rate") == values(folder, "learning_rate")
    for tag, size, steps in (
        ("timeline/1 left left_2.mp4", (880, 368), [1, 2]),
        ("timeline/2 right right_2.mp4", (880, 368), [1, 2]),
        ("inputs/1 left left_2.mp4", (796, 300), [0]),
        ("inputs/2 right right_2.mp4", (796, 300), [0]),
        ("accuracy against K/val videos", (512, 320), [1, 2]),
    ):
        pictures = runs["validation"].pictures(tag)
        assert list(pictures) == steps
        assert {picture.size for picture in pictures.values()} == {size}
    start = runs["."].hparams("session_start_info").session_start_info
    assert start.group_name == "run/md"
    assert start.hparams["margin"].number_value == 0.25
    assert start.hparams["objective"].string_value == "sal_rank"
    assert start.hparams["arch"].string_value == "resnet_small"
    assert start.hparams["seed"].number_value == 3
    assert start.hparams["kind"].string_value == "md"
    assert "_hparams_/session_end_info" in runs["."].tags
    best = list(runs["."].scalar("best/true_class_score").values())[-1]
    assert best == pytest.approx(json.loads((folder / "model.json").read_text())["best"], rel=1e-5)


def test_pictures_change_nothing_that_is_learned(data, tmp_path):
    """Sums run in parallel, in no fixed order; all else is the same."""
    for pictures in (True, False):
        data.train_sampler(tmp_path / str(pictures), epochs=2, pictures=pictures)
    with_them, without = (history(tmp_path / str(pictures)) for pictures in (True, False))
    for name in ("loss", "val_chosen_score", "val_oracle_score", "learning_rate"):
        for one, other in zip(with_them, without, strict=True):
            assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-4)
    assert not [tag for tag in runs_of(tmp_path / "False/logs")["validation"].tags if "video" in tag]


def test_a_classifiers_training_can_be_looked_at(data, tmp_path):
    folder = tmp_path / "run" / "models" / "classifier"
    data.train_classifier(folder, epochs=2, pictures=True)
    runs = runs_of(folder / "logs")
    charts = {"loss", "quality/top_1", "quality/top_5"}
    assert runs["train"].tags == charts | RATES
    assert runs["validation"].tags == charts | {"confusion/val videos"}
    assert runs["validation"].scalar("quality/top_1") == values(folder, "val_accuracy")
    assert runs["train"].scalar("quality/top_5") == values(folder, "top5_accuracy")
    assert runs["validation"].scalar("loss") == {
        epoch: pytest.approx(-float(row["val_log_likelihood"]), rel=1e-5)
        for epoch, row in enumerate(history(folder), start=1)
    }
    assert list(runs["validation"].pictures("confusion/val videos")) == [1, 2]
    assert "best/epoch" in runs["."].tags
