import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import models
from scsampler_tf.models.network_file import About, save_network
from scsampler_tf.models.transfer import (
    adapted_kernel,
    class_columns,
    initial_weights,
    options_of,
    transfer,
    why_fresh,
)


def small(seed, inputs="rgb", classes=3, side=16, **options):
    """A 2D ResNet small enough for all tests; its stem is ImageNet's or follows the size."""
    channels = {"rgb": 3, "rgb_r": 3, "md": 2}[inputs]
    shape = (side, side, channels)
    return models.create(
        "resnet_small", num_classes=classes, input_shape=shape, inputs=inputs, seed=seed, **options
    )


def arrays(model):
    return {weight.path: np.array(weight) for weight in model.weights}


def test_a_kernel_for_other_channels_keeps_its_response_to_equal_values():
    kernel = np.array([[1.0, 2.0], [3.0, 4.0], [8.0, 6.0]])  # [in, out]: means 4 and 4
    np.testing.assert_allclose(adapted_kernel(kernel, 2), [[6, 6], [6, 6]])
    np.testing.assert_allclose(adapted_kernel(kernel, 1), [[12, 12]])
    np.testing.assert_allclose(adapted_kernel(kernel, 3), [[4, 4]] * 3)
    wide = np.random.default_rng(0).normal(size=(7, 7, 3, 5))
    found = adapted_kernel(wide, 2)
    assert found.shape == (7, 7, 2, 5)
    np.testing.assert_allclose(found.sum(axis=2), wide.sum(axis=2))


def test_the_same_network_is_copied_and_answers_the_same():
    source, target = small(1), small(2)
    done = transfer(target, source, classes=["a", "b", "c"], labels=["a", "b", "c"])
    assert (done.adapted, done.fresh) == ({}, {})
    assert sorted(done.copied) == sorted(layer.name for layer in target.layers if layer.weights)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    np.testing.assert_array_equal(target(pictures), source(pictures))


def test_statistics_of_batchnorm_are_copied_too():
    source, target = small(1), small(2)
    source.get_layer("stem_bn").moving_mean.assign(np.arange(16.0))
    transfer(target, source, classes=None, labels=None)
    np.testing.assert_array_equal(target.get_layer("stem_bn").moving_mean, np.arange(16.0))


def test_imagenet_for_motion_adapts_the_stem_and_leaves_the_saliency_fresh():
    source = small(1, side=32, stem="imagenet")
    target = small(2, "md", classes=1, side=14, stem="imagenet")
    before, stored = arrays(target), arrays(source)
    done = transfer(target, source, classes=["a", "b", "c"], labels=None)
    assert done.adapted == {"stem_conv": "3 input channels to 2"}
    assert done.fresh == {"logits": "a saliency is no class"}
    after = arrays(target)
    kernel = stored["stem_conv/kernel"].sum(axis=2, keepdims=True) / 2
    np.testing.assert_allclose(after["stem_conv/kernel"], np.repeat(kernel, 2, axis=2), rtol=1e-6)
    np.testing.assert_array_equal(after["logits/kernel"], before["logits/kernel"])
    np.testing.assert_array_equal(after["layer3_0_conv2/kernel"], stored["layer3_0_conv2/kernel"])
    assert done.sentence().startswith(f"{len(done.copied)} layers copied; adapted stem_conv (3 input")
    assert done.sentence().endswith("; fresh logits (a saliency is no class)")


def test_another_stem_begins_fresh():
    done = transfer(small(2, stem="small"), small(1, stem="imagenet"), classes=None, labels=None)
    assert done.fresh["stem_conv"] == "kernel [7, 7, 3, 16] in the weights, kernel [3, 3, 3, 16] here"
    assert "stem_bn" in done.copied


def test_columns_of_the_class_layer_are_picked_by_name():
    source, target = small(1, classes=4), small(2, classes=2)
    source.get_layer("logits").bias.assign([0.0, 1.0, 2.0, 3.0])
    names = ["Archery", "playing guitar", "High_Jump", "yoga"]
    done = transfer(target, source, classes=names, labels=["high jump", "archery"])
    assert done.adapted == {"logits": "2 of 4 classes"}
    stored, found = arrays(source), arrays(target)
    np.testing.assert_array_equal(found["logits/kernel"], stored["logits/kernel"][:, [2, 0]])
    np.testing.assert_array_equal(found["logits/bias"], [2, 0])


