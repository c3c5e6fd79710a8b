"""One version of a SavedModel, loaded by TensorFlow and called with numpy arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from scsampler_tf.serving.rest_json import RestError, TensorInfo
from scsampler_tf.serving.warmup import answer_warmup, signature_defs

# TF-Serving's table of TensorFlow's error codes and HTTP's; what is not here is 500.
_HTTP_STATUS = {
    tf.errors.CANCELLED: 499,
    tf.errors.INVALID_ARGUMENT: 400,
    tf.errors.DEADLINE_EXCEEDED: 504,
    tf.errors.NOT_FOUND: 404,
    tf.errors.ALREADY_EXISTS: 409,
    tf.errors.PERMISSION_DENIED: 403,
    tf.errors.UNAUTHENTICATED: 401,
    tf.errors.RESOURCE_EXHAUSTED: 429,
    tf.errors.FAILED_PRECONDITION: 400,
    tf.errors.ABORTED: 409,
    tf.errors.OUT_OF_RANGE: 400,
    tf.errors.UNIMPLEMENTED: 501,
    tf.errors.UNAVAILABLE: 503,
}

ASSERTION = "assertion failed: ["


class LoadedModel:
    """A SavedModel's signatures; `run` may be called from several threads."""

    def __init__(self, folder: Path):
        self._model = tf.saved_model.load(str(folder))  # keeps variables and tables alive
        self._functions = dict(self._model.signatures)
        definitions = signature_defs(folder)
        self.signature_defs = {name: _signature_json(definition) for name, definition in definitions.items()}
        self.signatures = {
            name: {key: _tensor_info(info) for key, info in sorted(definition.inputs.items())}
            for name, definition in definitions.items()
        }
        answer_warmup(self._functions, folder)  # the first call of a graph is slow; nobody waits for this one

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature; TensorFlow's errors become `RestError` with TF-Serving's status."""
        infos = self.signatures[signature]
        tensors = {name: tf.constant(value, infos[name].dtype) for name, value in inputs.items()}
        try:
            outputs = self._functions[signature](**tensors)
        except tf.errors.OpError as error:
            raise RestError(_HTTP_STATUS.get(error.error_code, 500), one_sentence(error.message)) from None
        return {name: value.numpy() for name, value in sorted(outputs.items())}


def _tensor_info(info: meta_graph_pb2.TensorInfo) -> TensorInfo:
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(None if d.size < 0 else d.size for d in shape.dim)
    return TensorInfo(tf.dtypes.as_dtype(info.dtype).name, sizes)


def _signature_json(definition: meta_graph_pb2.SignatureDef) -> dict[str, Any]:
    return {
        "inputs": {name: _tensor_json(info) for name, info in sorted(definition.inputs.items())},
        "outputs": {name: _tensor_json(info) for name, info in sorted(definition.outputs.items())},
        "method_name": definition.method_name,
        "defaults": {},
    }


def _tensor_json(info: meta_graph_pb2.TensorInfo) -> dict[str, Any]:
    """As protobuf's JSON mapping writes it: 64-bit integers are strings, enums their names."""
    dims = [{"size": str(dim.size), "name": dim.name} for dim in info.tensor_shape.dim]
    return {
        "dtype": types_pb2.DataType.Name(info.dtype),
        "tensor_shape": {"dim": dims, "unknown_rank": info.tensor_shape.unknown_rank},
        "name": info.name,
    }


def one_sentence(message: str) -> str:
    """The line that says what was wrong, without node names and the traceback of the model's author."""
    frames = ("File ", "Detected at node", "Graph execution error", "<stack traces", "[[{{", "Stack trace")
    lines = [line.strip() for line in message.splitlines()]
    kept = [line for line in lines if line and not line.startswith(frames)]
    text = kept[0] if kept else message
    if text.startswith(ASSERTION):  # in brackets: what was said, then the numbers
        return text.removeprefix(ASSERTION).split("]")[0].strip()
    return text.split(" [Op:")[0].split("[[{{")[0].strip()
