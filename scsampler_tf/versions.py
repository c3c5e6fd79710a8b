"""Versions of what a result depends on, and their note in a run's folder."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipelines.files import read_json, write_json

PACKAGES = ("tensorflow", "keras", "av", "numpy", "scsampler-tf")
NOTE_NAME = "versions.json"


def versions() -> dict[str, str]:
    """Versions of Python, of this project and of the packages that its numbers come from."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def note_versions(folder: Path) -> None:
    """Adds the versions in use to the run's note, unless they are the last ones there.

    The note lists them in the order in which they worked on the run, usually one entry.
    """
    path, now = Path(folder) / NOTE_NAME, versions()
    known = read_json(path) if path.exists() else []
    if not known or known[-1] != now:
        write_json(path, [*known, now])


def _version(name: str) -> str:
    for own in (name, f"{name}-cpu"):  # tensorflow-cpu is TensorFlow under another name
        try:
            return version(own)
        except PackageNotFoundError:
            continue
    return "not installed"
