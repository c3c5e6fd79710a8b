"""Warm-up requests, read by descriptors of TF-Serving's messages that are made here."""

import functools
import shutil

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow.core.framework import tensor_pb2

from scsampler_tf.config import tiny
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.model_base import ModelBase
from scsampler_tf.serving.models_config import ModelConfig
from scsampler_tf.serving.warmup import WARMUP_PATH, answer_in_session, answer_warmup, read_warmup

SIGNATURES = ["classify", "describe", "sample", "sample_k", "score"]
SIGNATURES += ["select", "select_k", "serving_default", "serving_default_k"]

# As apis/{model,predict,prediction_log}.proto describe it; field numbers are what is checked.
PROTO = """
name: "log.proto" package: "t" syntax: "proto3" dependency: "tensorflow/core/framework/tensor.proto"
message_type {
  name: "ModelSpec"
  field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "signature_name" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
}
message_type {
  name: "PredictRequest"
  field { name: "model_spec" number: 1 type: TYPE_MESSAGE type_name: ".t.ModelSpec" label: LABEL_OPTIONAL }
  field {
    name: "inputs" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE
    type_name: ".t.PredictRequest.InputsEntry"
  }
  field { name: "output_filter" number: 3 type: TYPE_STRING label: LABEL_REPEATED }
  nested_type {
    name: "InputsEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field {
      name: "value" number: 2 type: TYPE_MESSAGE type_name: ".tensorflow.TensorProto" label: LABEL_OPTIONAL
    }
  }
}
message_type {
  name: "PredictLog"
  field { name: "request" number: 1 type: TYPE_MESSAGE type_name: ".t.PredictRequest" label: LABEL_OPTIONAL }
}
message_type {
  name: "PredictionLog"
  field { name: "predict_log" number: 6 type: TYPE_MESSAGE type_name: ".t.PredictLog" label: LABEL_OPTIONAL }
}
"""


@functools.cache
def prediction_log():
    pool = descriptor_pool.Default()
    assert tensor_pb2.DESCRIPTOR.name == "tensorflow/core/framework/tensor.proto"
    pool.AddSerializedFile(text_format.Parse(PROTO, descriptor_pb2.FileDescriptorProto()).SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.PredictionLog"))


@pytest.fixture(scope="module")
def version(tiny_run):
    return tiny_run.model / "1"


@pytest.fixture(scope="module")
def records(version):
    return list(tf.data.TFRecordDataset(str(version / WARMUP_PATH)).as_numpy_iterator())


def test_every_signature_has_its_small_request(version, records):
    kind = prediction_log()
    logs = [kind.FromString(record) for record in records]
    assert [log.predict_log.request.model_spec.signature_name for log in logs] == SIGNATURES
    assert (version / WARMUP_PATH).stat().st_size < 100_000
    by_name = {log.predict_log.request.model_spec.signature_name: log.predict_log.request for log in logs}
    # nothing that this reader does not know, and no byte lost on the way through it
    for log, record in zip(logs, records, strict=True):
        assert len(log.SerializeToString()) == len(record)
    inputs = {key: tf.make_ndarray(value) for key, value in by_name["serving_default_k"].inputs.items()}
    assert set(inputs) == {"md", "rgb_r", "log_mel", "clips", "mask", "K"}
    assert {key: value.shape for key, value in inputs.items() if key != "K"} == dict.fromkeys(
        ["md", "rgb_r", "log_mel", "clips", "mask"], (1, 1)
    )
    np.testing.assert_array_equal(inputs["K"], np.int32([1]))
    assert inputs["mask"].dtype == bool
    settings = tiny().features
    assert inputs["md"][0, 0] == bytes(settings.md_cells * settings.grid**2 * 2 * 2)
    assert inputs["log_mel"][0, 0] == bytes(40 * 200 * 2)


def test_tf_servings_own_classes_read_them(records):
    messages = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="tensorflow-serving-api is not installed"
    )
    logs = [messages.PredictionLog.FromString(record) for record in records]
    assert {log.WhichOneof("log_type") for log in logs} == {"predict_log"}
    assert [log.predict_log.request.model_spec.signature_name for log in logs] == SIGNATURES


def test_the_model_answers_them(version):
    model = tf.saved_model.load(str(version))
    answers = answer_warmup(model.signatures, version)
    assert list(answers) == SIGNATURES
    in_session = answer_in_session(version)
    assert list(in_session) == SIGNATURES
    for name, outputs in answers.items():
        for key, value in outputs.items():
            if value.dtype == object:
                assert in_session[name][key].tolist() == value.tolist()
            else:
                np.testing.assert_allclose(in_session[name][key], value, atol=1e-5)
    (classified,) = (inputs for name, inputs in read_warmup(version) if name == "classify")
    found = model.signatures["classify"](clips=tf.constant(classified["clips"]))
    np.testing.assert_allclose(found["probabilities"].numpy().sum(), 1, atol=1e-5)  # a clip was classified
    (scored,) = (inputs for name, inputs in read_warmup(version) if name == "score")
    found = model.signatures["score"](**{key: tf.constant(value) for key, value in scored.items()})
    assert found["has_audio"].numpy().all()


def test_a_model_without_them_is_served(tmp_path, model_base):
    assert list(read_warmup(model_base / "scsampler" / "1")) == []


@pytest.mark.parametrize("damage", ["record", "signature", "input"])
def test_a_version_that_cannot_answer_them_is_not_served(tmp_path, model_base, damage):
    version = tmp_path / "m" / "1"
    shutil.copytree(model_base / "scsampler" / "1", version)
    (version / WARMUP_PATH).parent.mkdir(exist_ok=True)

    def served(record: bytes) -> list[int]:
        with tf.io.TFRecordWriter(str(version / WARMUP_PATH)) as writer:
            writer.write(record)
        base = ModelBase(lambda: [ModelConfig("m", tmp_path / "m")], LoadedModel)
        base.refresh()
        assert bool(base.available["m"]) != bool(base.status("m", 1, None)[0]["status"]["error_message"])
        return base.available["m"]

    log = prediction_log()()
    request = log.predict_log.request
    request.model_spec.signature_name = "serving_default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
    assert served(log.SerializeToString()) == [1]
    if damage == "signature":
        request.model_spec.signature_name = "absent"
    elif damage == "input":
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([b"text"]))
    assert served(b"\xff\xff" if damage == "record" else log.SerializeToString()) == []
