"""Names of strategies, and the strategies that they stand for on two logical CPU devices."""

import pytest
import tensorflow as tf

from pipelines.errors import UserError
from scsampler_tf.config import ExperimentConfig
from scsampler_tf.runtime import make_strategy, summed, worker_of
from scsampler_tf.strategies import one_process, strategy_parts


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("one_device", ("one_device", [])),
        ("one_device:GPU:1", ("one_device", ["GPU:1"])),
        ("mirrored", ("mirrored", [])),
        ("mirrored:GPU:0,gpu:2", ("mirrored", ["GPU:0", "GPU:2"])),
        ("multi_worker", ("multi_worker", [])),
    ],
)
def test_kind_and_devices(name, parts):
    assert strategy_parts(name) == parts


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tpu", "'tpu' is none of"),
        ("mirrored:GPU", "'GPU' is no device"),
        ("mirrored:GPU:0,,", "'' is no device"),
        ("mirrored:GPU:0,GPU:0", "names a device twice"),
        ("one_device:GPU:0,GPU:1", "one_device with GPU:0, GPU:1"),
        ("multi_worker:GPU:0", "multi_worker with GPU:0"),
    ],
)
def test_mistakes_show_in_the_settings(name, words):
    with pytest.raises(UserError, match=words):
        ExperimentConfig(strategy=name)


def test_several_machines_only_train():
    assert one_process("mirrored", "this") == "mirrored"
    with pytest.raises(UserError, match=r"an experiment does more than train.*scsampler_tf\.train on every"):
        one_process("multi_worker", "an experiment")


def test_named_devices():
    assert make_strategy("mirrored").num_replicas_in_sync == 2
    assert make_strategy("mirrored:CPU:1").num_replicas_in_sync == 1
    one = make_strategy("one_device:CPU:1")
    with one.scope():
        assert tf.Variable(0.0).device.endswith("CPU:1")
    with pytest.raises(UserError, match="there is no device GPU:7 here, but CPU:0, CPU:1"):
        make_strategy("mirrored:CPU:0,GPU:7")


def test_one_process_is_the_first_and_only_one():
    for name in ("one_device", "mirrored"):
        assert worker_of(make_strategy(name)) == (0, 1)
        assert summed(make_strategy(name), [1.0, 2.0]) == [1.0, 2.0]
