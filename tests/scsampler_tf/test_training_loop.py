"""The training loop against plain `fit`, and what it tells the callbacks."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from scsampler_tf.callbacks import Seen
from scsampler_tf.runtime import make_strategy, set_seed
from scsampler_tf.termination import Asked
from scsampler_tf.training_loop import Meter, run_epochs

STEPS, BATCH = 3, 4


def batches():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(STEPS * 4, BATCH, 5)).astype("f")
    return values, rng.integers(0, 3, (STEPS * 4, BATCH))


def right(labels, logits):
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1), labels), tf.float32)


def make_fit():
    def data(epoch, shard, each):
        values, labels = batches()
        assert shard == (0, 1)
        rows = tf.data.Dataset.from_tensor_slices((values[epoch * STEPS :], labels[epoch * STEPS :]))
        return rows.unbatch().batch(each).repeat()

    model = keras.Sequential([keras.Input([5]), keras.layers.Dense(6, "relu"), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(True)
    return SimpleNamespace(
        model=model, loss=loss, metrics={"accuracy": right}, data=data, steps=STEPS, batch=BATCH
    )


class Told(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append(("begin",))

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch", epoch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append((batch, logs))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("end", epoch, logs))


def run(strategy="one_device", seen=Seen(), epochs=2, rate=0.01):  # noqa: B008
    devices = make_strategy(strategy)
    set_seed(3)
    with devices.scope():
        fit = make_fit()
        fit.model.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=0.0), loss=fit.loss)
        fit.model.optimizer.build(fit.model.trainable_variables)
    told = Told()
    run_epochs(fit, seen, epochs, [told], Asked(), devices, quiet=True)
    return fit.model.get_weights(), told.calls


@pytest.fixture(scope="module")
def by_fit():
    set_seed(3)
    fit = make_fit()
    fit.model.compile(
        optimizer=keras.optimizers.AdamW(0.01, weight_decay=0.0), loss=fit.loss, metrics=["accuracy"]
    )
    told = fit.model.fit(
        fit.data(0, (0, 1), BATCH), epochs=2, steps_per_epoch=STEPS, verbose=0, shuffle=False
    )
    return fit.model.get_weights(), told.history


@pytest.mark.parametrize("strategy", ["one_device", "mirrored"])
def test_trains_as_fit_does(by_fit, strategy):
    weights, calls = run(strategy)
    for mine, theirs in zip(weights, by_fit[0], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    ends = [call[2] for call in calls if call[0] == "end"]
    np.testing.assert_allclose([logs["loss"] for logs in ends], by_fit[1]["loss"], atol=1e-5)
    np.testing.assert_allclose([logs["accuracy"] for logs in ends], by_fit[1]["accuracy"], atol=1e-6)
    for logs in ends:
        assert 0 <= logs["input_wait"] <= 1
        assert logs["examples_per_second"] > 0
        assert logs["learning_rate"] == pytest.approx(0.01)


def test_the_order_of_calls():
    _, calls = run(epochs=2)
    names = [call[0] for call in calls]
    assert names == ["begin", "epoch", 0, 1, 2, "end", "epoch", 0, 1, 2, "end"]
    means = [call[1]["loss"] for call in calls[2:5]]
    assert calls[5][2]["loss"] == means[-1]
    assert len(set(means)) == 3


def losses(calls):
    """The loss of every batch, from the running means of its epoch."""
    found, count, total = [], 0, 0.0
    for name, *values in calls:
        if name == "epoch":
            count, total = 0, 0.0
        elif isinstance(name, int):
            count += 1
            loss = values[0]["loss"] * count - total
            total += loss
            found.append(loss)
    return found


@pytest.mark.parametrize("strategy", ["one_device", "mirrored"])
def test_goes_on_within_an_epoch(strategy):
    """The rest of the second epoch: two steps that see the batches they would have seen."""
    whole = losses(run(strategy, epochs=2, rate=0.0)[1])
    _, calls = run(strategy, seen=Seen(1, 1), epochs=2, rate=0.0)
    assert [call[0] for call in calls[1:]] == ["epoch", 0, 1, "end"]
    assert calls[1][1] == 1
    np.testing.assert_allclose(losses(calls), whole[4:], atol=1e-5)
    assert len({round(loss, 4) for loss in whole}) == 6
    _, calls = run(strategy, seen=Seen(1, STEPS), epochs=2)
    assert [call[0] for call in calls[1:]] == ["epoch", "end"]
    assert np.isnan(calls[-1][2]["loss"])


def test_means_and_rates():
    meter = Meter(("accuracy",), batch=8)
    meter.seen(np.array([2.0, 0.5]))
    assert meter.seen(np.array([1.0, 1.0])) == {"loss": 1.5, "accuracy": 0.75}
    with meter.waiting():
        pass
    rates = meter.rates()
    assert 0 < rates["input_wait"] < 1
    assert rates["examples_per_second"] > 0
