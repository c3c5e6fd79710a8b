import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import cost
from scsampler_tf.models import create
from scsampler_tf.models.inception import BLOCKS, LAYERS, scaled
from scsampler_tf.models.inception_presets import INCEPTION

NAMES = list(INCEPTION)
DIFFERENT = ["i2d", "i3d", "i3d_top_heavy_2", "s3d_g"]  # which together have every kind of layer


def make(name, shape=(8, 32, 32, 3), classes=3, **options):
    return create(name, input_shape=shape, num_classes=classes, **options)


def thin(name, shape=(8, 32, 32, 3), **options):
    return make(name, shape, **{"width": 1 / 8, **options})


def published(name):
    preset = INCEPTION[name]
    return make(name, preset["input_shape"], preset["classes"])


def clips(shape, count=2, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (count, *shape)).astype("float32")


def output(model, pictures):
    return keras.ops.convert_to_numpy(model(pictures, training=False))


def unsettled(model, seed=0):
    """The model with weights that no initialiser would draw, so that every one of them matters."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        spread = rng.normal(0, 0.2, weight.shape)
        weight.assign(1 + np.abs(spread) if weight.name in ("gamma", "moving_variance") else spread)
    return model


def test_s3d_is_the_size_that_torchvision_documents():
    counted = cost.count(published("s3d"))
    assert counted.parameters == 8_320_048
    assert counted.gflops == pytest.approx(17.979, abs=5e-4)


def test_i3d_without_class_layer_is_the_size_of_the_ports_to_pytorch():
    model = make("i3d", classes=400, norm_scale=True)
    class_layer = 1024 * 400 + 400
    assert cost.count(model).parameters - class_layer == 12_287_264
    scales = sum(w.shape[0] for w in model.trainable_weights if w.name == "gamma")
    assert INCEPTION["i3d"]["parameters"] == 12_287_264 - scales + class_layer


@pytest.mark.parametrize(
    ("name", "parameters", "giga", "tolerances"),
    [("i3d", 12.06, 107.89, (0.06, 0.04)), ("s3d_g", 11.56, 71.38, (0.22, 0.01))],
)
def test_how_far_the_numbers_of_the_paper_are(name, parameters, giga, tolerances):
    assert INCEPTION[name]["parameters"] / 1e6 == pytest.approx(parameters, rel=tolerances[0])
    assert INCEPTION[name]["giga_multiply_adds"] == pytest.approx(giga, rel=tolerances[1])


def test_the_small_network_fits_a_cpu():
    assert 0.05 < INCEPTION["s3d_small"]["giga_multiply_adds"] < 0.15


def test_more_layers_over_time_cost_more():
    for family in ("bottom", "top"):
        costs = [INCEPTION[n]["giga_multiply_adds"] for n in NAMES if n.startswith(f"i3d_{family}_heavy")]
        assert costs == sorted(costs)
    # The reason for being top-heavy: two layers at the top cost next to nothing.
    assert INCEPTION["i3d_top_heavy_2"]["giga_multiply_adds"] < 0.5 * 81.74


def test_gates_cost_one_matrix_each():
    shape = (8, 32, 32, 3)
    without, temporal = cost.count(thin("s3d", shape)), cost.count(thin("s3d_g", shape))
    gated = [64, 192] + [widths[branch] for widths in BLOCKS.values() for branch in (2, 4)]
    squares = sum((c // 8) ** 2 for c in gated)
    assert temporal.multiply_adds - without.multiply_adds == squares
    assert temporal.parameters - without.parameters == squares + sum(c // 8 for c in gated)


@pytest.mark.parametrize(
    ("name", "shape", "last"),
    [
        ("s3d", (16, 224, 224, 3), (2, 7, 7)),
        ("s3d", (64, 224, 224, 3), (8, 7, 7)),
        ("s3d", (5, 17, 17, 3), (1, 1, 1)),
        ("s3d", (23, 230, 250, 3), (3, 7, 8)),
        ("i3d", (16, 224, 224, 3), (2, 7, 7)),
        ("i3d", (23, 230, 250, 3), (3, 8, 8)),
        ("i3d", (1, 1, 1, 3), (1, 1, 1)),
        ("i2d", (5, 64, 96, 3), (5, 2, 3)),
        ("i3d_top_heavy_2", (32, 112, 112, 3), (4, 4, 4)),
        ("s3d_small", (8, 56, 56, 3), (2, 2, 2)),
    ],
)
def test_size_of_the_last_map(name, shape, last):
    model = thin(name, shape)
    assert model.get_layer("mixed_5c").output.shape[1:4] == last
    assert model.get_layer("average").output.shape == (None, model.get_layer("mixed_5c").output.shape[-1])


def test_layers_without_time_have_no_temporal_gate():
    names = [layer.name for layer in thin("fast_s3d", gating="temporal").layers if "_gate" in layer.name]
    assert {name[:8] for name in names} == {"mixed_5b", "mixed_5c"}


def test_i2d_is_the_mean_of_its_frames():
    shape = (3, 32, 40, 3)
    model, single = unsettled(thin("i2d", shape)), unsettled(thin("i2d", (1, *shape[1:])))
    x = clips(shape)
    frames = np.stack([output(single, x[:, [frame]]) for frame in range(3)])
    assert np.ptp(frames, axis=0).max() > 1e-3
    np.testing.assert_allclose(output(model, x), frames.mean(0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["i3d_bottom_heavy_1", "i3d_top_heavy_2", "s3d_g"])
def test_the_others_see_the_order_of_frames(name):
    shape = (32, 32, 32, 3)
    model, x = unsettled(thin(name, shape)), clips(shape)
    x[:, 16:] /= 4  # half of it dark, or noise looks the same both ways
    forward, backward = output(model, x), output(model, x[:, ::-1])
    assert np.abs(forward - backward).max() > 1e-3 * np.abs(forward).max()


@pytest.mark.parametrize("name", DIFFERENT)
def test_forward_and_backward_are_finite(name):
    model = thin(name, dropout=0.2)
    pictures, labels = clips(model.input_shape[1:], 4), np.array([0, 2, 1, 0])
    logits = output(model, pictures)
    assert logits.shape == (4, 3)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=True)
    before = {weight.path: weight.numpy() for weight in model.trainable_weights}
    assert np.isfinite(model.train_on_batch(pictures, labels))
    still = [w.path for w in model.trainable_weights if np.array_equal(before[w.path], w.numpy())]
    assert not [path for path in still if path.endswith("kernel")]
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


@pytest.mark.parametrize("name", DIFFERENT)
def test_is_functional_without_grouped_convolutions(name):
    model = thin(name)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv3D)]
    assert len(convolutions) >= 57
    assert {layer.groups for layer in convolutions} == {1}
    assert not [layer for layer in model.layers if "Depthwise" in type(layer).__name__]
    assert not [layer for layer in model.layers if type(layer).__module__.startswith("keras.src.ops")]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside keras
@pytest.mark.parametrize("name", ["i3d", "s3d_g"])
def test_saved_and_loaded_gives_the_same(name, tmp_path):
    model = unsettled(thin(name, dropout=0.5))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    pictures = clips(model.input_shape[1:])
    np.testing.assert_allclose(output(loaded, pictures), output(model, pictures), rtol=1e-5, atol=1e-5)


def test_mixed_precision_gives_float32_logits():
    full = thin("s3d_g")
    before = keras.config.dtype_policy()
    # On a CPU TensorFlow has no 3D max-pooling in float16.
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = thin("s3d_g")
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(full.get_weights())
    pictures = clips(full.input_shape[1:])
    logits = output(mixed, pictures)
    assert logits.dtype == np.float32
    assert mixed.get_layer("mixed_3b_b1_gate_mean").compute_dtype == "float32"
    assert mixed.get_layer("mixed_3b_b1_time").compute_dtype == "bfloat16"
    np.testing.assert_allclose(logits, output(full, pictures), atol=0.02)


def test_the_seed_alone_decides_the_weights():
    first, same, other = (thin("s3d_g", seed=seed) for seed in (7, 7, 8))
    pairs = list(zip(first.weights, same.weights, other.weights, strict=True))
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b, _ in pairs)
    assert not any(np.array_equal(a.numpy(), c.numpy()) for a, _, c in pairs if a.name == "kernel")


@pytest.mark.parametrize(
    ("name", "momentum", "scale"), [("s3d", 0.999, True), ("i3d", 0.999, False), ("s3d_small", 0.9, True)]
)
def test_batchnorm_constants_and_synchronization(name, momentum, scale):
    for synchronized in (False, True):
        model = thin(name, sync_batchnorm=synchronized)
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        found = {(n.epsilon, n.momentum, n.scale, n.synchronized) for n in norms}
        assert found == {(1e-3, momentum, scale, synchronized)}


def test_kinds_reach_their_layers():
    model = thin("i3d_bottom_heavy_4")
    kernels = {name: model.get_layer(name).kernel.shape[:3] for name in ("conv_1a", "conv_2c")}
    kernels |= {name: model.get_layer(f"{name}_b1").kernel.shape[:3] for name in BLOCKS}
    full, spatial = (3, 3, 3), (1, 3, 3)
    assert list(kernels.values()) == [(7, 7, 7)] + [full] * 3 + [spatial] * 7
    assert list(kernels) == list(LAYERS)


def test_width_scales_all_channels():
    assert [scaled(c, 1 / 8) for c in (16, 208, 384)] == [2, 26, 48]
    assert scaled(16, 0.01) == 1
    assert thin("s3d").get_layer("mixed_5c").output.shape[-1] == 128


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("s3d", {"shape": (4, 32, 32, 3)}, r"too small; .* \[5, 17, 17\]"),
        ("s3d", {"shape": (8, 32, 16, 3)}, r"too small; .* \[5, 17, 17\]"),
        ("s3d_small", {"shape": (2, 32, 32, 3)}, r"too small; .* \[3, 17, 17\]"),
        ("i3d", {"shape": (0, 32, 32, 3)}, r"too small; .* \[1, 1, 1\]"),
        ("s3d", {"kinds": ("full",) * 10}, "10 kinds, but there are 11 layers: conv_1a, conv_2c, mixed_3b"),
        ("s3d", {"kinds": ("flat",) * 11}, "kind 'flat' is none of full, spatial, separable"),
        ("s3d", {"padding": "valid"}, "padding 'valid' is none of symmetric, same"),
        ("s3d", {"gating": "all"}, "gating 'all' is none of none, temporal, branches"),
        ("s3d", {"width": 0}, "width 0 is not above 0"),
    ],
)
def test_mistakes_are_told(name, arguments, message):
    with pytest.raises(UserError, match=f"{name}: .*{message}"):
        thin(name, **arguments)
