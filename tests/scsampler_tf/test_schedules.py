"""Learning rates against values by hand, and a resumed plateau."""

import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from scsampler_tf.config import SamplerConfig
from scsampler_tf.optimizer import SlowedAdamW
from scsampler_tf.schedules import Plateau, reductions, schedule

CONFIG = SamplerConfig(learning_rate=0.5, warmup_epochs=1, epochs=6, step_epochs=2, patience=2)


def rates(kind, steps, at):
    plan = schedule(dataclasses.replace(CONFIG, schedule=kind), steps)
    return [float(plan(step)) for step in at]


def test_steps_divide_by_ten_after_the_warm_up():
    # 4 steps an epoch: warm-up over 4 from a tenth, then 8 steps at each rate.
    assert rates("step", 4, [0, 2, 4, 11, 12, 19, 20]) == pytest.approx(
        [0.05, 0.05 + 0.45 / 2, 0.5, 0.5, 0.05, 0.05, 0.005]
    )


def test_the_cosine_ends_at_zero():
    assert rates("cosine", 4, [0, 4, 14, 24]) == pytest.approx([0.05, 0.5, 0.25, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0),
        ([1, 2, 3], 0),
        ([1, 1], 0),
        ([1, 1, 1], 1),
        ([3, 1, 2, 4, 4], 1),
        ([3, 1, 2, 2, 2], 2),
        ([3, 1, 2, 2, 3.5, 1], 1),
    ],
)
def test_a_plateau_is_patience_epochs_without_a_better_value(values, expected):
    assert reductions(values, patience=2) == expected


def plateau_rates(path, first, values):
    """The rates of epochs `first`, ... with these validation values."""
    callback = Plateau(CONFIG, "val_x", path)
    optimizer = SimpleNamespace(learning_rate=None)
    callback.set_model(SimpleNamespace(optimizer=optimizer))
    found = []
    for epoch, value in enumerate(values, first):
        callback.on_epoch_begin(epoch)
        found.append(optimizer.learning_rate)
        callback.on_epoch_end(epoch, {"loss": 1.0, "val_x": value})
    return found


def test_a_plateau_goes_on_where_it_was_interrupted(tmp_path):
    values = [0.3, 0.2, 0.3, 0.1, 0.2, 0.4]
    whole = plateau_rates(tmp_path / "none.csv", 0, values)
    assert whole == pytest.approx([0.05, 0.5, 0.5, 0.05, 0.05, 0.005])
    history = tmp_path / "history.csv"
    history.write_text("epoch,loss,val_x\n" + "".join(f"{n},1.0,{v}\n" for n, v in enumerate(values[:4])))
    assert plateau_rates(history, 4, values[4:]) == pytest.approx(whole[4:])


def test_without_validation_the_loss_must_fall(tmp_path):
    history = tmp_path / "history.csv"
    history.write_text("epoch,loss\n0,1.0\n1,2.0\n2,1.5\n")
    assert plateau_rates(history, 3, [0.0]) == pytest.approx([0.05])


def fitted(optimizer, start, gradients):
    variables = [keras.Variable(start, name=name) for name in ("old", "new")]
    optimizer = optimizer([variables[0].path])
    for gradient in gradients:
        optimizer.apply([gradient, gradient], variables)
    return [np.asarray(variable) for variable in variables]


def test_slowed_variables_take_shorter_steps_and_others_those_of_adamw():
    start = np.float32([1.0, -2.0])
    gradients = [keras.ops.convert_to_tensor(np.float32(g)) for g in ([0.5, -3.0], [1.0, 2.0], [-0.2, 0.1])]
    known, _ = fitted(lambda _: keras.optimizers.AdamW(0.1, weight_decay=0.01), start, gradients)
    slow, fast = fitted(lambda paths: SlowedAdamW(0.1, 0.01, paths, 0.05), start, gradients)
    twentieth, _ = fitted(lambda _: keras.optimizers.AdamW(0.005, weight_decay=0.01), start, gradients)
    np.testing.assert_allclose(fast, known, rtol=1e-6)
    np.testing.assert_allclose(slow, twentieth, rtol=1e-6)
    # Adam's first step is the learning rate against the gradient's sign, after the decay of the weight.
    slow, fast = fitted(lambda paths: SlowedAdamW(0.1, 0.01, paths, 0.05), start, gradients[:1])
    np.testing.assert_allclose(fast, start * (1 - 0.001) - 0.1 * np.sign([0.5, -3.0]), rtol=1e-5)
    np.testing.assert_allclose(slow, start * (1 - 0.00005) - 0.005 * np.sign([0.5, -3.0]), rtol=1e-5)
