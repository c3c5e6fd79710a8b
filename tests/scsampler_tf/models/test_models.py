"""The contract every network keeps, at small sizes."""

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import cost, models

SMALL_SHAPES = {"resnet3d": (8, 16, 16, 3), "resnet2d": (14, 14, 2), "audio_vgg": (16, 32, 1)}
KINDS = {"resnet3d": "rgb", "resnet2d": "md", "audio_vgg": "log_mel"}
LIGHT = ["r2plus1d_small", "resnet_small", "vgg_audio_small"]
# The same kinds of layers, but fewer and with fewer channels, so that running them is quick.
THIN = {"widths": (8, 12, 16, 20), "repeats": (1, 1, 1, 2), "stem_width": 8, "units": (16, 16)}


def small(name, **options):
    family = models.PRESETS[name]["family"]
    options = {"num_classes": 3, "input_shape": SMALL_SHAPES[family], "inputs": KINDS[family], **options}
    return models.create(name, **options)


def thin(name, **options):
    if name in LIGHT:
        return small(name, **options)
    arguments = models.PRESETS[name]["arguments"]
    return small(name, **{key: value for key, value in THIN.items() if key in arguments}, **options)


def example(model):
    rng = np.random.default_rng(0)
    top = 255.0 if model.input_shape[-1] == 3 else 4.0
    return rng.uniform(0, top, (4, *model.input_shape[1:])).astype("float32")


def output(model, pictures):
    return keras.ops.convert_to_numpy(model(pictures, training=False))


def test_names():
    assert set(LIGHT) <= set(models.names())
    assert {"r3d_18", "mc3_18", "r2plus1d_18", "resnet18", "vgg_audio"} <= set(models.names())


@pytest.mark.parametrize("name", models.names())
def test_size_and_cost_are_those_documented(name):
    preset = models.PRESETS[name]
    model = models.create(
        name, num_classes=preset["classes"], input_shape=preset["input_shape"], inputs=preset["inputs"]
    )
    assert sum(np.prod(w.shape, dtype=int) for w in model.trainable_weights) == preset["parameters"]
    assert cost.count(model).parameters == preset["parameters"]
    assert cost.count(model).gflops == pytest.approx(preset["giga_multiply_adds"], rel=0.005)
    assert model.output_shape == (None, preset["classes"])


def test_documented_sizes_are_the_published_ones():
    published = {
        "r2plus1d_18": (31_505_325, 40.52),
        "r3d_18": (33_371_472, 40.70),
        "mc3_18": (11_695_440, 43.34),
        "resnet18": (11_689_512, 1.814),
    }
    for name, sizes in published.items():
        assert tuple(models.PRESETS[name][key] for key in ("parameters", "giga_multiply_adds")) == sizes


def test_small_networks_fit_a_cpu():
    assert 0.08 < models.PRESETS["r2plus1d_small"]["giga_multiply_adds"] < 0.12
    assert models.PRESETS["vgg_audio_small"]["giga_multiply_adds"] < 0.008
    assert models.PRESETS["resnet_small"]["giga_multiply_adds"] < 0.005
    assert cost.count(small("resnet_small", input_shape=(7, 7, 2))).multiply_adds < 1e6


@pytest.mark.parametrize("name", models.names())
def test_forward_and_backward_are_finite(name):
    model = thin(name, dropout=0.2)
    pictures, labels = example(model), np.array([0, 2, 1, 0])
    logits = output(model, pictures)
    assert logits.shape == (4, 3)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=True)
    before = [weight.numpy() for weight in model.trainable_weights]
    assert np.isfinite(model.train_on_batch(pictures, labels))
    changed = [np.any(old != new.numpy()) for old, new in zip(before, model.trainable_weights, strict=True)]
    # A bias before a dead ReLU may stand still; every kernel must move.
    kernels = [w.path for w, moved in zip(model.trainable_weights, changed, strict=True) if not moved]
    assert not [path for path in kernels if path.endswith("kernel")]
    assert all(np.isfinite(weight.numpy()).all() for weight in model.trainable_weights)


