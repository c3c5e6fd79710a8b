"""Trainings that begin with the weights of another network, on the tiny run's features."""

import dataclasses

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.index import load_index
from scsampler_tf.config import tiny
from scsampler_tf.fitting import with_weights
from scsampler_tf.model_folder import load_model, run_of
from scsampler_tf.models import create
from scsampler_tf.models.network_file import About, save_network
from scsampler_tf.runtime import make_strategy
from scsampler_tf.scoring import saliency_function, video_saliency
from scsampler_tf.tables import load_table
from scsampler_tf.train_classifier import train_classifier
from scsampler_tf.train_sampler import train_sampler

CLASSIFIER = ("r2plus1d_small", "rgb", (8, 56, 56, 3))
SOUND = ("vgg_audio_small", "log_mel", (40, 200, 1))


@pytest.fixture(scope="module")
def run(tiny_run):
    """The index and the classifier's score table."""
    return load_index(tiny_run.folder / "features"), load_table(tiny_run.folder / "scores" / "classifier.npz")


def train(kind, run, folder, strategy="one_device", **changes):
    index, table = run
    config = dataclasses.replace(getattr(tiny(), kind), epochs=1, **changes)
    devices = make_strategy(strategy)
    train_sampler(kind, index, config, table, folder, K=3, strategy=devices, seed=0, quiet=True)


def network_file(path, arch, inputs, shape, *, classes=("Right", "up", "LEFT"), **options):
    """A network of named classes with other weights than those a training begins with by itself."""
    network = create(arch, num_classes=len(classes), input_shape=shape, inputs=inputs, seed=7, **options)
    save_network(path, network, About(arch, inputs, shape, options, list(classes), {"file": "own.pth"}))
    return network


def train_own_classifier(run, folder, weights, *, quiet=True, **changes):
    config = dataclasses.replace(tiny().classifier, weights=str(weights), **changes)
    devices = make_strategy("one_device")
    train_classifier(run[0], config, folder, strategy=devices, seed=0, workers=0, quiet=quiet)


def test_a_published_classifier_is_used_without_training(run, tmp_path, capsys):
    weights = tmp_path / "published.keras"
    stored = network_file(weights, *CLASSIFIER, pixels="unit", norm_epsilon=1e-3)
    train_own_classifier(run, tmp_path / "f", weights, quiet=False, epochs=0)
    printed = capsys.readouterr().out
    assert printed.startswith(f"classifier: begins with {weights}: ")
    assert printed.endswith("adapted logits (2 of 3 classes)\n")
    trained = load_model(tmp_path / "f")
    assert trained.labels == ["left", "right"]
    # Labels are left and right: the network's third and first class.
    clips = np.random.default_rng(0).uniform(0, 255, (2, 8, 32, 32, 3)).astype("float32")
    twin = create(
        "r2plus1d_small", num_classes=3, input_shape=(8, 32, 32, 3), pixels="unit", norm_epsilon=1e-3
    )
    twin.set_weights(stored.get_weights())
    np.testing.assert_allclose(trained.network(clips), np.asarray(twin(clips))[:, [2, 0]], atol=1e-6)
    begun = trained.about["initial_weights"]
    assert (begun["file"], begun["source"], begun["fresh"]) == ("published.keras", {"file": "own.pth"}, {})
    assert trained.about["best"] < 0  # it was measured on the val videos
    assert not (tmp_path / "f" / "history.csv").exists()


def test_a_classifier_begins_with_weights(run, tmp_path):
    network_file(tmp_path / "other.keras", *CLASSIFIER, classes=("running",))
    train_own_classifier(run, tmp_path / "f", tmp_path / "other.keras", epochs=1, learning_rate=1e-12)
    about = load_model(tmp_path / "f").about["initial_weights"]
    assert about["fresh"] == {"logits": "the weights have no class left, right"}
    assert about["adapted"] == {}
    assert {"stem_space", "stem_bn"} <= set(about["copied"])
    assert (tmp_path / "f" / "history.csv").read_text().count("\n") == 2


def test_only_a_classifier_of_these_classes_needs_no_training(run, tmp_path):
    network_file(tmp_path / "other.keras", *CLASSIFIER, classes=("left", "up"))
    with pytest.raises(
        UserError, match=r"epochs=0 takes .*other.keras as it is, but .* no class right; train"
    ):
        train_own_classifier(run, tmp_path / "f", tmp_path / "other.keras", epochs=0)
    assert not (tmp_path / "f").exists()


def test_another_architecture_and_a_missing_file_are_told_before_anything_is_made(run, tmp_path):
    network_file(tmp_path / "sound.keras", *SOUND)
    with pytest.raises(
        UserError, match=r"sound.keras holds the network vgg_audio_small, but classifier.arch"
    ):
        train_own_classifier(run, tmp_path / "f", tmp_path / "sound.keras")
    with pytest.raises(UserError, match=r"none.keras: no such file"):
        train("audio", run, tmp_path / "f", weights=str(tmp_path / "none.keras"))
    assert not (tmp_path / "f").exists()


