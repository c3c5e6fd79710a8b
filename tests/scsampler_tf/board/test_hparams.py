import json

import pytest

from scsampler_tf.board.guard import Guard
from scsampler_tf.board.hparams import Settings, plain
from scsampler_tf.board.log import Log
from tests.scsampler_tf.board.events import runs_of

SETTINGS = {"kind": "md", "margin": 0.25, "flip": True, "epochs": 3, "weights": "/home/a/b.npz", "no": None}


def after(folder, values, ended=True):
    """The run of the settings after epochs with these scores."""
    log, panel = Log(folder / "logs", Guard()), Settings(SETTINGS, "val_chosen_score", folder)
    panel.begin(log)
    for epoch, value in enumerate(values, start=1):
        panel.after_epoch(log, epoch, {"loss": 1.0, "val_chosen_score": value, "val_oracle_score": 1.0})
    if ended:
        panel.end(log)
    log.close()
    return runs_of(folder / "logs")["."]


def test_a_training_is_a_row_with_its_settings(tmp_path):
    folder = tmp_path / "run" / "models" / "md"
    start = after(folder, []).hparams("session_start_info").session_start_info
    assert start.group_name == "run/md"
    values = start.hparams
    assert set(values) == {"kind", "margin", "flip", "epochs", "weights"}
    assert values["kind"].string_value == "md"
    assert values["margin"].number_value == 0.25
    assert values["flip"].bool_value is True
    assert values["epochs"].number_value == 3
    assert values["weights"].string_value == "b.npz"


def test_it_says_whether_it_is_done(tmp_path):
    assert "_hparams_/session_end_info" in after(tmp_path / "a", []).tags
    assert "_hparams_/session_end_info" not in after(tmp_path / "b", [], ended=False).tags


def test_the_numbers_are_those_of_the_best_epoch(tmp_path):
    """0.5 is not beaten by what comes after it, nor by what is no number."""
    run = after(tmp_path, [0.25, 0.5, float("nan"), 0.375])
    assert run.scalar("best/true_class_score") == {1: 0.25, 2: 0.5}
    assert run.scalar("best/epoch") == {1: 1, 2: 2}
    assert "best/oracle_score" not in run.tags


def test_the_best_value_survives_a_restart(tmp_path):
    (tmp_path / "best.json").write_text(json.dumps({"value": 0.5}))
    assert "best/epoch" not in after(tmp_path, [0.25, 0.5]).tags
    assert after(tmp_path, [0.75]).scalar("best/epoch") == {1: 1}


@pytest.mark.parametrize("value", [{}, {"loss": 1.0}])
def test_without_validation_there_is_no_best(tmp_path, value):
    log, panel = Log(tmp_path, Guard()), Settings({}, "val_chosen_score", tmp_path)
    panel.begin(log)
    panel.after_epoch(log, 1, value)
    log.close()
    assert runs_of(tmp_path)["."].tags == {"_hparams_/session_start_info"}


def test_settings_are_numbers_truth_values_and_texts():
    assert plain({"a": (1, 2), "b": "", "weights": ""}) == {"a": "(1, 2)", "b": "", "weights": ""}
