"""The K of a request: the exported graph chooses as evaluation does with that K."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.python.saved_model import loader_impl

from scsampler_tf.answers import saliency_choice
from scsampler_tf.config import SelectionConfig
from scsampler_tf.export import scan_graph
from scsampler_tf.predict import local_model
from tests.scsampler_tf.composites import CHOICES, brightness_classifier, composite, picked, scores


@pytest.fixture(scope="module")
def classifier():
    return brightness_classifier()


def wanted_clips(data, config, counts) -> np.ndarray:
    """What evaluation chooses with K = `counts` `[V]` for each video: `[V, largest]`, padded with -1."""
    chosen = np.full((len(counts), max(counts)), -1)
    for row, count in enumerate(counts):
        of_all = saliency_choice(
            data, dataclasses.replace(config, K=int(count), stop_margin=0.0), config.fusion
        )
        chosen[row, :count] = of_all[row]
    return chosen


def in_session(folder, signature: str, inputs: dict) -> dict:
    """Outputs of a SavedModel by a session, which is what TF-Serving runs."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saved = loader_impl.SavedModelLoader(str(folder)).load(session, ["serve"]).signature_def[signature]
        outputs = {key: info.name for key, info in saved.outputs.items()}
        return session.run(outputs, {saved.inputs[key].name: value for key, value in inputs.items()})


@settings(deadline=None, max_examples=60)
@given(config=CHOICES, seed=st.integers(0, 2**31), videos=st.integers(1, 4), longest=st.integers(1, 6))
def test_k_of_a_request_is_that_of_evaluation(classifier, config, seed, videos, longest):
    data, _ = scores(seed, videos, longest, classifier)
    # Below, at and above both the exported K (1 to 5) and the number of clips.
    counts = np.random.default_rng(seed).integers(1, 9, videos).astype("int32")
    inputs = (data.visual, data.audio, data.has_audio, data.mask, data.features.astype("float32"))
    graph = composite(classifier, config)
    found = graph.select(*map(tf.constant, inputs), K=tf.constant(counts))
    expected = wanted_clips(data, config, counts)
    np.testing.assert_array_equal(found["indices"], expected[:, :longest])
    assert (expected[:, longest:] == -1).all()
    np.testing.assert_array_equal(found["saliency"], graph.select(*map(tf.constant, inputs))["saliency"])


@pytest.mark.parametrize("unlike", [{}, {"nms_gap": 2}, {"diversity": 0.5}])
def test_a_saved_model_takes_k_in_signatures_of_their_own(classifier, tmp_path, unlike):
    config = SelectionConfig(K=3, K_prime=2, **unlike)
    graph = composite(classifier, config)
    tf.saved_model.save(graph, str(tmp_path), signatures=graph.signatures())
    scan_graph(tmp_path)
    model = tf.saved_model.load(str(tmp_path))
    names = {name: set(each.structured_input_signature[1]) for name, each in model.signatures.items()}
    for name in ("select", "sample", "serving_default"):
        assert names[f"{name}_k"] - names[name] == {"K"}
        assert names[name] < names[f"{name}_k"]
    assert len(names) == 9
    data, strips = scores(5, 3, 6, classifier)
    inputs = {"visual": data.visual, "audio": data.audio, "has_audio": data.has_audio, "mask": data.mask}
    if config.diversity:
        inputs["features"] = data.features.astype("float32")
    call = local_model(tmp_path)
    for counts in ([1, 1, 1], [3, 1, 2], [3, 3, 3], [1, 5, 3], [6, 2, 6], [7, 4, 30]):
        asked = {**inputs, "K": np.int32(counts)}
        found, expected = call("select_k", asked), wanted_clips(data, config, counts)
        np.testing.assert_array_equal(found["indices"], expected[:, :6])
        assert (expected[:, 6:] == -1).all()
        for name, value in in_session(tmp_path, "select_k", asked).items():
            np.testing.assert_array_equal(value, found[name])
    of_export = call("select", inputs)["indices"]
    np.testing.assert_array_equal(call("select_k", {**inputs, "K": np.int32([3])})["indices"], of_export)
    for_all = call("select_k", {**inputs, "K": np.int32([2])})
    np.testing.assert_array_equal(for_all["indices"], wanted_clips(data, config, [2, 2, 2]))
    features = {name: np.full((3, 6), b"", object) for name in ("md", "rgb_r", "log_mel")}
    sampled = call("sample_k", {**features, "mask": data.mask, "K": np.int32([2, 1, 3])})["indices"]
    both = call(
        "serving_default_k", {**features, "mask": data.mask, "clips": strips, "K": np.int32([2, 1, 3])}
    )
    np.testing.assert_array_equal(both["indices"], sampled)
    lengths = data.mask.sum(axis=1)
    assert ((sampled >= 0).sum(axis=1) == np.minimum([2, 1, 3], lengths)).all()
    separate = call("classify", {"clips": picked(strips, sampled)})
    np.testing.assert_allclose(both["probabilities"], separate["probabilities"], atol=1e-6)


@pytest.mark.parametrize(
    ("unlike", "counts", "said"),
    [
        ({}, [0], "at least 1 clip"),
        ({}, [3, -(2**31), 1], "at least 1 clip"),
        ({"nms_gap": 2}, [0], "at least 1 clip"),
        ({"diversity": 0.5}, [4, 0, 4], "at least 1 clip"),
        ({}, [1, 2], "one number for all videos is needed, or one for each"),
    ],
)
def test_a_k_that_makes_no_sense_is_a_mistake_of_the_request(classifier, unlike, counts, said):
    graph = composite(classifier, SelectionConfig(K=3, K_prime=2, **unlike))
    select = graph.signatures()["select_k"]
    data, _ = scores(5, 3, 6, classifier)
    inputs = {"visual": data.visual, "audio": data.audio, "has_audio": data.has_audio, "mask": data.mask}
    if "diversity" in unlike:
        inputs["features"] = data.features.astype("float32")
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        select(**tensors, K=tf.constant(counts, tf.int32))


@pytest.mark.parametrize(
    ("unlike", "expected"),
    [
        ({}, [1, 2, 0, 3]),
        ({"nms_gap": 2}, [1, 3, 2, 0]),  # 1 strikes out its neighbours
        ({"nms_gap": 4}, [1, 2, 0, 3]),  # 1 strikes out all
        # After 1: 0.25 - 0.5, 0.1 - 0, 0.05 - 0 for 2, 0, 3; then 2 is still like 1, and 3 like 0.
        ({"diversity": 0.5}, [1, 0, 2, 3]),
    ],
)
def test_a_huge_k_takes_no_more_room_than_the_clips(classifier, unlike, expected):
    graph = composite(classifier, SelectionConfig(K=1, K_prime=1, fusion="visual", **unlike))
    row = tf.constant([[0.2, 0.9, 0.5, 0.1]])
    looks = {"features": tf.constant([[[0.0, 1], [1, 0], [2, 0], [0, 3]]])} if "diversity" in unlike else {}
    inputs = {"visual": row, "audio": row, "has_audio": row > 1, "mask": row > 0, **looks}
    for count in (4, 5, 2**31 - 1):
        found = graph.signatures()["select_k"](**inputs, K=tf.constant([count]))
        assert found["indices"].numpy().tolist() == [expected]
