"""Trainings in mixed precision, and the float32 networks that they leave behind."""

import json
import math
import types
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from scsampler_tf import fitting
from scsampler_tf.config import tiny, with_settings
from scsampler_tf.fitting import with_weights
from scsampler_tf.model_folder import load_model, run_of
from scsampler_tf.models import create
from scsampler_tf.models.precision import in_float32
from scsampler_tf.score import score
from tests.training_set import history, make_training_set


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_training_set(tmp_path_factory.mktemp("precision"))


def sound_network(**options):
    return create("vgg_audio_small", num_classes=2, input_shape=(40, 200, 1), inputs="log_mel", **options)


def test_the_policy_of_a_network_leaves_kerass_setting_alone():
    before = keras.config.dtype_policy().name
    mixed = sound_network(dtype="mixed_bfloat16")
    assert keras.config.dtype_policy().name == before == "float32"
    assert {layer.compute_dtype for layer in mixed.layers} >= {"bfloat16", "float32"}
    assert {mixed.get_layer(name).compute_dtype for name in ("rescale", "logits")} == {"float32"}
    assert {weight.dtype for weight in mixed.trainable_weights} == {"float32"}
    with pytest.raises(ValueError, match="mixed_float8"):
        sound_network(dtype="mixed_float8")
    assert keras.config.dtype_policy().name == before


def test_the_float32_copy_is_the_network_of_the_same_weights():
    mixed, plain = sound_network(dtype="mixed_bfloat16", seed=3), sound_network(seed=3)
    copy = in_float32(mixed)
    sound = np.random.default_rng(0).normal(-2, 2, (3, 40, 200, 1)).astype("f")
    np.testing.assert_array_equal(copy(sound), plain(sound))
    assert not np.array_equal(mixed(sound), plain(sound))
    assert [layer.name for layer in copy.layers] == [layer.name for layer in mixed.layers]
    assert in_float32(plain) is plain


def has_kernels(kind: str) -> bool:
    """Whether this machine can pool and convolve in 16 bits, forwards and backwards."""
    try:
        sound = tf.zeros((1, 40, 200, 1))
        network = sound_network(dtype=f"mixed_{kind}")
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(sound, training=True))
        tape.gradient(loss, [each.value for each in network.trainable_variables])
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
        return False
    return True


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_a_sampler_is_trained_in_16_bits_and_scores_in_32(data, tmp_path, kind):
    if not has_kernels(kind):
        pytest.skip(f"TensorFlow has no kernels of {kind} for these layers on this device")
    folder = tmp_path / "audio"
    data.train_sampler(folder, precision=f"mixed_{kind}", epochs=1)
    (row,) = history(folder)
    assert math.isfinite(float(row["loss"]))
    trained = load_model(folder)
    assert trained.about["precision"] == f"mixed_{kind}"
    assert {layer.compute_dtype for layer in trained.network.layers} == {"float32"}
    with zipfile.ZipFile(folder / "best.keras") as stored:
        assert b"mixed_" not in stored.read("config.json")
    assert {str(weight.dtype) for weight in trained.network.weights} <= {"float32"}
    table = score("audio", data.index, folder, tmp_path / "audio.npz", workers=0, quiet=True)
    heard = np.concatenate([row for row in table.values.values() if np.isfinite(row).all()])
    assert ((heard >= 0) & (heard <= 1)).all()
    with pytest.raises(UserError, match="was begun with precision="):
        data.train_sampler(folder, epochs=1)


def test_a_classifier_is_trained_in_16_bits(data, tmp_path):
    data.train_classifier(tmp_path, precision="mixed_bfloat16", epochs=1)
    (row,) = history(tmp_path)
    assert math.isfinite(float(row["loss"]))
    assert math.isfinite(float(row["val_log_likelihood"]))
    trained = load_model(tmp_path)
    assert {layer.compute_dtype for layer in trained.network.layers} == {"float32"}
    clips = np.zeros((2, *trained.network.input_shape[1:]), "f")
    assert np.isfinite(trained.network(clips)).all()


def test_the_setting():
    assert with_settings(tiny(), ["precision=mixed_bfloat16"]).precision == "mixed_bfloat16"
    with pytest.raises(UserError, match="precision: 'float16' is none of float32, mixed_float16"):
        with_settings(tiny(), ["precision=float16"])


def test_trainings_of_old_are_those_of_float32(data):
    run = run_of("audio", tiny().audio, data.index, 0)
    assert "precision" not in with_weights(run, None)
    assert with_weights(run, None, "mixed_float16")["precision"] == "mixed_float16"
    assert json.dumps(with_weights(run, None, "float32")) == json.dumps(with_weights(run, None))


def told(error, precision="float32", failure=None):
    fit = types.SimpleNamespace(
        precision=precision, failure=lambda error: failure, network=keras.Sequential(name="f")
    )
    with fitting._told_in_a_sentence(fit, Path("folder"), tf.distribute.get_strategy()):
        raise error


def test_an_operation_that_is_lacking_in_16_bits_is_one_sentence():
    message = "No OpKernel was registered to support Op 'MaxPool3D'\nwith these attrs\n"
    for error in (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        with pytest.raises(
            UserError, match="precision: mixed_float16 lacks an operation of f on this"
        ) as caught:
            told(error(None, None, message), "mixed_float16")
        assert "\n" not in str(caught.value)
        with pytest.raises(error):  # a mistake of the program's own stays what it is
            told(error(None, None, message))
    with pytest.raises(tf.errors.InvalidArgumentError):
        told(tf.errors.InvalidArgumentError(None, None, "shapes"), "mixed_float16")
    with pytest.raises(UserError, match="no clips"):
        told(tf.errors.UnknownError(None, None, "UserError"), failure=UserError("no clips"))
