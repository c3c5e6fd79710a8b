"""Trainings on the tiny run's features: kept values, interruption, refusals, several devices."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from pipelines.index import load_index
from scsampler_tf import train as train_module
from scsampler_tf.callbacks import StopOnNaN
from scsampler_tf.config import tiny
from scsampler_tf.model_folder import is_finished, load_model
from scsampler_tf.runtime import even_batch, make_strategy
from scsampler_tf.scoring import saliency_function, video_saliency
from scsampler_tf.tables import load_table
from scsampler_tf.train_classifier import train_classifier
from scsampler_tf.train_sampler import train_sampler
from scsampler_tf.workdir import open_workdir


@pytest.fixture(scope="module")
def run(tiny_run):
    """The index and the classifier's score table."""
    return load_index(tiny_run.folder / "features"), load_table(tiny_run.folder / "scores" / "classifier.npz")


def train_audio(run, folder, strategy="one_device", **changes):
    index, table = run
    config = dataclasses.replace(tiny().audio, **changes)
    devices = make_strategy(strategy)
    train_sampler("audio", index, config, table, folder, K=3, strategy=devices, seed=0, quiet=True)


def history(folder):
    with (folder / "history.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


class Killed(BaseException):
    """Ends a training as a kill would: nothing catches it, nothing is cleaned up after it."""


def killed_in_epoch(number):
    """A `StopOnNaN.on_train_batch_end` that ends the run in this epoch, counted from 1."""

    def on_train_batch_end(self, batch, logs=None):
        if self.params["epochs"] and int(self.model.optimizer.iterations.numpy()) >= number:
            raise Killed

    return on_train_batch_end


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the killed run's open files
def test_an_interrupted_training_goes_on_with_the_epoch_after_the_last_whole_one(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(StopOnNaN, "on_train_batch_end", killed_in_epoch(2))  # one step an epoch
        with pytest.raises(Killed):
            train_audio(run, tmp_path, epochs=3)
    assert not is_finished(tmp_path)
    assert [row["epoch"] for row in history(tmp_path)] == ["0"]
    first = json.loads((tmp_path / "best.json").read_text())
    # A better value than any that can come: the network that had it must stay.
    (tmp_path / "best.json").write_text(json.dumps({**first, "value": 2.0}))
    kept = (tmp_path / "best.keras").read_bytes()

    train_audio(run, tmp_path, epochs=3)
    assert [row["epoch"] for row in history(tmp_path)] == ["0", "1", "2"]
    assert is_finished(tmp_path)
    assert (tmp_path / "best.keras").read_bytes() == kept
    about = load_model(tmp_path).about
    assert about["best"] == 2.0
    assert about["monitor"] == "val_chosen_score"
    assert not (tmp_path / "backup").exists()

    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    train_audio(run, tmp_path, epochs=3)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == files
    with pytest.raises(UserError, match="use the same settings or delete that folder"):
        train_audio(run, tmp_path, epochs=4)


def test_two_devices_train_a_sampler_that_one_can_use(run, tmp_path):
    assert len(tf.config.list_logical_devices("CPU")) == 2
    train_audio(run, tmp_path, strategy="mirrored", epochs=1)
    trained = load_model(tmp_path)
    index, _ = run
    function = saliency_function(trained.network, "sal_rank")
    values = video_saliency(function, index, index.of_split("test")[0], "audio")
    assert values.shape == (6,)
    assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize(("batch", "expected"), [(1, 2), (2, 2), (5, 4), (6, 6)])
def test_every_device_gets_the_same_share_of_a_batch(batch, expected):
    assert even_batch(batch, make_strategy("mirrored")) == expected
    assert even_batch(batch, make_strategy("one_device")) == batch


def test_an_unknown_strategy():
    with pytest.raises(UserError, match="'tpu' is none of one_device, mirrored, multi_worker"):
        make_strategy("tpu")


def test_what_a_finished_network_says_about_itself(tiny_run):
    model = load_model(tiny_run.folder / "models" / "md")
    assert (model.kind, model.labels, model.settings) == ("md", ["left", "right"], tiny().features)
    assert model.about["objective"] == "ac"
    assert model.about["frames_per_clip"] == 4
    assert model.about["cost"]["multiply_adds"] > 0
    assert set(model.about["motion"]) == {"direct"}
    assert load_model(tiny_run.folder / "models" / "audio").about["motion"] == {}
    assert {"tensorflow", "keras", "python"} <= set(model.about["versions"])
    assert list((tiny_run.folder / "models" / "md" / "logs").rglob("events.*"))


def test_a_folder_without_a_network_and_a_damaged_one(tiny_run, tmp_path):
    with pytest.raises(UserError, match="no finished network here"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_bytes((tiny_run.folder / "models" / "md" / "model.json").read_bytes())
    (tmp_path / "best.keras").write_bytes(b"PK no network")
    with pytest.raises(UserError, match=r"best\.keras: cannot be loaded"):
        load_model(tmp_path)


def test_samplers_see_only_videos_that_they_can_learn_from(run, tmp_path):
    index, table = run
    silent = dataclasses.replace(
        index, videos=[dataclasses.replace(video, has_audio=False) for video in index.videos]
    )
    with pytest.raises(UserError, match="no train video with sound to train 'audio' on"):
        train_audio((silent, table), tmp_path)
    unscored = dataclasses.replace(table, values={})
    with pytest.raises(UserError, match="no train video"):
        train_audio((index, unscored), tmp_path)
    with pytest.raises(UserError, match="sal_rank learns from the classifier's scores"):
        train_audio((index, None), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_classifier_needs_train_videos_and_segments_where_asked(run, tmp_path):
    index, _ = run
    config = dataclasses.replace(tiny().classifier, clips="segments")
    options = {"strategy": make_strategy("one_device"), "seed": 0, "workers": 0, "quiet": True}
    without = [dataclasses.replace(video, segments=None) for video in index.videos]
    with pytest.raises(UserError, match="needs action_segments for every train video"):
        train_classifier(dataclasses.replace(index, videos=without), config, tmp_path, **options)
    with pytest.raises(UserError, match="no train videos"):
        train_classifier(dataclasses.replace(index, videos=[]), config, tmp_path, **options)


def test_another_set_of_classes_is_refused(run, tiny_run):
    index, table = run
    more = dataclasses.replace(index, labels=[*index.labels, "up"])
    with pytest.raises(UserError, match="was begun with labels="):
        train_audio((more, table), tiny_run.folder / "models" / "audio")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sampler"], "which sampler"),
        (["classifier", "--kind", "md"], "belong to samplers"),
        (["joint", "--objective", "sal_cl"], "belong to samplers"),
        (["classifier", "--workers", "-1"], "--workers -1: give 0 or more"),
        (["classifier", "--set", "classifier.epoch=1"], "unknown setting 'classifier.epoch'"),
        (["sampler", "--kind", "md", "--objective", "sal_cl"], "was begun with"),
        (["classifier", "--preset", "small"], "was begun with audio"),
    ],
)
def test_mistakes_of_the_command_are_one_sentence(tiny_run, capsys, words, message):
    assert train_module.main([*words, "--workdir", str(tiny_run.folder)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_mistyped_folder_is_not_made(tmp_path, capsys):
    assert train_module.main(["classifier", "--workdir", str(tmp_path / "typo")]) == 2
    assert "no index.json here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_command_leaves_a_finished_network_as_it_is(tiny_run, capsys):
    network = tiny_run.folder / "models" / "md" / "best.keras"
    before = network.stat().st_mtime_ns
    assert train_module.main(["sampler", "--kind", "md", "--workdir", str(tiny_run.folder)]) == 0
    assert capsys.readouterr().out.strip() == f"md: {network.parent}"
    assert network.stat().st_mtime_ns == before
    assert open_workdir(tiny_run.folder)[1].md.epochs == 1


def test_silent_videos_have_no_saliency_and_others_have(tiny_run):
    table = load_table(tiny_run.folder / "scores" / "audio.npz")
    silent = {name for name, row in table.values.items() if np.isnan(row).all()}
    assert {name.rsplit("-", 1)[0] for name in silent} == {"left_0", "test_silent"}
    assert all(np.isfinite(row).all() for name, row in table.values.items() if name not in silent)
