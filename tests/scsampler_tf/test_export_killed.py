"""An export that is killed, at several moments: a server sees no version, and the next export cleans up."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.folder_lock import LOCK_NAME
from scsampler_tf.serving.model_base import versions_on_disk
from scsampler_tf.serving.warmup import WARMUP_PATH

ROOT = Path(__file__).parents[2]

# The tiny run's export is put in place instead of tracing the networks again. At the moment in question the
# process says so and waits to be killed.
EXPORT = """
import shutil, sys, time
from pathlib import Path
import tensorflow as tf
from scsampler_tf import export as module
from scsampler_tf.composite import Composite
from scsampler_tf.workdir import open_workdir

run, ready, base, moment = sys.argv[1:]

def reached(name):
    if name == moment:
        print("reached", flush=True)
        time.sleep(600)

def save(model, path, signatures):
    fresh = Path(path)
    fresh.mkdir()
    shutil.copy(Path(ready) / "saved_model.pb", fresh)
    reached("half saved")
    shutil.copytree(Path(ready) / "variables", fresh / "variables")

rename = Path.rename

def renamed(path, target):
    reached("before the last step")
    rename(path, target)
    reached("after the last step")

Composite.signatures = lambda self: {}
tf.saved_model.save = save
Path.rename = renamed
module.compare = lambda *args: None
print(module.export(*open_workdir(run), "m", Path(base)))
"""


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def is_whole(version) -> bool:
    return (version / "variables" / "variables.index").is_file() and (version / WARMUP_PATH).is_file()


@pytest.mark.slow
def test_no_half_version_is_left_whenever_an_export_is_killed(tiny_run, tmp_path):
    words = [sys.executable, "-c", EXPORT, tiny_run.folder, tiny_run.model / "1", tmp_path]
    folder = tmp_path / "m"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for moment in ("half saved", "before the last step"):
        process = subprocess.Popen(
            [*words, moment], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert process.stdout.readline() == "reached\n"
        assert versions_on_disk(folder) == {}
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        assert versions_on_disk(folder) == {}
        left, lock = names(folder)  # of this one: what the one before has left is gone
        assert left.startswith(".export-")
        assert lock == LOCK_NAME
    done = subprocess.run(
        [*words, "never"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert done.stdout.splitlines() == [str(folder / "1")]
    assert names(folder) == [LOCK_NAME, "1"]
    assert is_whole(folder / "1")
