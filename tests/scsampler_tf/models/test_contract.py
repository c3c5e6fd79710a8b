"""What every network of the zoo keeps, tried on thin ones."""

from functools import cached_property

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from scsampler_tf import models
from scsampler_tf.export import scan_graph
from tests.small_networks import DISTINCT, LIGHT, TWINS, dtype_policy, example, family, output, small, thin

LABELS = np.array([0, 2, 1, 0])
# The smallest [frames, height, width] of the 3D networks: 2 for each halving on the way. Mixed ones keep all
# frames in their 2D stages; TensorFlow's padding (I2D and I3D) always leaves something; S3D's last pooling
# rounds down, so that two places must reach it.
LEAST = {
    **dict.fromkeys(("r3d_18", "r2plus1d_18", "rmc2_18", "rmc3_18", "r3d_34", "r2plus1d_34"), (8, 16, 16)),
    **dict.fromkeys(("mc2_18", "mc3_18"), (1, 16, 16)),
    **dict.fromkeys(("mc4_18", "rmc5_18"), (2, 16, 16)),
    **dict.fromkeys(("mc5_18", "rmc4_18", "r2plus1d_small", "csn_small"), (4, 16, 16)),
    **dict.fromkeys(
        (f"{kind}_csn_{depth}" for kind in ("ir", "ip") for depth in (50, 101, 152)), (8, 32, 32)
    ),
    **dict.fromkeys(("s3d", "fast_s3d", "s3d_g"), (5, 17, 17)),
    "s3d_small": (3, 17, 17),
}
LEAST_OF_FAMILY = {"inception": (1, 1, 1), "resnet2d": (4, 4), "shufflenet": (4, 4), "audio_vgg": (16, 16)}


class Thin:
    """A thin network and what several tests need of it."""

    def __init__(self, name):
        self.name = name
        keras.utils.set_random_seed(1)
        self.model = thin(name, seed=7)
        self.pictures = example(self.model)
        signature = tf.TensorSpec((None, *self.model.input_shape[1:]), tf.float32)
        self.serve = tf.function(lambda x: self.model(x, training=False), input_signature=[signature])

    @cached_property
    def logits(self):
        return output(self.model, self.pictures)

    @cached_property
    def step(self):
        """What a step of gradient descent changes; the model stays as it was."""
        return descend(self.model, self.pictures, keras.optimizers.SGD(1.0))


@pytest.fixture(scope="module", params=DISTINCT)
def network(request):
    return Thin(request.param)


def descend(model, pictures, optimizer):
    """The loss and the change of every trained weight by its path in one step, which is taken back."""
    weights = model.get_weights()
    before = {weight.path: weight.numpy() for weight in model.trainable_weights}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=True)
    value = model.train_on_batch(pictures, LABELS)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)
    changes = {weight.path: weight.numpy() - before[weight.path] for weight in model.trainable_weights}
    model.set_weights(weights)
    return value, changes


def kernels(changes):
    # A bias before a dead ReLU may stand still; every kernel must move.
    return {path: change for path, change in changes.items() if path.endswith("kernel")}


def least(name):
    return LEAST.get(name) or LEAST_OF_FAMILY[family(name)]


def test_all_names_are_here():
    assert sorted([*DISTINCT, *TWINS]) == sorted(models.names())
    assert set(LIGHT) < set(DISTINCT)


@pytest.mark.parametrize(("name", "other"), TWINS.items())
def test_twins_are_the_same_network(name, other):
    one, two = thin(name).get_config(), thin(other).get_config()
    assert (one.pop("name"), two.pop("name")) == (name, other)
    assert one == two


def test_forward(network):
    assert isinstance(network.model, keras.Model)
    assert network.model.name == network.name
    assert network.model.input_shape[0] is None
    assert network.logits.shape == (4, 3)
    assert network.logits.dtype == np.float32
    assert np.isfinite(network.logits).all()
    assert np.ptp(network.logits, axis=0).min() > 0  # examples are told apart


def test_backward(network):
    loss, changes = network.step
    assert 0 < loss < 20
    assert kernels(changes)
    assert not [path for path, change in kernels(changes).items() if not change.any()]


