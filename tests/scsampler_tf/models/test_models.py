"""What `create` takes and refuses, the documented sizes, and the graphs of the whole networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from pipelines.errors import UserError
from scsampler_tf import cost, models
from scsampler_tf.export import ExportError, scan_graph
from tests.small_networks import LIGHT, small


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
def test_size_cost_and_graph_of_the_whole_network(name, tmp_path, monkeypatch):
    # Neither depends on the values of the weights, and drawing them takes longer than all else.
    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
    preset = models.PRESETS[name]
    model = models.create(
        name, num_classes=preset["classes"], input_shape=preset["input_shape"], inputs=preset["inputs"]
    )
    assert sum(np.prod(w.shape, dtype=int) for w in model.trainable_weights) == preset["parameters"]
    assert cost.count(model).parameters == preset["parameters"]
    assert cost.count(model).gflops == pytest.approx(preset["giga_multiply_adds"], rel=0.005)
    assert model.output_shape == (None, preset["classes"])
    scan_graph(traced(model, tmp_path))


def zeros(initializer, shape, dtype=None, **layout):
    return tf.zeros(shape, dtype)


def traced(network, folder):
    """The graph that would be exported, as a SavedModel without weights; returns its folder."""
    pictures = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)
    function = tf.function(lambda x: network(x, training=False)).get_concrete_function(pictures)
    saved = SavedModel()
    saved.meta_graphs.add().graph_def.CopyFrom(function.graph.as_graph_def())
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    return folder


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


def test_a_grouped_convolution_cannot_be_served(tmp_path):
    entry = keras.Input((6, 6, 4))
    grouped = keras.layers.Conv2D(4, 3, groups=2)(entry)
    with pytest.raises(ExportError, match="TF-Serving lacks"):
        scan_graph(traced(keras.Model(entry, grouped), tmp_path))


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
        ({"depth": 3}, "unknown option 'depth'; known are dropout, .*repeats, seed, stem"),
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
