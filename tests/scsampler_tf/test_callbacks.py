import json

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.callbacks import Backup, BestModel, EpochSeeds, Seen, StopOnNaN, Validation, kept, restore
from tests.scsampler_tf.records import record


class Network:
    """Saves a number, so that a test can see which epoch's network was kept."""

    state = 0

    def save(self, path):
        path.write_text(str(self.state))


def kept_of(tmp_path, values, callback=None):
    """What is kept after epochs with these monitored values; None stands for an epoch without one."""
    network = Network()
    callback = callback or BestModel(network, tmp_path / "best.keras", "val_score")
    callback._network = network
    for epoch, value in enumerate(values):
        network.state = epoch
        callback.on_epoch_end(epoch, {} if value is None else {"val_score": value})
    return int((tmp_path / "best.keras").read_text())


def test_the_best_network_is_kept_and_of_equal_ones_the_first(tmp_path):
    assert kept_of(tmp_path, [0.2, 0.5, 0.5, 0.4]) == 1
    assert json.loads((tmp_path / "best.json").read_text()) == {
        "monitor": "val_score",
        "value": 0.5,
        "epoch": 2,
    }


def test_without_a_value_the_last_network_is_kept(tmp_path):
    assert kept_of(tmp_path, [None, None, None]) == 2


def test_the_best_value_survives_a_restart(tmp_path):
    assert kept_of(tmp_path, [0.2, 0.5]) == 1
    (tmp_path / "best.keras").write_text("9")
    assert kept_of(tmp_path, [0.4, 0.3]) == 9
    assert kept_of(tmp_path, [0.4, 0.6]) == 1


def test_a_network_without_its_note_is_replaced(tmp_path):
    (tmp_path / "best.keras").write_text("9")
    assert kept_of(tmp_path, [0.1]) == 0


def test_numbers_that_are_none_stop_training(tmp_path):
    with pytest.raises(UserError, match="val_score is not a number after epoch 1"):
        kept_of(tmp_path, [float("nan")])


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_the_videos_of_its_batch(loss):
    asked = []

    def batch_videos(epoch, batch):
        asked.append((epoch, batch))
        return [record(name) for name in ("b", "a", "b")]

    stop = StopOnNaN(batch_videos)
    stop.on_epoch_begin(6)
    stop.on_train_batch_end(3, {"loss": 0.5})
    stop.on_train_batch_end(3, {})
    assert not asked
    message = r"not a number at batch 4 of epoch 7, which holds clips of /videos/b\.mp4, /videos/a\.mp4; look"
    with pytest.raises(UserError, match=message):
        stop.on_train_batch_end(3, {"loss": loss})
    assert asked == [(6, 3)]


def test_what_dropout_draws_follows_from_seed_layer_and_epoch():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dropout(0.5, seed=1, name=name) for name in ("first", "second")]
    model = keras.Sequential([keras.Input((64,)), *layers])
    ones = np.ones((1, 64), np.float32)

    def drawn(seed, epoch):
        EpochSeeds(model, seed).on_epoch_begin(epoch)
        return [np.asarray(layer(ones, training=True)) for layer in layers]

    first, second = drawn(0, 2)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(drawn(0, 2)[0], first)
    assert not np.array_equal(drawn(0, 3)[0], first)
    assert not np.array_equal(drawn(1, 2)[0], first)


def test_validation_joins_the_epochs_values():
    logs = {"loss": 1.0}
    Validation(lambda: {"accuracy": 0.5}).on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "val_accuracy": 0.5}


def small_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    model.compile("adamw", "mse")
    return model


def fit(model, folder, first, last):
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    backup = [Backup(folder)] if folder else []
    model.fit(x, x[:, :2], initial_epoch=first, epochs=last, callbacks=backup, verbose=0, shuffle=False)
    return model.get_weights()


def test_a_restored_run_ends_where_an_uninterrupted_one_does(tmp_path):
    expected = fit(small_model(), None, 0, 4)
    fit(small_model(), tmp_path, 0, 2)
    again = small_model()
    assert restore(again, tmp_path) == (2, 0)
    assert int(again.optimizer.iterations.numpy()) == 2
    for found, wanted in zip(fit(again, tmp_path, 2, 4), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_00004.weights.h5"]


def test_a_kill_while_writing_leaves_the_epoch_before(tmp_path):
    fit(small_model(), tmp_path, 0, 1)
    (tmp_path / "unfinished.weights.h5").write_bytes(b"half of it")
    assert restore(small_model(), tmp_path) == Seen(1)


def test_nothing_to_restore_and_something_damaged(tmp_path):
    assert restore(small_model(), tmp_path / "none") == (0, 0)
    (tmp_path / "epoch_00003.weights.h5").write_bytes(b"not weights")
    with pytest.raises(UserError, match="cannot be loaded"):
        restore(small_model(), tmp_path)


def test_a_backup_within_an_epoch_counts_before_the_one_at_its_beginning(tmp_path):
    model = fit(small_model(), tmp_path, 0, 2) and small_model()
    backup = Backup(tmp_path, Seen(2, 5))
    backup.set_model(model)
    backup.on_epoch_begin(2)
    assert backup.step(3) == 9  # five were done before
    backup.write(3)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_00002_step_0000009.weights.h5"]
    assert kept(tmp_path) == (2, 9)
    backup.on_epoch_begin(3)
    assert backup.step(3) == 4
    backup.write(3)
    assert kept(tmp_path) == (3, 4)
    backup.on_epoch_end(3)
    assert kept(tmp_path) == (4, 0)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_goes_on_within_an_epoch_counts_its_batches_on():
    asked = []
    stop = StopOnNaN(lambda *place: asked.append(place) or [record("a")], Seen(2, 5))
    for epoch, message in ((2, "batch 9 of epoch 3"), (3, "batch 4 of epoch 4")):
        stop.on_epoch_begin(epoch)
        with pytest.raises(UserError, match=message):
            stop.on_train_batch_end(3, {"loss": float("nan")})
    assert asked == [(2, 8), (3, 3)]