@pytest.mark.parametrize("name", models.names())
def test_is_functional_without_grouped_convolutions(name):
    model = thin(name)
    assert isinstance(model, keras.Model)
    assert model.name == name
    convolutions = [
        layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv3D)
    ]
    assert convolutions
    assert all(layer.groups == 1 for layer in convolutions)
    assert not [layer for layer in model.layers if "Depthwise" in type(layer).__name__]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside keras
@pytest.mark.parametrize("name", LIGHT)
def test_saved_and_loaded_gives_the_same(name, tmp_path):
    model = small(name, dropout=0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(output(loaded, example(model)), output(model, example(model)), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "policy"), [("resnet_small", "mixed_float16"), *((name, "mixed_bfloat16") for name in LIGHT)]
)
def test_mixed_precision_gives_float32_logits(name, policy):
    full = small(name)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = small(name)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(full.get_weights())
    logits = output(mixed, example(full))
    assert logits.dtype == np.float32
    assert mixed.get_layer("rescale").compute_dtype == "float32"
    reduced = policy.removeprefix("mixed_")
    assert any(layer.compute_dtype == reduced for layer in mixed.layers)
    np.testing.assert_allclose(logits, output(full, example(full)), atol=0.02)


@pytest.mark.parametrize("name", LIGHT)
def test_the_seed_alone_decides_the_weights(name):
    keras.utils.set_random_seed(1)
    first = small(name, seed=7)
    keras.utils.set_random_seed(2)
    same, other = small(name, seed=7), small(name, seed=8)
    pairs = list(zip(first.weights, same.weights, other.weights, strict=True))
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b, _ in pairs)
    kernels = [(a.numpy(), c.numpy()) for a, _, c in pairs if a.name == "kernel"]
    assert kernels
    assert not any(np.array_equal(a, c) for a, c in kernels)


def test_layers_of_one_shape_start_differently():
    model = small("resnet18")
    first, second = (model.get_layer(f"layer1_{i}_conv1").kernel.numpy() for i in (0, 1))
    assert first.shape == second.shape
    assert np.abs(first - second).max() > 0.01


def test_the_initial_deviation_is_he_over_the_fan_out():
    kernel = small("resnet18").get_layer("layer4_1_conv2").kernel.numpy()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 512)), rel=0.01)
    assert abs(kernel.mean()) < 1e-4


def test_batchnorm_constants_and_synchronization():
    for synchronized in (False, True):
        model = small("r2plus1d_small", sync_batchnorm=synchronized)
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert {(n.epsilon, n.momentum, n.synchronized) for n in norms} == {(1e-5, 0.9, synchronized)}


def test_dropout_is_only_there_when_asked_for():
    assert not [layer for layer in small("resnet_small").layers if layer.name == "dropout"]
    assert small("resnet_small", dropout=0.3).get_layer("dropout").rate == 0.3


def test_options_override_the_preset():
    model = small("resnet_small", widths=(8, 16), repeats=(2, 1))
    assert model.get_layer("layer1_1_conv2").filters == 8
    assert model.get_layer("average").output.shape == (None, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet19"}, "network 'resnet19' is unknown; known are r3d_18, mc3_18"),
        ({"depth": 3}, "unknown option 'depth'; known are dropout, repeats, seed, stem"),
        ({"stem": "large"}, "stem 'large' is none of auto, imagenet, small"),
        ({"num_classes": 0}, "0 classes"),
        ({"dropout": 1.0}, "dropout 1.0"),
        ({"inputs": "yuv"}, "inputs 'yuv' is none of rgb, rgb_r, md, log_mel"),
        ({"inputs": "md"}, "3 channels, but inputs 'md' have 2"),
        ({"input_shape": (16, 3)}, r"takes \[height, width, channels\]"),
        ({"input_shape": (8, 16, 16, 3)}, r"takes \[height, width, channels\]"),
        ({"input_shape": (None, 16, 3)}, r"takes \[height, width, channels\]"),
        ({"input_shape": (3, 16, 3)}, r"too small; \[height, width\] must be at least \[4, 4\]"),
    ],
)
def test_mistakes_are_told(arguments, message):
    values = {"name": "resnet_small", "num_classes": 3, "input_shape": (16, 16, 3), "inputs": "rgb"}
    with pytest.raises(UserError, match=message):
        models.create(**{**values, **arguments})
