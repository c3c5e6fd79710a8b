"""VGGish's convolutions in our audio network, against VGGish written here with TensorFlow alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scsampler_tf.models.convert import convert
from scsampler_tf.models.weights_audio import AUDIO_LAYOUTS, identity, turned

# Name in TF-Slim's checkpoint, number in PyTorch's, output channels; None is a pooling.
VGGISH = (
    ("conv1", 0, 64),
    None,
    ("conv2", 3, 128),
    None,
    ("conv3/conv3_1", 6, 256),
    ("conv3/conv3_2", 8, 256),
    None,
    ("conv4/conv4_1", 11, 512),
    ("conv4/conv4_2", 13, 512),
    None,
)
BANDS, TIMES = 32, 48  # even through all poolings, where VGGish pads and we do not


@pytest.fixture(scope="module")
def slim():
    """Arrays under the names of TF-Slim's checkpoint, the dense layers in small."""
    rng = np.random.default_rng(0)
    tensors, channels = {}, 1
    for name, _, width in filter(None, VGGISH):
        scale = np.sqrt(2 / (9 * channels))
        tensors[f"vggish/{name}/weights"] = rng.normal(0, scale, (3, 3, channels, width)).astype("float32")
        tensors[f"vggish/{name}/biases"] = rng.normal(0, 0.1, width).astype("float32")
        channels = width
    dense = {"fc1/fc1_1": (12, 4), "fc1/fc1_2": (4, 4), "fc2": (4, 2)}
    for name, shape in dense.items():
        tensors[f"vggish/{name}/weights"] = np.zeros(shape, "float32")
        tensors[f"vggish/{name}/biases"] = np.zeros(shape[1], "float32")
    return tensors


def as_torch(slim):
    """The same arrays as PyTorch's VGGish has them."""
    tensors = {}
    for name, number, _ in filter(None, VGGISH):
        tensors[f"features.{number}.weight"] = slim[f"vggish/{name}/weights"].transpose(3, 2, 0, 1)
        tensors[f"features.{number}.bias"] = slim[f"vggish/{name}/biases"]
    for number, name in ((0, "fc1/fc1_1"), (2, "fc1/fc1_2"), (4, "fc2")):
        tensors[f"embeddings.{number}.weight"] = slim[f"vggish/{name}/weights"].T
        tensors[f"embeddings.{number}.bias"] = slim[f"vggish/{name}/biases"]
    return tensors


def vggish_pool4(slim, sound):
    """VGGish's convolutions and poolings on `[B, times, bands, 1]`."""
    x = tf.constant(sound)
    for step in VGGISH:
        if step is None:
            x = tf.nn.max_pool2d(x, 2, 2, "SAME")
            continue
        kernel, bias = (slim[f"vggish/{step[0]}/{weight}"] for weight in ("weights", "biases"))
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)
    return x.numpy()


@pytest.mark.parametrize("layout", ["vggish", "torchvggish"])
def test_pool4_is_that_of_vggish(slim, layout):
    tensors = slim if layout == "vggish" else as_torch(slim)
    made = convert(tensors, "vgg_audio", input_shape=(BANDS, TIMES, 1))
    assert made.layout == layout
    network = keras.Model(made.model.input, made.model.get_layer("pool4").output)
    sound = np.random.default_rng(1).normal(-2, 2, (2, TIMES, BANDS, 1)).astype("float32")
    expected = vggish_pool4(slim, sound)
    found = np.asarray(network(sound.transpose(0, 2, 1, 3), training=False)).transpose(0, 2, 1, 3)
    assert found.shape == expected.shape == (2, TIMES // 16, BANDS // 16, 512)
    # Eight BatchNorms, each of which divides by sqrt(1 + 1e-5).
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


def test_what_begins_afresh_and_what_is_left_over(slim):
    made = convert(slim, "vgg_audio")
    dense = {f"{layer}/{weight}" for layer in ("fc1", "fc2", "logits") for weight in ("kernel", "bias")}
    kept = {path for path in made.kept if not path.startswith("bn")}
    assert kept == dense
    assert {path for path in made.kept if path.endswith("beta")} == {"bn1_2/beta", "bn2_2/beta"}
    assert made.model.input_shape == (None, 40, 200, 1)
    assert len(made.left) == 6
    assert all(key.startswith(("vggish/fc1", "vggish/fc2")) for key in made.left)


def test_kernels_are_turned_and_missing_ones_are_identities():
    array = np.arange(9.0).reshape(3, 3, 1, 1)
    np.testing.assert_array_equal(turned("conv1_1/kernel", array)[..., 0, 0], array[..., 0, 0].T)
    np.testing.assert_array_equal(turned("bn1_1/beta", np.arange(3.0)), [0, 1, 2])
    kernel = turned("conv1_2/kernel", np.zeros((3, 3, 1, 2)))
    assert kernel.shape == (3, 3, 2, 2)
    np.testing.assert_array_equal(kernel[1, 1], [[1, 0], [0, 1]])
    assert kernel.sum() == 2
    sound = np.random.default_rng(2).normal(size=(1, 4, 5, 2))
    np.testing.assert_array_equal(tf.nn.conv2d(sound, identity(kernel), 1, "SAME"), sound)


@pytest.mark.parametrize(
    ("layout", "path", "key"),
    [
        (0, "conv1_1/kernel", "vggish/conv1/weights"),
        (0, "bn4_2/beta", "vggish/conv4/conv4_2/biases"),
        (0, "bn1_1/gamma", None),
        (0, "fc1/kernel", None),
        (1, "conv3_2/kernel", "features.8.weight"),
        (1, "bn2_1/beta", "features.3.bias"),
    ],
)
def test_names(layout, path, key):
    assert AUDIO_LAYOUTS["vgg_audio"][layout].key(path) == key
