"""The contract every network keeps, at small sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from pipelines.errors import UserError
from scsampler_tf import cost, models
from scsampler_tf.export import ExportError, scan_graph

SMALL_SHAPES = {
    "resnet3d": (8, 16, 16, 3),
    "inception": (8, 32, 32, 3),
    "resnet2d": (14, 14, 2),
    "shufflenet": (14, 14, 2),
    "audio_vgg": (16, 32, 1),
}
POOLED_SHAPE = (8, 32, 32, 3)  # for 3D ResNets whose stem shrinks by 4
KINDS = {"resnet3d": "rgb", "inception": "rgb", "resnet2d": "md", "shufflenet": "md", "audio_vgg": "log_mel"}
LIGHT = ["r2plus1d_small", "csn_small", "s3d_small", "resnet_small", "vgg_audio_small"]
# The same kinds of layers, but fewer and with fewer channels, so that running them is quick.
THIN = {
    "widths": (8, 12, 16, 20),
    "repeats": (1, 1, 1, 2),
    "stem_width": 8,
    "units": (16, 16),
    "width": 1 / 8,
}
THIN_SHUFFLENET = {"widths": (12, 24, 36), "repeats": (1, 1, 2), "stem_width": 6}
QUICK = [*LIGHT, "shufflenet_26"]


def small(name, **options):
    family, arguments = (models.PRESETS[name][key] for key in ("family", "arguments"))
    shape = POOLED_SHAPE if arguments.get("stem") == "pooled" else SMALL_SHAPES[family]
    return models.create(name, **{"num_classes": 3, "input_shape": shape, "inputs": KINDS[family], **options})


def thin_options(name):
    """What is changed in a preset to make it thin."""
    family, arguments = (models.PRESETS[name][key] for key in ("family", "arguments"))
    values = THIN_SHUFFLENET if family == "shufflenet" else THIN
    return {} if name in LIGHT else {key: value for key, value in values.items() if key in arguments}


def thin(name, **options):
    return small(name, **{**thin_options(name), **options})


def thin_arguments(name):
    return repr(sorted({**models.PRESETS[name]["arguments"], **thin_options(name)}.items()))


# One name of those that are the same network once they are thin, such as all depths of R3D.
DISTINCT = list({thin_arguments(name): name for name in reversed(models.names())}.values())[::-1]
# Of the Inception family those that together have every kind of layer.
INCEPTION = ("i2d", "i3d", "i3d_top_heavy_2", "s3d_g", "s3d_small")
DISTINCT = [n for n in DISTINCT if models.PRESETS[n]["family"] != "inception" or n in INCEPTION]


def example(model):
    rng = np.random.default_rng(0)
    top = 255.0 if model.input_shape[-1] == 3 else 4.0
    return rng.uniform(0, top, (4, *model.input_shape[1:])).astype("float32")


def output(model, pictures):
    return keras.ops.convert_to_numpy(model(pictures, training=False))


def test_names():
    assert set(LIGHT) <= set(models.names())
    assert {"r3d_18", "mc3_18", "r2plus1d_18", "resnet18", "vgg_audio"} <= set(models.names())
    assert {"r2plus1d_34", "ir_csn_152", "ip_csn_152", "shufflenet_26"} <= set(models.names())


@pytest.mark.parametrize("name", models.names())
def test_presets_tell_all(name):
    facts = {"family", "arguments", "input_shape", "inputs", "classes"}
    assert set(models.PRESETS[name]) == facts | {"parameters", "giga_multiply_adds", "source"}
    assert models.PRESETS[name]["source"]


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


@pytest.mark.parametrize(
    ("name", "side", "millions", "gflops"),
    [
        ("r2plus1d_34", 128, 63.6, 199.0),
        ("ir_csn_152", 256, 29.6, 96.7),
        ("ip_csn_152", 256, 32.8, 108.8),
    ],
)
def test_sizes_published_by_vmz(name, side, millions, gflops):
    rows = cost.per_layer(models.create(name, num_classes=400, input_shape=(32, side, side, 3)))
    parameters = sum(row.parameters for row in rows if row.kind != "BatchNormalization")
    assert parameters / 1e6 == pytest.approx(millions, abs=0.05)
    assert sum(row.multiply_adds for row in rows) / 1e9 == pytest.approx(gflops, abs=0.05)


def test_small_networks_fit_a_cpu():
    assert 0.08 < models.PRESETS["r2plus1d_small"]["giga_multiply_adds"] < 0.12
    assert models.PRESETS["csn_small"]["giga_multiply_adds"] < 0.08
    assert models.PRESETS["vgg_audio_small"]["giga_multiply_adds"] < 0.008
    assert models.PRESETS["resnet_small"]["giga_multiply_adds"] < 0.005
    assert cost.count(small("resnet_small", input_shape=(7, 7, 2))).multiply_adds < 1e6


@pytest.mark.parametrize("name", DISTINCT)
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


def traced(network, folder):
    """The graph that would be exported, as a SavedModel without weights; returns its folder."""
    pictures = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)
    function = tf.function(lambda x: network(x, training=False)).get_concrete_function(pictures)
    saved = SavedModel()
    saved.meta_graphs.add().graph_def.CopyFrom(function.graph.as_graph_def())
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    return folder


@pytest.mark.parametrize("name", DISTINCT)
def test_can_be_served(name, tmp_path):
    model = thin(name)
    assert isinstance(model, keras.Model)
    assert model.name == name
    scan_graph(traced(model, tmp_path))


@pytest.mark.parametrize("name", ["csn_small", "shufflenet_26"])
def test_can_be_served_once_exported(name, tmp_path):
    tf.saved_model.save(thin(name), str(tmp_path))
    scan_graph(tmp_path)


def test_a_grouped_convolution_cannot_be_served(tmp_path):
    entry = keras.Input((6, 6, 4))
    grouped = keras.layers.Conv2D(4, 3, groups=2)(entry)
    with pytest.raises(ExportError, match="TF-Serving lacks"):
        scan_graph(traced(keras.Model(entry, grouped), tmp_path))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside keras
@pytest.mark.parametrize("name", QUICK)
def test_saved_and_loaded_gives_the_same(name, tmp_path):
    model = thin(name, dropout=0.5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(output(loaded, example(model)), output(model, example(model)), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *((name, "mixed_float16") for name in ("resnet_small", "shufflenet_26")),
        *((name, "mixed_bfloat16") for name in QUICK),
    ],
)
def test_mixed_precision_gives_float32_logits(name, policy):
    full = thin(name)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = thin(name)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(full.get_weights())
    logits = output(mixed, example(full))
    assert logits.dtype == np.float32
    assert mixed.get_layer("rescale").compute_dtype == "float32"
    reduced = policy.removeprefix("mixed_")
    assert any(layer.compute_dtype == reduced for layer in mixed.layers)
    # The fresh S3D's logits are about 7; 8 bits of mantissa through its many layers leave 2 % of that.
    np.testing.assert_allclose(logits, output(full, example(full)), atol=0.2 if name == "s3d_small" else 0.02)


@pytest.mark.parametrize("name", QUICK)
def test_the_seed_alone_decides_the_weights(name):
    keras.utils.set_random_seed(1)
    first = thin(name, seed=7)
    keras.utils.set_random_seed(2)
    same, other = thin(name, seed=7), thin(name, seed=8)
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