def test_exported(network, tmp_path):
    module = tf.Module()
    module.captured = [weight.value for weight in network.model.weights]
    module.serve = network.serve
    found = module.serve(network.pictures).numpy()
    scale = np.abs(network.logits).max()
    np.testing.assert_allclose(found, network.logits, atol=1e-5 * scale)
    tf.saved_model.save(module, str(tmp_path))
    scan_graph(tmp_path)


@pytest.mark.parametrize("name", ["csn_small", "shufflenet_26"])
def test_exported_by_keras_and_loaded(name, tmp_path):
    model = thin(name)
    model.export(tmp_path, verbose=False)
    scan_graph(tmp_path)
    loaded = tf.saved_model.load(str(tmp_path))
    for count in (1, 4):  # the batch is of unknown size
        pictures = example(model, count)
        expected = output(model, pictures)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(loaded.serve(pictures).numpy(), expected, atol=1e-5 * scale)


def test_saved_and_loaded_gives_the_same(network, tmp_path):
    network.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(output(loaded, network.pictures), network.logits)


@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_bfloat16", 0.03), ("mixed_float16", 0.005)])
def test_mixed_precision(network, policy, tolerance):
    pooled = any(isinstance(layer, keras.layers.MaxPooling3D) for layer in network.model.layers)
    if policy == "mixed_float16" and pooled:
        pytest.skip("TensorFlow has no MaxPool3D of float16 for CPUs")
    keras.utils.set_random_seed(2)  # must not matter
    with dtype_policy(policy):
        mixed = thin(network.name, seed=7)
    pairs = zip(network.model.weights, mixed.weights, strict=True)
    assert all(np.array_equal(one.numpy(), two.numpy()) for one, two in pairs)  # the seed alone decides
    assert any(layer.compute_dtype == policy.removeprefix("mixed_") for layer in mixed.layers)
    assert {mixed.get_layer(name).compute_dtype for name in ("rescale", "logits")} == {"float32"}
    logits = output(mixed, network.pictures)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, network.logits, atol=tolerance * np.abs(network.logits).max())
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=256.0)
    loss, changes = descend(mixed, network.pictures, optimizer)
    assert loss == pytest.approx(network.step[0], rel=0.1)
    # BatchNorm over few values magnifies rounding in the gradient, but not without bounds.
    bound = 10 * max(np.abs(change).max() for change in network.step[1].values())
    for path, change in kernels(changes).items():
        assert 0 < np.abs(change).max() < bound, path


def test_one_class_at_the_smallest_size_with_another_seed(network):
    shape = (*least(network.name)[:-1], 2 * least(network.name)[-1] + 3, network.model.input_shape[-1])
    model = thin(network.name, num_classes=1, input_shape=shape, seed=8, dropout=0.2)
    pictures = example(model, 2)
    assert model.output_shape == (None, 1)
    for training in (False, True):
        assert np.isfinite(keras.ops.convert_to_numpy(model(pictures, training=training))).all()
    pairs = [(one.numpy(), two.numpy()) for one, two in kernel_pairs(network.model, model)]
    assert pairs
    assert not any(np.array_equal(one, two) for one, two in pairs)


def kernel_pairs(one, two):
    """Kernels of two networks at the same place; those before flat layers may differ in shape."""
    pairs = zip(one.trainable_weights, two.trainable_weights, strict=True)
    return [(a, b) for a, b in pairs if a.name == "kernel" and a.shape == b.shape]


@pytest.mark.parametrize("name", models.names())
def test_what_the_strides_would_use_up_is_refused(name):
    sizes = least(name)
    channels = models.INPUTS[models.PRESETS[name]["inputs"]]["channels"]
    for axis in range(len(sizes)):
        short = [size - (place == axis) for place, size in enumerate(sizes)]
        with pytest.raises(UserError, match=r"too small; \[.*\] must be at least") as told:
            small(name, input_shape=(*short, channels), inputs=models.PRESETS[name]["inputs"])
        assert str(list(sizes)) in str(told.value)
