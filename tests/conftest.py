"""Two logical CPU devices for every run, so that distribution is tested everywhere; quiet TensorFlow.

The run of the tiny preset that tests of the later stages share is made here, once, when first asked for.
"""

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def pytest_collection_finish(session):
    """Splits the CPU before TensorFlow starts to work; without tests that need it, it is not loaded."""
    if "tensorflow" in sys.modules:
        import absl.logging
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        # It holds pytest's stderr and would close it when a server configures logging.
        absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


@dataclass(frozen=True)
class TinyRun:
    """A finished run of scsampler_tf.experiment: its folder, manifest, arguments, exit code and output."""

    folder: Path
    manifest: Path
    arguments: list[str]
    code: int
    output: str

    @property
    def model(self) -> Path:
        """The exported model's folder of versions."""
        return self.folder / "saved_models" / "scsampler"


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> TinyRun:
    """All stages on nine small videos of two classes. To be read, not to be written to."""
    from scsampler_tf.experiment import main
    from tests.tiny_set import make_tiny_set

    folder = tmp_path_factory.mktemp("tiny")
    manifest = make_tiny_set(folder / "data")
    arguments = ["--manifest", str(manifest), "--workdir", str(folder / "run"), "--preset", "tiny"]
    arguments += ["--workers", "0", "--set", "md.epochs=1", "--set", "rgb_r.epochs=1"]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = main(arguments)
    return TinyRun(folder / "run", manifest, arguments, code, output.getvalue())


@pytest.fixture(scope="session")
def tiny_model(tiny_run):
    """The run's exported model as `predict` calls it."""
    from scsampler_tf.predict import local_model

    return local_model(tiny_run.model)
