import zipfile

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.models import create
from scsampler_tf.models.network_file import MEMBER, About, load_network, read_about, save_network

SHAPE = (16, 16, 3)
ABOUT = About("resnet_small", "rgb", SHAPE, {"pixels": "imagenet"}, ["run", "sit"], {"file": "a.pth"})


@pytest.fixture(scope="module")
def network():
    return create("resnet_small", num_classes=2, input_shape=SHAPE)


@pytest.fixture
def path(tmp_path, network):
    save_network(tmp_path / "a.keras", network, ABOUT)
    return tmp_path / "a.keras"


def test_there_and_back(path, network):
    loaded, about = load_network(path)
    assert about == ABOUT == read_about(path)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype("float32")
    np.testing.assert_array_equal(loaded(pictures), network(pictures))


def test_keras_reads_it_as_any_other(path, network):
    loaded = keras.saving.load_model(path)
    for mine, theirs in zip(network.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_another_suffix_is_refused(tmp_path, network):
    with pytest.raises(UserError, match=r"must end in \.keras"):
        save_network(tmp_path / "a.h5", network, ABOUT)
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_failure(tmp_path, network):
    with pytest.raises(TypeError):
        save_network(tmp_path / "a.keras", network, About("x", "rgb", SHAPE, {"bad": object()}))
    assert not list(tmp_path.iterdir())


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_about(tmp_path / "a.keras")


def test_a_network_of_somebody_else(tmp_path, network):
    network.save(tmp_path / "a.keras")
    with pytest.raises(UserError, match=r"not a network of python -m scsampler_tf\.convert"):
        load_network(tmp_path / "a.keras")


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_damaged_file(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=r"or it is damaged"):
        load_network(path)


def test_weights_that_do_not_fit_the_description(path):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name in (MEMBER, "metadata.json", "config.json"):
            archive.writestr(name, members[name])
    with pytest.raises(UserError, match="cannot be loaded"):
        load_network(path)
