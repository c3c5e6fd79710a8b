"""The exported model as TensorFlow's own tool and a session, which is what TF-Serving has, see it."""

import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

from pipelines.wire import pack_strip
from scsampler_tf.config import tiny
from scsampler_tf.export import ExportError, compare_session
from scsampler_tf.serving.warmup import WARMUP_PATH, _log, read_warmup

SIZE = tiny().classifier.size
STRINGS, FLAGS, NUMBERS = ("DT_STRING", "(-1, -1)"), ("DT_BOOL", "(-1, -1)"), ("DT_FLOAT", "(-1, -1)")
FEATURES = dict.fromkeys(("md", "rgb_r", "log_mel"), STRINGS)
SCORES = {"visual": NUMBERS, "audio": NUMBERS, "has_audio": FLAGS}
OWN_K = {"K": ("DT_INT32", "(-1)")}
INPUTS = {
    "score": FEATURES,
    "select": {**SCORES, "mask": FLAGS},
    "select_k": {**SCORES, "mask": FLAGS, **OWN_K},
    "sample": {**FEATURES, "mask": FLAGS},
    "sample_k": {**FEATURES, "mask": FLAGS, **OWN_K},
    "classify": {"clips": STRINGS},
    "serving_default": {**FEATURES, "clips": STRINGS, "mask": FLAGS},
    "serving_default_k": {**FEATURES, "clips": STRINGS, "mask": FLAGS, **OWN_K},
    "describe": {"query": ("DT_STRING", "(-1)")},
}


def tool(*words) -> str:
    """What TensorFlow's saved_model_cli prints."""
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def version(tiny_run):
    return tiny_run.model / "1"


@pytest.mark.slow
def test_the_tool_shows_every_signature_with_free_sizes(version):
    shown = tool("show", "--dir", version, "--all").split("Concrete Functions:")[0]
    found = {}
    for part in shown.split("signature_def['")[1:]:
        name, _, rest = part.partition("']:")
        inputs = re.findall(r"inputs\['(\w+)'\] tensor_info:\s+dtype: (\w+)\s+shape: (\([^)]*\))", rest)
        found[name] = {key: (dtype, shape) for key, dtype, shape in inputs}
        assert name.startswith("__") or "Method name is: tensorflow/serving/predict" in rest
    assert {name: inputs for name, inputs in found.items() if not name.startswith("__")} == INPUTS


def test_variables_that_a_session_misses_are_noticed(version, tmp_path):
    """Saved as Keras' variables they would be lost to a session: the version would be none for TF-Serving."""

    class Wrapped(tf.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        @tf.function(input_signature=[tf.TensorSpec([None, 3])])
        def __call__(self, x):
            return {"y": self.network(x)}

    entry = keras.Input((3,))
    wrapped = Wrapped(keras.Model(entry, keras.layers.Dense(2)(entry)))
    tf.saved_model.save(wrapped, str(tmp_path), {"serving_default": wrapped.__call__})
    (tmp_path / WARMUP_PATH).parent.mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / WARMUP_PATH)) as writer:
        writer.write(_log("serving_default", {"x": np.ones((1, 3), np.float32)}))
    with pytest.raises(ExportError, match="TF-Serving could not run it: Could not find variable"):
        compare_session(tmp_path, tf.saved_model.load(str(tmp_path)).signatures)
    compare_session(version, tf.saved_model.load(str(version)).signatures)


@pytest.mark.slow
def test_the_tool_runs_it(version, tmp_path):
    scores = "visual=[[0.1,0.9,0.3,0.7]];audio=[[0.0,0.0,0.0,0.0]]"
    flags = "has_audio=[[False,False,False,False]];mask=[[True,True,True,True]];K=[2]"
    words = ["run", "--dir", version, "--tag_set", "serve", "--signature_def", "select_k"]
    tool(*words, "--input_exprs", f"{scores};{flags}", "--outdir", tmp_path)
    assert np.load(tmp_path / "indices.npy").tolist() == [[1, 3]]


def test_a_session_runs_every_signature(version):
    strips = [pack_strip(np.full((8, SIZE, SIZE, 3), level, np.uint8), 95) for level in (0, 255)]
    requests = list(read_warmup(version))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saved = loader_impl.SavedModelLoader(str(version)).load(session, ["serve"])

        def call(name, inputs):
            signature = saved.signature_def[name]
            fed = {signature.inputs[key].name: value for key, value in inputs.items()}
            return session.run({key: info.name for key, info in signature.outputs.items()}, fed)

        for name, inputs in requests:
            assert all(np.size(value) for value in call(name, inputs).values()), name
        together = call("classify", {"clips": np.array([strips], object)})["clip_probabilities"]
        for place, strip in enumerate(strips):
            alone = call("classify", {"clips": np.array([[strip]], object)})
            np.testing.assert_allclose(alone["clip_probabilities"][0, 0], together[0, place], atol=1e-6)
        about = json.loads(call("describe", {"query": np.array([b""], object)})["about"][0])
    assert {"labels", "features", "fps", "clip_size", "selection", "samplers", "motion", "versions"} < set(
        about
    )
    assert {"clip_frames", "clip_step", "canvas", "motion", "residual_size"} < set(about["features"])
    assert {"K", "K_prime", "alpha", "fusion", "stride"} < set(about["selection"])
