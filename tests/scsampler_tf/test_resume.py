"""Trainings that are killed and go on, and those that a loss which is no number ends."""

import json
import signal

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from scsampler_tf import train, train_sampler
from scsampler_tf.board.callback import Board
from scsampler_tf.callbacks import StopOnNaN, kept
from scsampler_tf.model_folder import is_finished, load_model
from scsampler_tf.validation import SamplerValidation
from tests.training_set import history, make_training_set

CLOCK = ("examples_per_second", "input_wait")
TOLERANCE = 1e-5  # sums run in parallel, in no fixed order


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module")
def data(folder):
    return make_training_set(folder)


class Killed(BaseException):
    """Ends a training as a kill would: nothing catches it, nothing is cleaned up after it."""


def after(steps, ended):
    """A callback's function that calls `ended` after that many steps."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == steps:
            ended()

    return on_train_batch_end


def killed():
    raise Killed


def terminated():
    signal.raise_signal(signal.SIGTERM)


def require_same_training(left, right, part_of=()):
    """The same networks and the same values after every epoch.

    Of epochs in `part_of` only validation is compared: the loss is the mean over the steps after going on.
    """
    one, other = load_model(left).network, load_model(right).network
    for mine, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=TOLERANCE, err_msg=mine.path)
    for row, again in zip(history(left), history(right), strict=True):
        assert row.keys() == again.keys()
        for key, value in row.items():
            if key not in CLOCK and (row["epoch"] not in part_of or key.startswith("val_")):
                assert float(value) == pytest.approx(float(again[key]), abs=TOLERANCE), (row["epoch"], key)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sampler", "classifier"])
def test_a_training_that_was_ended_ends_where_an_uninterrupted_one_does(
    data, tmp_path, monkeypatch, capsys, kind
):
    """In the middle of the second of three epochs; clips, their order and dropout are drawn every epoch."""
    settings = {"epochs": 3, "dropout": 0.3}
    if kind == "sampler":
        settings |= {"kind": "md", "batch": 2}
        run = data.train_sampler
    else:
        settings |= {"batch": 6, "flip": True, "cache": False}
        run = data.train_classifier
    run(tmp_path / "whole", **settings)  # two steps an epoch
    with monkeypatch.context() as patch:
        patch.setattr(StopOnNaN, "on_train_batch_end", after(3, killed))
        with pytest.raises(Killed):
            run(tmp_path / "killed", **settings)
    assert kept(tmp_path / "killed" / "backup") == (1, 0)
    run(tmp_path / "killed", **settings)
    assert len(history(tmp_path / "whole")) == 3
    require_same_training(tmp_path / "whole", tmp_path / "killed")

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(StopOnNaN, "on_train_batch_end", after(3, terminated))
        with pytest.raises(SystemExit, match="143"):
            run(tmp_path / "ended", **settings)
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == "terminated; the same command goes on from here\n"
    assert kept(tmp_path / "ended" / "backup") == (1, 1)
    run(tmp_path / "ended", **settings)
    require_same_training(tmp_path / "whole", tmp_path / "ended", part_of=["1"])


def test_a_validation_that_is_cut_short_is_done_anew(data, tmp_path, monkeypatch):
    plain = SamplerValidation.rows

    def rows(self, places):
        terminated()
        yield from plain(self, places)

    data.train_sampler(tmp_path / "whole", "md", batch=2, epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr(SamplerValidation, "rows", rows)
        with pytest.raises(SystemExit, match="143"):
            data.train_sampler(tmp_path / "ended", "md", batch=2, epochs=2)
    assert kept(tmp_path / "ended" / "backup") == (0, 2)  # both steps of the first epoch
    data.train_sampler(tmp_path / "ended", "md", batch=2, epochs=2)
    require_same_training(tmp_path / "whole", tmp_path / "ended", part_of=["0"])
    assert history(tmp_path / "ended")[0]["loss"] == "nan"


def test_sigterm_after_the_last_epoch_lets_no_other_training_begin(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Board, "on_train_end", lambda self, logs=None: terminated())
    with pytest.raises(SystemExit, match="143"):
        data.train_sampler(tmp_path, "audio", epochs=1)
    assert is_finished(tmp_path)
    assert capsys.readouterr().err == "terminated; the same command goes on from here\n"


def test_an_epoch_is_in_the_history_before_it_counts_as_done(data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Board, "on_epoch_end", lambda self, epoch, logs=None: killed())
        with pytest.raises(Killed):
            data.train_sampler(tmp_path, "audio", epochs=2)
    assert kept(tmp_path / "backup") == (1, 0)
    data.train_sampler(tmp_path, "audio", epochs=2)
    assert [row["epoch"] for row in history(tmp_path)] == ["0", "1"]


def test_other_batches_than_before_are_refused(data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(StopOnNaN, "on_train_batch_end", after(3, killed))
        with pytest.raises(Killed):
            data.train_sampler(tmp_path, "md", batch=2, epochs=3)
    (tmp_path / "plan.json").write_text('{"batch": 4, "steps": 1}')
    with pytest.raises(UserError, match="was begun with batches of 4, 1 an epoch, now they are of 2"):
        data.train_sampler(tmp_path, "md", batch=2, epochs=3)


def test_a_loss_that_is_no_number_names_the_videos_and_keeps_the_epoch_before(data, tmp_path, monkeypatch):
    """Frames of one video become NaN after the first epoch."""
    bad = data.index.of_split("train")[1]
    data.table.values[bad.video_id][:] = 0.125  # by which the poisoned rows are known
    plain = train_sampler.sampler_videos

    def poisoned(number, batch):
        inputs, target = batch
        wrong = (target[:, :1, 1] == 0.125) & (number >= 2)
        frames = tf.where(wrong[:, :, None, None, None, None], np.nan, inputs["frames"])
        return {**inputs, "frames": frames}, target

    monkeypatch.setattr(
        train_sampler, "sampler_videos", lambda *a, **b: plain(*a, **b).enumerate().map(poisoned)
    )
    with pytest.raises(UserError, match=r"not a number at batch [12] of epoch 2") as caught:
        data.train_sampler(tmp_path, "md", batch=2, epochs=3)
    assert bad.path in str(caught.value)
    others = [video.path for video in data.index.videos if video.path in str(caught.value)]
    assert len(others) == 2  # the batch's videos alone
    assert not is_finished(tmp_path)
    assert kept(tmp_path / "backup") == (1, 0)
    assert json.loads((tmp_path / "best.json").read_text())["epoch"] == 1
    assert (tmp_path / "best.keras").exists()


def test_the_command_says_it_in_one_line(data, folder, capsys):
    words = ["classifier", "--workdir", str(folder), "--preset", "tiny", "--workers", "0"]
    words += ["--set", "classifier.learning_rate=1e30", "--set", "classifier.warmup_epochs=0"]
    assert train.main([*words, "--set", "classifier.schedule=plateau"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the loss is not a number at batch ")
    assert error.count("\n") == 1
    assert any(video.path in error for video in data.index.of_split("train"))
    assert json.loads((folder / "versions.json").read_text())[0]["keras"]


def test_a_profile_lies_beside_the_logs_where_it_is_asked_for(data, tmp_path):
    for profile in (True, False):
        folder = tmp_path / str(profile)
        data.train_sampler(folder, epochs=3, profile=profile)
        assert bool(list((folder / "logs").rglob("*.xplane.pb"))) == profile