@pytest.mark.parametrize(
    ("classes", "labels", "reason"),
    [
        (["a", "b"], None, "a saliency is no class"),
        (None, ["a"], "the classes of the weights have no names"),
        (["a", "b"], ["b", "c"], "the weights have no class c"),
        (["a"], list("uvwxyz"), "the weights have no class u, v, w, x and 2 more"),
        (["High_Jump ", "a"], ["high  jump"], ""),
    ],
)
def test_why_a_class_layer_begins_fresh(classes, labels, reason):
    assert why_fresh(classes, labels) == reason


def test_of_two_classes_with_one_name_the_first_is_taken():
    assert class_columns(["x", "High jump", "high_jump"], ["high jump", "X"]) == [1, 0]


def test_an_unnamed_class_layer_stays_as_it_was():
    source, target = small(1), small(2)
    before = arrays(target)["logits/kernel"]
    done = transfer(target, source, classes=None, labels=["a", "b", "c"])
    assert done.fresh == {"logits": "the classes of the weights have no names"}
    np.testing.assert_array_equal(arrays(target)["logits/kernel"], before)


def test_a_class_layer_on_other_features_begins_fresh():
    sound = {"num_classes": 2, "input_shape": (16, 32, 1), "inputs": "log_mel"}
    source = models.create("vgg_audio_small", **sound, seed=1)
    target = models.create("vgg_audio_small", **sound, features="conv4_2")
    done = transfer(target, source, classes=["a", "b"], labels=["a", "b"])
    # Both have 64 inputs: fc1's units, and 2 bands of 32 channels.
    assert target.get_layer("logits").kernel.shape == source.get_layer("logits").kernel.shape
    assert done.fresh == {"logits": "after fc1 in the weights, after bn4_2 here"}
    assert "conv4_2" in done.copied


def test_clips_of_other_lengths_and_sizes_share_their_weights():
    clips = {"num_classes": 2, "inputs": "rgb"}
    source = models.create("r2plus1d_small", **clips, input_shape=(8, 56, 56, 3), seed=1)
    target = models.create("r2plus1d_small", **clips, input_shape=(4, 32, 32, 3))
    done = transfer(target, source, classes=["a", "b"], labels=["a", "b"])
    assert (done.adapted, done.fresh) == ({}, {})


def test_another_network_is_refused_by_name():
    entry = keras.Input((4,))
    other = keras.Model(entry, keras.layers.Dense(2, name="hidden")(entry), name="perceptron")
    with pytest.raises(UserError, match="none of the layers of resnet_small fits those of perceptron"):
        transfer(small(0), other, classes=None, labels=None)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A network of three classes in a file, as scsampler_tf.convert writes it."""
    path = tmp_path_factory.mktemp("stored") / "imagenet.keras"
    options = {"pixels": "imagenet", "stem": "imagenet", "norm_epsilon": 1e-3, "dropout": 0.5}
    about = About("resnet_small", "rgb", (16, 16, 3), options, ["a", "b", "c"], {"file": "x.pth"})
    save_network(path, small(1, **options), about)
    return path


def test_a_file_of_weights(stored):
    weights = initial_weights("md", SimpleNamespace(weights=str(stored), arch="resnet_small"))
    assert (weights.path, weights.about.classes) == (str(stored), ["a", "b", "c"])
    assert len(weights.digest) == 16
    assert weights.load().output_shape == (None, 3)
    assert options_of(weights, "rgb") == {"pixels": "imagenet", "stem": "imagenet", "norm_epsilon": 1e-3}
    assert options_of(weights, "md") == {"stem": "imagenet", "norm_epsilon": 1e-3}


def test_no_weights():
    assert initial_weights("md", SimpleNamespace(weights="", arch="resnet18")) is None
    assert options_of(None, "rgb") == {}


def test_the_digest_follows_the_contents(stored, tmp_path):
    config = SimpleNamespace(weights=str(stored), arch="resnet_small")
    first = initial_weights("md", config)
    moved = tmp_path / "moved.keras"
    moved.write_bytes(stored.read_bytes())
    config.weights = str(moved)
    assert initial_weights("md", config).digest == first.digest
    other = dataclasses.replace(first.about, classes=["a", "b", "d"])
    save_network(moved, small(1), other)
    assert initial_weights("md", config).digest != first.digest


def test_mistakes_with_files(stored, tmp_path):
    config = SimpleNamespace(weights=str(stored), arch="resnet18")
    with pytest.raises(
        UserError, match=r"md.weights: .*imagenet.keras holds .* resnet_small, but md.arch is"
    ):
        initial_weights("md", config)
    config.weights = str(tmp_path / "none.keras")
    with pytest.raises(UserError, match=r"none.keras: no such file"):
        initial_weights("md", config)
