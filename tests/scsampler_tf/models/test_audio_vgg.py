import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import models


def sound_model(name, shape=(40, 200, 1), **options):
    return models.create(name, num_classes=3, input_shape=shape, inputs="log_mel", **options)


def test_the_layers_of_table_6():
    model = sound_model("vgg_audio")
    assert model.get_layer("conv4_2").output.shape == (None, 5, 25, 512)
    assert model.get_layer("pool4").output.shape == (None, 2, 12, 512)
    assert model.get_layer("fc1").output.shape == (None, 512)
    assert [layer.name for layer in sound_model("vgg_audio_small").layers if layer.name == "conv4_2"]


@pytest.mark.parametrize(
    ("features", "values", "last"),
    [("conv4_2", 5 * 25 * 512, "relu4_2"), ("pool4", 2 * 12 * 512, "pool4"), ("fc1", 512, "fc1")],
)
def test_a_single_layer_on_the_activations_of_table_6(features, values, last):
    model = sound_model("vgg_audio", features=features)
    assert model.get_layer("logits").kernel.shape == (values, 3)
    names = [layer.name for layer in model.layers]
    assert [name for name in names if name not in ("flatten", "logits")][-1] == last


def test_activations_are_those_of_the_whole_network():
    whole, cut = (sound_model("vgg_audio_small", (16, 32, 1), features=name) for name in ("", "pool4"))
    sound = np.random.default_rng(0).normal(-2, 2, (2, 16, 32, 1)).astype("float32")
    outputs = [keras.Model(model.input, model.get_layer("pool4").output)(sound) for model in (whole, cut)]
    np.testing.assert_array_equal(*outputs)
    assert np.asarray(outputs[0]).max() > 0
    # 1 band and 2 times of 32 channels, averaged over time as the preset says.
    assert cut.get_layer("logits").kernel.shape == (32, 3)


def test_levels_of_the_sound():
    centred, as_it_is = (
        sound_model("vgg_audio_small", (16, 32, 1), levels=name) for name in ("centred", "log")
    )
    sound = np.random.default_rng(0).normal(-2, 2, (2, 16, 32, 1)).astype("float32")
    np.testing.assert_allclose(centred(sound), as_it_is(sound / 2 + 1), rtol=1e-4, atol=1e-7)


def test_eighteen_layers_as_the_docstring_counts_them():
    kinds = ("InputLayer", "Conv2D", "MaxPooling2D", "Flatten", "Dense")
    counted = [layer for layer in sound_model("vgg_audio").layers if type(layer).__name__ in kinds]
    assert len(counted) + 1 == 18  # and the softmax of the loss


def test_activations_can_be_taken_out():
    model = sound_model("vgg_audio_small", (16, 32, 1))
    features = keras.Model(model.input, model.get_layer("pool4").output)
    assert features.predict(np.zeros((2, 16, 32, 1), "float32"), verbose=0).shape == (2, 1, 2, 32)


def test_averaging_over_time_keeps_the_frequencies():
    model = sound_model("vgg_audio_small")
    assert model.get_layer("time_average").output.shape == (None, 2, 1, 32)
    assert "time_average" not in [
        layer.name for layer in sound_model("vgg_audio_small", pooling="none").layers
    ]


def test_mistakes():
    with pytest.raises(UserError, match="too small"):
        sound_model("vgg_audio", (40, 8, 1))
    with pytest.raises(UserError, match="pooling 'max' is none of none, time"):
        sound_model("vgg_audio_small", pooling="max")
    with pytest.raises(UserError, match="levels 'loud' is none of centred, log"):
        sound_model("vgg_audio_small", levels="loud")
    with pytest.raises(UserError, match=r"features 'fc3' is none of conv1_1, .*pool4, fc1, fc2"):
        sound_model("vgg_audio", features="fc3")