def test_a_changed_file_of_weights_is_another_training(run, tmp_path):
    weights, folder = tmp_path / "w.keras", tmp_path / "f"
    network_file(weights, *SOUND)
    train("audio", run, folder, weights=str(weights))
    weights.rename(tmp_path / "moved.keras")
    train("audio", run, folder, weights=str(tmp_path / "moved.keras"))
    network_file(weights, *SOUND, classes=("a", "b"))
    with pytest.raises(UserError, match="was begun with weights="):
        train("audio", run, folder, weights=str(weights))
    with pytest.raises(UserError, match="was begun with weights="):
        train("audio", run, folder)


@pytest.mark.parametrize("strategy", ["one_device", "mirrored"])
def test_one_layer_learns_on_activations_of_pretrained_ones(run, tmp_path, strategy):
    stored = network_file(tmp_path / "w.keras", *SOUND)
    changes = {"weights": str(tmp_path / "w.keras"), "trainable": "head", "features": "conv4_2"}
    train("audio", run, tmp_path / "f", strategy, **changes)
    trained = load_model(tmp_path / "f")
    assert trained.about["initial_weights"]["fresh"] == {"logits": "a saliency is no class"}
    layers = {layer.name: layer for layer in trained.network.layers if layer.weights}
    assert list(layers)[-2:] == ["bn4_2", "logits"]
    for name in list(layers)[:-1]:
        for found, expected in zip(
            layers[name].get_weights(), stored.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
    index, _ = run
    saliency = video_saliency(
        saliency_function(trained.network, "sal_rank"), index, index.of_split("test")[0], "audio"
    )
    assert ((saliency >= 0) & (saliency <= 1)).all()


def test_motion_begins_with_weights_for_pictures(run, tmp_path):
    network_file(tmp_path / "w.keras", "resnet_small", "rgb", (32, 32, 3), stem="imagenet", pixels="imagenet")
    train("md", run, tmp_path / "f", weights=str(tmp_path / "w.keras"))
    trained = load_model(tmp_path / "f")
    begun = trained.about["initial_weights"]
    assert begun["adapted"] == {"stem_conv": "3 input channels to 2", "logits": "2 of 3 classes"}
    assert begun["fresh"] == {}
    assert trained.network.get_layer("stem_conv").kernel.shape == (7, 7, 2, 16)


def test_layers_that_begin_with_weights_may_learn_more_slowly(run, tmp_path):
    """On two devices, with a rate so small that only what is fresh can be seen to move."""
    stored = network_file(tmp_path / "sound.keras", *SOUND)
    options = {"learning_rate": 0.1, "pretrained_rate": 1e-9, "schedule": "plateau", "warmup_epochs": 0}
    weights = {"weights": str(tmp_path / "sound.keras")}
    train("audio", run, tmp_path / "slow", strategy="mirrored", **weights, **options)
    slow = load_model(tmp_path / "slow").network
    train("audio", run, tmp_path / "fast", **weights, **{**options, "pretrained_rate": 1.0})
    fast = load_model(tmp_path / "fast").network

    fresh = create("vgg_audio_small", num_classes=1, input_shape=SOUND[2], inputs="log_mel", seed=0)

    def moved(network, layer, begun):
        before, after = (each.get_layer(layer).kernel.numpy() for each in (begun, network))
        return np.abs(after - before).max()

    assert moved(slow, "conv4_2", stored) < 1e-6
    assert moved(fast, "conv4_2", stored) > 1e-2
    assert moved(slow, "logits", fresh) > 1e-2


def test_a_classifiers_layers_that_begin_with_weights_may_learn_more_slowly(run, tmp_path):
    stored = network_file(tmp_path / "other.keras", *CLASSIFIER, classes=("running",))
    options = {"epochs": 1, "warmup_epochs": 0, "learning_rate": 0.01, "pretrained_rate": 1e-9}
    train_own_classifier(run, tmp_path / "f", tmp_path / "other.keras", **options)
    trained = load_model(tmp_path / "f").network
    fresh = create("r2plus1d_small", num_classes=2, input_shape=(8, 32, 32, 3), seed=0)

    def moved(layer, begun):
        return np.abs(trained.get_layer(layer).kernel.numpy() - begun.get_layer(layer).kernel.numpy()).max()

    assert moved("stem_space", stored) < 1e-6
    assert moved("logits", fresh) > 1e-3


def test_a_classifiers_training_of_old_is_still_the_same_one(run):
    """What its run.json says does not tell of the rate unless there is one."""
    index, _ = run
    assert (
        "pretrained_rate"
        not in with_weights(run_of("classifier", tiny().classifier, index, 0), None)["config"]
    )
    slow = dataclasses.replace(tiny().classifier, pretrained_rate=0.1)
    assert with_weights(run_of("classifier", slow, index, 0), None)["config"]["pretrained_rate"] == 0.1
