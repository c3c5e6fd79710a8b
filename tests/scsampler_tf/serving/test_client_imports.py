"""What a client of a server loads: no TensorFlow, no Keras."""

import subprocess
import sys
from pathlib import Path

from tests import media


def test_no_tensorflow():
    code = (
        "import sys, scsampler_tf.serving.client; "
        "sys.exit(any(n in sys.modules for n in ('tensorflow', 'keras', 'starlette')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_tensorflow_for_a_video_with_sound(tmp_path):
    path = media.write_video(tmp_path / "a.mp4", media.pan(48, 96, 80), sound=media.tone(48 / media.FPS))
    code = f"""
import sys
import numpy as np
from scsampler_tf.predict import predict
from tests.scsampler_tf.serving.stub_composite import StubComposite

def call(signature, inputs):
    return StubComposite().run(signature, {{name: np.asarray(value) for name, value in inputs.items()}})

assert predict({str(path)!r}, call).audio is not None
sys.exit(any(n in sys.modules for n in ("tensorflow", "keras", "starlette")))
"""
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0
