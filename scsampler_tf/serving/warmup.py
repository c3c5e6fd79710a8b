"""Warm-up requests: one for every signature, which a server answers before it offers a version to others.

TensorFlow Serving's page "SavedModel Warmup": `assets.extra/tf_serving_warmup_requests`, a TFRecord file of
`PredictionLog` messages. A version whose warm-up request fails is not served, so they are tried at export.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.saved_model import loader_impl

from pipelines.settings import MEL_BINS, MEL_FRAMES, RESIDUAL_OFFSET, FeatureSettings
from pipelines.wire import pack_log_mel, pack_md, pack_strip
from scsampler_tf.serving.text_proto import BYTES, STRING, message_class

WARMUP_PATH = Path("assets.extra") / "tf_serving_warmup_requests"
GREY = 128

# TensorFlow Serving's apis/{prediction_log,predict,model}.proto, the fields that are needed. On the wire a
# map is a list of entries, and a message within a message is bytes.
_MESSAGES = {
    "ModelSpec": {"signature_name": (3, STRING, False)},
    "Input": {"key": (1, STRING, False), "value": (2, BYTES, False)},
    "PredictRequest": {"model_spec": (1, "ModelSpec", False), "inputs": (2, "Input", True)},
    "PredictLog": {"request": (1, "PredictRequest", False)},
    "PredictionLog": {"predict_log": (6, "PredictLog", False)},
}


def write_warmup(folder: Path, settings: FeatureSettings, frames: int, size: int) -> None:
    """Writes requests for the SavedModel in `folder`: a clip of nothing, so that no video gets into a model.

    frames, size: pictures of the classifier's clip, and their side in pixels.
    """
    values = _nothing(settings, frames, size)
    path = folder / WARMUP_PATH
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, definition in signature_defs(folder).items():
            inputs = {key: _filled(info, values[key]) for key, info in sorted(definition.inputs.items())}
            if inputs:
                writer.write(_log(name, inputs))


def read_warmup(folder: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Signature and inputs of each warm-up request of a SavedModel; none where it has none.

    Raises `ValueError` for a file that holds something else.
    """
    path = folder / WARMUP_PATH
    if not path.is_file():
        return
    log = message_class(_MESSAGES, "PredictionLog")
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        try:
            request = log.FromString(record).predict_log.request
            tensors = {entry.key: tensor_pb2.TensorProto.FromString(entry.value) for entry in request.inputs}
        except Exception as error:  # protobuf's own kinds of errors differ between its versions
            raise ValueError(f"{path}: not a request of PredictionLog ({error})") from None
        yield request.model_spec.signature_name, {key: tf.make_ndarray(each) for key, each in tensors.items()}


def answer_warmup(signatures: dict, folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Outputs for the warm-up requests of the SavedModel in `folder`, loaded as `signatures`."""
    answers = {}
    for name, inputs in read_warmup(folder):
        if name not in signatures:
            raise ValueError(f"{folder / WARMUP_PATH}: a request for '{name}', a signature that is not there")
        outputs = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        answers[name] = {key: value.numpy() for key, value in outputs.items()}
    return answers


def answer_in_session(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The same, by a session, as TF-Serving loads and runs a SavedModel.

    It finds variables by other ways than `tf.saved_model.load` does, and can miss them where that does not.
    """
    requests, answers = list(read_warmup(folder)), {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saved = loader_impl.SavedModelLoader(str(folder)).load(session, ["serve"])
        for name, inputs in requests:
            signature = saved.signature_def[name]
            outputs = {key: info.name for key, info in signature.outputs.items()}
            answers[name] = session.run(outputs, {signature.inputs[key].name: inputs[key] for key in inputs})
    return answers


def signature_defs(folder: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    """The signatures of a SavedModel that are for serving, by name."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = next(graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags)
    return dict(sorted(graph.signature_def.items()))


def _log(signature: str, inputs: dict[str, np.ndarray]) -> bytes:
    log = message_class(_MESSAGES, "PredictionLog")()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs.add(key=name, value=tf.make_tensor_proto(value).SerializeToString(deterministic=True))
    return log.SerializeToString(deterministic=True)


def _filled(info: meta_graph_pb2.TensorInfo, value: object) -> np.ndarray:
    """The value in an input's type; every free size is 1: a video, a clip, an activation."""
    shape = [max(1, dim.size) for dim in info.tensor_shape.dim]
    filled = np.empty(shape, tf.dtypes.as_dtype(info.dtype).as_numpy_dtype)
    filled.fill(value)  # np.full would cut off the zeros at the end of bytes
    return filled


def _nothing(settings: FeatureSettings, frames: int, size: int) -> dict[str, object]:
    """What a clip without motion, residuals, sound and picture has in each input of an export."""
    p, grid, side = settings.md_cells, settings.grid, settings.residual_size
    residuals = np.full((settings.residual_cells, side, side, 3), RESIDUAL_OFFSET, np.uint8)
    return {
        "md": pack_md(np.zeros((p, grid, grid, 2), np.int16)),
        "rgb_r": pack_strip(residuals, settings.jpeg_quality),
        "log_mel": pack_log_mel(np.zeros((MEL_BINS, MEL_FRAMES), np.float16)),
        "clips": pack_strip(np.full((frames, size, size, 3), GREY, np.uint8), settings.jpeg_quality),
        "visual": 0.0,
        "audio": 0.0,
        "saliency": 0.0,
        "features": 0.0,
        "has_audio": True,
        "mask": True,
        "K": 1,
        "query": b"",
    }
