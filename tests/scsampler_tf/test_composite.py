"""The exported graph against the plain functions that evaluation uses."""

import json

import numpy as np
import pytest
import tensorflow as tf

from pipelines.index import load_index
from pipelines.records import BYTES_FIELDS, parse
from pipelines.unpack import unpack_features
from pipelines.wire import pack_strip, unpack_strip
from scsampler_tf.composite import Composite
from scsampler_tf.config import FIELDS, SAMPLERS, SelectionConfig, tiny
from scsampler_tf.fusion import fuse
from scsampler_tf.model_folder import load_model
from scsampler_tf.models.sampler import clip_logits
from scsampler_tf.saliency import clip_saliency
from scsampler_tf.selection import top_k

FEATURES = ("md", "rgb_r", "log_mel")
LABELS = ["left", "right"]
SIZE = tiny().classifier.size


@pytest.fixture(scope="module")
def networks(tiny_run):
    models = {kind: load_model(tiny_run.folder / "models" / kind) for kind in ("classifier", *SAMPLERS)}
    return {kind: (model.network, model.about.get("objective")) for kind, model in models.items()}


@pytest.fixture(scope="module")
def saved(tiny_run):
    return tf.saved_model.load(str(tiny_run.model / "1"))


@pytest.fixture(scope="module")
def batch(tiny_run):
    """A video of six clips, the first four clips of a silent one, and nothing: `[3, 6]`, as bytes."""
    index = load_index(tiny_run.folder / "features")
    silent = next(video for video in index.of_split("test") if not video.has_audio)
    rows = [records(index, index.of_split("test")[0]), records(index, silent)[:4], []]
    clips = np.random.default_rng(0).integers(0, 256, (3, 6, 8, SIZE, SIZE, 3), np.uint8)
    data = {
        name: [[row[name] for row in video] + [b""] * (6 - len(video)) for video in rows] for name in FEATURES
    }
    data["clips"] = [[pack_strip(clip, 95) for clip in video] for video in clips]
    data["mask"] = [[place < len(video) for place in range(6)] for video in rows]
    return {name: tf.constant(values) for name, values in data.items()}


def records(index, video) -> list[dict]:
    data = tf.data.TFRecordDataset(index.shard_path(video)).map(lambda item: parse(item, BYTES_FIELDS))
    return list(data.as_numpy_iterator())


def expected_scores(networks, batch) -> dict:
    found = {}
    for kind in SAMPLERS:
        network, objective = networks[kind]
        frames, mask = unpack_features(FIELDS[kind], tf.reshape(batch[FIELDS[kind]], [-1]), tiny().features)
        saliency = clip_saliency(clip_logits(network, frames), mask, objective)
        found[kind] = np.reshape(saliency, (3, 6))
    return found


def call(saved, name, batch, *inputs):
    found = saved.signatures[name](**{key: batch[key] for key in inputs})
    return {key: value.numpy() for key, value in found.items()}


def test_scores_are_those_of_the_networks(saved, networks, batch):
    found = call(saved, "score", batch, *FEATURES)
    expected = expected_scores(networks, batch)
    real = batch["mask"].numpy()
    for kind, name in (("md", "md_saliency"), ("rgb_r", "rgb_r_saliency")):
        np.testing.assert_allclose(found[name][real], expected[kind][real], atol=1e-5)
    mean = (expected["md"] + expected["rgb_r"]) / 2
    np.testing.assert_allclose(found["visual"][real], mean[real], atol=1e-5)
    np.testing.assert_array_equal(found["has_audio"], [[True] * 6, [False] * 6, [False] * 6])
    np.testing.assert_allclose(found["audio"][0], expected["audio"][0], atol=1e-5)


def test_selection_is_fusion_and_the_best_k(saved):
    rng = np.random.default_rng(1)
    visual, audio = rng.random((2, 4, 7)).astype(np.float32)
    heard, mask = rng.random((2, 4, 7)) < 0.7
    mask[3] = False
    inputs = {"visual": visual, "audio": audio, "has_audio": heard, "mask": mask}
    found = saved.signatures["select"](**{key: tf.constant(value) for key, value in inputs.items()})
    fused = np.asarray(fuse("union_list", visual, audio, mask, heard, alpha=0.8, k_prime=2))
    np.testing.assert_array_equal(found["indices"], top_k(fused, mask, 3))
    np.testing.assert_allclose(found["saliency"], fused)
    np.testing.assert_array_equal(found["indices"][3], [-1, -1, -1])


def test_padding_and_other_videos_change_nothing(saved, batch):
    together = call(saved, "sample", batch, *FEATURES, "mask")
    for row, clips in ((0, 6), (1, 4)):
        alone = {name: values[row : row + 1, :clips] for name, values in batch.items()}
        found = call(saved, "sample", alone, *FEATURES, "mask")
        np.testing.assert_array_equal(found["indices"][0], together["indices"][row])
        for name in ("visual", "saliency", "audio"):
            wanted = together[name][row, :clips]
            np.testing.assert_allclose(found[name][0], wanted, atol=1e-6, err_msg=name)
    assert (together["indices"][2] == -1).all()


