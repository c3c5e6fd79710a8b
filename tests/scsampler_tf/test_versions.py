import json
import platform

from scsampler_tf import versions as module
from scsampler_tf.versions import note_versions, versions


def test_versions_are_those_in_use():
    import keras
    import numpy as np

    found = versions()
    assert (found["python"], found["keras"], found["numpy"]) == (
        platform.python_version(),
        keras.__version__,
        np.__version__,
    )
    assert {"tensorflow", "av", "scsampler-tf"} <= set(found)


def test_a_package_under_another_name_and_one_that_is_missing(monkeypatch):
    def version(name):
        if name == "tensorflow-cpu":
            return "2.20"
        raise module.PackageNotFoundError

    monkeypatch.setattr(module, "version", version)
    assert versions() == {
        "python": platform.python_version(),
        "tensorflow": "2.20",
        **dict.fromkeys(("keras", "av", "numpy", "scsampler-tf"), "not installed"),
    }


def test_the_note_lists_every_set_of_versions_once_in_a_row(tmp_path, monkeypatch):
    for keras in ("3.14", "3.14", "3.15"):
        monkeypatch.setattr(module, "versions", lambda keras=keras: {"keras": keras})
        note_versions(tmp_path)
    assert json.loads((tmp_path / "versions.json").read_text()) == [{"keras": "3.14"}, {"keras": "3.15"}]
