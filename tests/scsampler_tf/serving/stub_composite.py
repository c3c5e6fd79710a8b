"""A model with the signatures of an export and answers that can be worked out by hand; children that fail."""

import dataclasses
import json
import os
import time

import numpy as np

from pipelines.settings import FeatureSettings
from scsampler_tf.serving.model_base import ModelBase
from scsampler_tf.serving.models_config import ModelConfig
from scsampler_tf.serving.rest_json import TensorInfo

SETTINGS = FeatureSettings(clip_frames=16, canvas=64, residual_size=64, iframe_size=64)
LABELS = ["left", "right"]
K = 2

_STRINGS, _NUMBERS = TensorInfo("string", (None, None)), TensorInfo("float32", (None, None))
_FLAGS = TensorInfo("bool", (None, None))


def _output(dtype: str, rank: int) -> dict:
    return {"dtype": dtype, "tensor_shape": {"dim": [{"size": "-1"}] * rank}}


SIGNATURES = {
    "describe": {"query": TensorInfo("string", (None,))},
    "score": dict.fromkeys(("md", "rgb_r", "log_mel"), _STRINGS),
    "select": {"visual": _NUMBERS, "audio": _NUMBERS, "has_audio": _FLAGS, "mask": _FLAGS},
    "classify": {"clips": _STRINGS},
}
DEFINITIONS = {
    "describe": {"outputs": {"about": _output("DT_STRING", 1)}},
    "score": {
        "outputs": {
            "visual": _output("DT_FLOAT", 2),
            "audio": _output("DT_FLOAT", 2),
            "has_audio": _output("DT_BOOL", 2),
        }
    },
    "select": {"outputs": {"indices": _output("DT_INT32", 2), "saliency": _output("DT_FLOAT", 2)}},
    "classify": {
        "outputs": {
            "clip_probabilities": _output("DT_FLOAT", 3),
            "probabilities": _output("DT_FLOAT", 2),
        }
    },
}


class StubComposite:
    """Clip l of a group has the visual saliency l / 10 and, where it has sound, the audio saliency 0.5.

    The K last clips are chosen; every clip is "right" with 0.75.
    """

    def __init__(self):
        self.signatures, self.signature_defs = SIGNATURES, DEFINITIONS

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return getattr(self, f"_{signature}")(**inputs)

    def _describe(self, query):
        about = {
            "labels": LABELS,
            "features": dataclasses.asdict(SETTINGS),
            "clip_size": 56,
            "clip_resize": 64,
            "motion": [],
        }
        return {"about": np.array([json.dumps(about)], object)}

    def _score(self, md, rgb_r, log_mel):
        heard = np.array([[bool(mel) for mel in row] for row in log_mel])
        visual = np.broadcast_to(np.arange(md.shape[1]) / 10, md.shape).astype(np.float32)
        return {"visual": visual, "audio": np.where(heard, np.float32(0.5), 0), "has_audio": heard}

    def _select(self, visual, audio, has_audio, mask):
        best = np.argsort(-visual, kind="stable")[:, :K].astype(np.int32)
        return {"indices": best, "saliency": np.float32(visual)}

    def _classify(self, clips):
        each = np.broadcast_to(np.float32([0.25, 0.75]), (*clips.shape, 2))
        return {"clip_probabilities": each, "probabilities": each.mean(1)}


class PlainModel:
    """A model that is no composite."""

    def __init__(self):
        self.signatures = {"serving_default": {"x": TensorInfo("float32", (None,))}}
        self.signature_defs = {"serving_default": {"outputs": {"y": _output("DT_FLOAT", 1)}}}

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": inputs["x"] * 2}


def stub_base(folder, **models) -> ModelBase:
    """A model base with version 7 of each of `models`, servables by name."""
    for name in models:
        version = folder / name / "7"
        version.mkdir(parents=True)
        (version / "saved_model.pb").touch()
    configs = [ModelConfig(name, folder / name) for name in models]
    base = ModelBase(lambda: configs, lambda version: models[version.parent.name])
    base.refresh()
    return base


def crash(connection):
    """As a decoder does that writes where it must not."""
    os.abort()


def hang(connection):
    """As a decoder does that has lost its way."""
    time.sleep(600)


def fail(connection):
    """As code does that has a mistake."""
    os._exit(1)


def babble(connection):
    """As a decoder may that a file has taken over."""
    connection.send_bytes(b"\x80\x04no JSON")
    time.sleep(600)


def demand(connection):
    """Asks for a signature that the model does not have."""
    connection.send_bytes(json.dumps(["call", {"signature_name": "absent", "inputs": {}}]).encode())
    time.sleep(600)
