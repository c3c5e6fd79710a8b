"""The exported model in the C++ loader and session that tensorflow_model_server is built on."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from scsampler_tf.serving.warmup import read_warmup, signature_defs
from tests.scsampler_tf.native_saved_model import LIBRARY, NativeModel

pytestmark = pytest.mark.skipif(not LIBRARY.is_file(), reason=f"no {LIBRARY.name} in this TensorFlow")


@pytest.fixture(scope="module")
def version(tiny_run):
    return tiny_run.model / "1"


@pytest.fixture(scope="module")
def native(version):
    return NativeModel(version)


def agree(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        values = values.numpy()
        if values.dtype == object:
            assert found[name].tolist() == values.tolist(), name
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_signature_answers_its_warm_up_request_as_in_python(version, native):
    definitions, python = signature_defs(version), tf.saved_model.load(str(version)).signatures
    asked = dict(read_warmup(version))
    assert set(asked) == {name for name in definitions if not name.startswith("__")}
    for name, inputs in asked.items():
        expected = python[name](**{key: tf.constant(value) for key, value in inputs.items()})
        agree(native.run(definitions[name], inputs), expected)


def test_a_video_of_the_run_is_answered_as_in_python(version, native, tiny_run):
    from pipelines.decoding import decode_all
    from pipelines.index import load_index
    from pipelines.records import BYTES_FIELDS, parse
    from pipelines.wire import pack_strip
    from scsampler_tf.config import tiny

    index = load_index(tiny_run.folder / "features")
    video = index.videos[0]
    shard = tf.data.TFRecordDataset(index.shard_path(video)).map(lambda item: parse(item, BYTES_FIELDS))
    rows = list(shard.as_numpy_iterator())
    settings = tiny().classifier
    _, clips = next(
        decode_all([video], index.settings, settings.resize, settings.size, workers=0, at_once=len(rows))
    )
    inputs = {name: np.array([[row[name] for row in rows]], object) for name in ("md", "rgb_r", "log_mel")}
    inputs["clips"] = np.array([[pack_strip(clip, 95) for clip in clips]], object)
    inputs["mask"] = np.ones((1, len(rows)), bool)
    answer = tf.saved_model.load(str(version)).signatures["serving_default"]
    expected = answer(**{name: tf.constant(value) for name, value in inputs.items()})
    found = native.run(signature_defs(version)["serving_default"], inputs)
    agree(found, expected)
    assert len(set(np.round(found["saliency"].ravel(), 4))) > 1  # of a real video, not of nothing


def test_missing_variables_are_noticed(version, tmp_path):
    broken = shutil.copytree(version, tmp_path / "1")
    shutil.rmtree(broken / "variables")
    classify = signature_defs(broken)["classify"]
    with pytest.raises(ValueError, match="Could not find variable"):
        NativeModel(broken).run(classify, dict(read_warmup(broken))["classify"])