def test_classification_is_the_mean_over_the_strips_that_are_there(saved, networks, batch):
    strips = batch["clips"].numpy()[:2, :3]
    strips[0, 1] = b""
    found = saved.signatures["classify"](clips=tf.constant(strips))
    each, whole = found["clip_probabilities"].numpy(), found["probabilities"].numpy()
    for row, place in np.ndindex(strips.shape):
        if strips[row, place]:
            clip = unpack_strip(strips[row, place], SIZE)[None].astype(np.float32)
            wanted = tf.nn.softmax(networks["classifier"][0](clip, training=False))[0]
            np.testing.assert_allclose(each[row, place], wanted, atol=1e-3)
    np.testing.assert_array_equal(each[0, 1], [0, 0])
    np.testing.assert_allclose(whole, [(each[0, 0] + each[0, 2]) / 2, each[1].mean(0)], atol=1e-6)
    assert [LABELS[row.argmax()].encode() for row in whole] == found["label"].numpy().tolist()


def test_a_request_without_any_clip_has_no_probabilities(saved):
    found = saved.signatures["classify"](clips=tf.constant([[b"", b""]]))
    np.testing.assert_array_equal(found["clip_probabilities"], np.zeros((1, 2, 2)))
    np.testing.assert_array_equal(found["probabilities"], [[0, 0]])


def test_one_request_does_both_and_only_chosen_clips_are_decoded(saved, batch):
    sampled = call(saved, "sample", batch, *FEATURES, "mask")
    chosen = sampled["indices"]
    clips = batch["clips"].numpy()
    picked = np.array(
        [[clips[row, i] if i >= 0 else b"" for i in line] for row, line in enumerate(chosen)], object
    )
    separate = saved.signatures["classify"](clips=tf.constant(picked))
    spoilt = clips.copy()
    for row, line in enumerate(chosen):
        spoilt[row, [i for i in range(6) if i not in line]] = b"no picture"
    both = call(saved, "serving_default", {**batch, "clips": tf.constant(spoilt)}, *FEATURES, "clips", "mask")
    np.testing.assert_array_equal(both["indices"], chosen)
    np.testing.assert_allclose(both["saliency"], sampled["saliency"])
    for name in ("clip_probabilities", "probabilities"):
        np.testing.assert_allclose(both[name], separate[name], atol=1e-6)
    np.testing.assert_array_equal(both["label"], separate["label"].numpy())


def test_the_model_describes_itself(saved):
    about = json.loads(saved.signatures["describe"](query=tf.constant([""]))["about"].numpy()[0])
    assert about["labels"] == LABELS
    assert about["clip_size"] == SIZE
    assert about["clip_resize"] == tiny().classifier.resize
    assert about["selection"]["K"] == 3
    assert about["samplers"] == {"md": "ac", "rgb_r": "ac", "audio": "sal_rank"}


def composite(networks, *kinds, **selection) -> Composite:
    samplers = {kind: networks[kind] for kind in kinds}
    config = SelectionConfig(**{"K": 3, "K_prime": 2, **selection})
    return Composite(networks["classifier"][0], samplers, tiny().features, config, LABELS, {})


def test_missing_samplers_are_silent_and_the_others_choose(networks, batch):
    features = {name: batch[name] for name in (*FEATURES, "mask")}
    eyes = composite(networks, "md").sample(**features)
    assert not eyes["has_audio"].numpy().any()
    expected = expected_scores(networks, batch)["md"]
    np.testing.assert_array_equal(eyes["indices"], top_k(expected, batch["mask"].numpy(), 3))
    ears = composite(networks, "audio").sample(**features)
    np.testing.assert_array_equal(ears["visual"], np.zeros((3, 6)))
    heard = expected_scores(networks, batch)["audio"][0]
    # Two from the visual list, where all are equal: the earliest; then the best of the audio list.
    third = max(range(2, 6), key=lambda clip: heard[clip])
    np.testing.assert_array_equal(ears["indices"][0], [0, 1, third])
    assert set(composite(networks, "audio").score(*(batch[name] for name in FEATURES))) == {
        "visual",
        "audio",
        "has_audio",
    }


def test_more_clips_wanted_than_there_are(networks, batch):
    whole = composite(networks, "md", K=9, K_prime=0)
    found = whole.sample_and_classify(**{name: batch[name] for name in (*FEATURES, "clips", "mask")})
    indices = found["indices"].numpy()
    assert indices.shape == (3, 9)
    assert sorted(indices[0]) == [-1, -1, -1, 0, 1, 2, 3, 4, 5]
    assert sorted(indices[1]) == [-1] * 5 + [0, 1, 2, 3]
    np.testing.assert_allclose(found["probabilities"].numpy().sum(1), [1, 1, 0], atol=1e-5)


def test_a_stride_looks_at_every_second_clip(networks, batch):
    found = composite(networks, "md", stride=2).sample(**{name: batch[name] for name in (*FEATURES, "mask")})
    assert sorted(found["indices"].numpy()[0]) == [0, 2, 4]
    assert sorted(found["indices"].numpy()[1]) == [-1, 0, 2]
