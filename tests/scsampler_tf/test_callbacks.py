import json

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.callbacks import Backup, BestModel, StopOnNaN, Validation, restore


class Network:
    """Saves a number, so that a test can see which epoch's network was kept."""

    state = 0

    def save(self, path):
        path.write_text(str(self.state))


def kept(tmp_path, values, callback=None):
    """What is kept after epochs with these monitored values; None stands for an epoch without one."""
    network = Network()
    callback = callback or BestModel(network, tmp_path / "best.keras", "val_score")
    callback._network = network
    for epoch, value in enumerate(values):
        network.state = epoch
        callback.on_epoch_end(epoch, {} if value is None else {"val_score": value})
    return int((tmp_path / "best.keras").read_text())


def test_the_best_network_is_kept_and_of_equal_ones_the_first(tmp_path):
    assert kept(tmp_path, [0.2, 0.5, 0.5, 0.4]) == 1
    assert json.loads((tmp_path / "best.json").read_text()) == {
        "monitor": "val_score",
        "value": 0.5,
        "epoch": 2,
    }


def test_without_a_value_the_last_network_is_kept(tmp_path):
    assert kept(tmp_path, [None, None, None]) == 2


def test_the_best_value_survives_a_restart(tmp_path):
    assert kept(tmp_path, [0.2, 0.5]) == 1
    (tmp_path / "best.keras").write_text("9")
    assert kept(tmp_path, [0.4, 0.3]) == 9
    assert kept(tmp_path, [0.4, 0.6]) == 1


def test_a_network_without_its_note_is_replaced(tmp_path):
    (tmp_path / "best.keras").write_text("9")
    assert kept(tmp_path, [0.1]) == 0


def test_numbers_that_are_none_stop_training(tmp_path):
    with pytest.raises(UserError, match="val_score is not a number after epoch 1"):
        kept(tmp_path, [float("nan")])
    stop = StopOnNaN()
    stop.on_train_batch_end(3, {"loss": 0.5})
    stop.on_train_batch_end(3, {})
    with pytest.raises(UserError, match="the loss is not a number at batch 4"):
        stop.on_train_batch_end(3, {"loss": float("nan")})


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
    assert restore(again, tmp_path) == 2
    assert int(again.optimizer.iterations.numpy()) == 2
    for found, wanted in zip(fit(again, tmp_path, 2, 4), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_00004.weights.h5"]


def test_a_kill_while_writing_leaves_the_epoch_before(tmp_path):
    fit(small_model(), tmp_path, 0, 1)
    (tmp_path / "unfinished.weights.h5").write_bytes(b"half of it")
    assert restore(small_model(), tmp_path) == 1


def test_nothing_to_restore_and_something_damaged(tmp_path):
    assert restore(small_model(), tmp_path / "none") == 0
    (tmp_path / "epoch_00003.weights.h5").write_bytes(b"not weights")
    with pytest.raises(UserError, match="cannot be loaded"):
        restore(small_model(), tmp_path)
