"""Versions appear, are served, fail and go, with a loader that needs no TensorFlow."""

import functools
from types import SimpleNamespace

import pytest

from pipelines.errors import UserError
from scsampler_tf.serving.model_base import RETRY_S, ModelBase, models_in_folder, versions_on_disk
from scsampler_tf.serving.models_config import ModelConfig
from scsampler_tf.serving.rest_json import RestError


def add_version(base, name, version):
    folder = base / name / str(version)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder


class Loader:
    """Remembers what it loaded; refuses version folders that hold a file `broken`."""

    def __init__(self):
        self.loaded = []

    def __call__(self, folder):
        self.loaded.append(folder.name)
        if (folder / "broken").exists():
            raise ValueError("a damaged\nversion")
        return SimpleNamespace(folder=folder)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def loader():
    return Loader()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def base(tmp_path, loader, clock):
    return ModelBase(functools.partial(models_in_folder, tmp_path), loader, clock)


def states(base, name="m"):
    return [(entry["version"], entry["state"]) for entry in base.status(name, None, None)]


def test_what_is_a_version(tmp_path):
    add_version(tmp_path, "m", "00000123")
    add_version(tmp_path, "m", 4)
    for odd in ("v5", ".6-tmp", "-7", "\u0663", "9" * 30):
        add_version(tmp_path, "m", odd)
    (tmp_path / "m" / "8").mkdir()
    (tmp_path / "m" / "9").touch()
    assert sorted(versions_on_disk(tmp_path / "m")) == [4, 123]
    assert versions_on_disk(tmp_path / "absent") == {}


def test_highest_version_by_number(base, tmp_path):
    for version in (2, 9, 10):
        add_version(tmp_path, "m", version)
    base.refresh()
    assert base.available == {"m": [10]}
    assert base.servable("m", None, None)[0] == 10
    assert base.servable("m", 10, None)[0] == 10
    for version in (9, 11):
        with pytest.raises(RestError, match="Specific") as caught:
            base.servable("m", version, None)
        assert caught.value.status == 404


def test_new_version_takes_over_and_the_old_object_lives_on(base, tmp_path, loader):
    add_version(tmp_path, "m", 1)
    base.refresh()
    _, old = base.servable("m", None, None)
    add_version(tmp_path, "m", 2)
    base.refresh()
    base.refresh()
    assert states(base) == [("2", "AVAILABLE"), ("1", "END")]
    assert base.servable("m", None, None)[0] == 2
    assert old.folder.name == "1"
    assert loader.loaded == ["1", "2"]


def test_damaged_version_leaves_the_old_one_and_is_tried_again(base, tmp_path, loader, clock):
    add_version(tmp_path, "m", 1)
    base.refresh()
    broken = add_version(tmp_path, "m", 2) / "broken"
    broken.touch()
    base.refresh()
    base.refresh()
    assert loader.loaded == ["1", "2"]
    assert states(base) == [("2", "END"), ("1", "AVAILABLE")]
    assert base.status("m", 2, None)[0]["status"] == {
        "error_code": "UNKNOWN",
        "error_message": "a damaged version",
    }
    broken.unlink()
    clock.now = RETRY_S
    base.refresh()
    assert states(base) == [("2", "AVAILABLE"), ("1", "END")]


def test_going_back_by_removing_the_highest(base, tmp_path):
    add_version(tmp_path, "m", 1)
    folder = add_version(tmp_path, "m", 2)
    base.refresh()
    folder.rename(tmp_path / "aside")
    base.refresh()
    assert states(base) == [("2", "END"), ("1", "AVAILABLE")]


def test_models_come_and_go(base, tmp_path):
    base.refresh()
    with pytest.raises(RestError, match="any versions of model m"):
        base.status("m", None, None)
    add_version(tmp_path, "m", 1)
    add_version(tmp_path, "n", 7)
    base.refresh()
    assert base.available == {"m": [1], "n": [7]}
    (tmp_path / "m").rename(tmp_path.parent / (tmp_path.name + "-m"))
    base.refresh()
    assert base.available == {"m": [], "n": [7]}
    with pytest.raises(RestError, match="Latest"):
        base.servable("m", None, None)


def test_labels_and_several_versions(tmp_path, loader):
    for version in (1, 2, 3):
        add_version(tmp_path, "m", version)
    config = ModelConfig("m", tmp_path / "m", specific=(1, 3), labels={"stable": 1, "gone": 2})
    base = ModelBase(lambda: [config], loader)
    base.refresh()
    assert base.available == {"m": [3, 1]}
    assert base.servable("m", None, "stable")[0] == 1
    assert base.status("m", None, "stable")[0]["version"] == "1"
    for label, status in (("gone", 404), ("unknown", 400)):
        with pytest.raises(RestError) as caught:
            base.servable("m", None, label)
        assert caught.value.status == status


def test_wrong_folders_are_explained(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        models_in_folder(tmp_path / "absent")
    add_version(tmp_path, "m", 1)
    with pytest.raises(UserError, match="holds versions itself"):
        models_in_folder(tmp_path / "m")
