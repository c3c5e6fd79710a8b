import keras
import numpy as np

from scsampler_tf.activations import before_class_layer, clip_activations
from scsampler_tf.models.sampler import clip_logits
from tests.small_networks import example, output, small


def mean_network() -> keras.Model:
    """Its activations are a frame's means over space of each of two channels."""
    entry = keras.Input((2, 2, 2))
    x = keras.layers.GlobalAveragePooling2D()(entry)
    return keras.Model(entry, keras.layers.Dense(1, name="logits")(x))


def test_a_clip_has_the_mean_of_its_frames():
    trunk = before_class_layer(mean_network())
    frames = np.zeros((1, 3, 2, 2, 2, 2), "float32")
    frames[0, 0, 0] = [1, 2]
    frames[0, 0, 1] = [3, 6]
    frames[0, 1, 0] = [5, 1e6]
    frames[0, 1, 1] = np.nan  # padding
    mask = np.array([[[1, 1], [1, 0], [0, 0]]], bool)
    found = np.asarray(clip_activations(trunk, frames, mask))
    assert found.dtype == np.float16
    # The second clip has one frame, beyond float16; the third has none.
    np.testing.assert_array_equal(found, [[[2, 4], [5, 65504], [0, 0]]])


def test_they_are_what_the_class_layer_gets():
    for name in ("resnet_small", "shufflenet_26"):
        network = small(name, dropout=0.5)
        frames = example(network)
        kernel, bias = network.get_layer("logits").get_weights()
        own = output(before_class_layer(network), frames)
        np.testing.assert_allclose(own @ kernel + bias, output(network, frames), atol=1e-4)
        one = clip_activations(before_class_layer(network), frames[:, None], np.ones((4, 1), bool))
        np.testing.assert_allclose(one, own, rtol=1e-3, atol=1e-4)
        assert clip_logits(network, frames[:, None]).shape == (4, 1, 3)
