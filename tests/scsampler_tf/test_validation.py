"""Rows of validation videos, worked out by hand."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from scsampler_tf import validation
from scsampler_tf.config import tiny
from scsampler_tf.runtime import make_strategy
from scsampler_tf.validation import MOST_K, ClassifierValidation, SamplerValidation, measured_by_all
from tests.training_set import make_training_set

PROBABILITIES = np.array([[0.6, 0.4], [0.2, 0.8], [0.75, 0.25]])


@pytest.fixture
def sampler():
    """One video of the second class whose middle clip alone shows it, and the saliency that is asked for."""
    video, index = SimpleNamespace(video_id="v"), SimpleNamespace(label_id=lambda video: 1)
    saliency = {"v": np.array([0.1, 0.9, np.nan])}
    return SamplerValidation(lambda each: saliency[each.video_id], index, [video], {"v": PROBABILITIES}, 2)


def test_a_samplers_row(sampler):
    ((place, row),) = sampler.rows([0])
    assert place == 0
    assert row.shape == (sampler.width,) == (2 + MOST_K,)
    # Chosen are the second clip and the first; the two best for class 1 are the same. A clip without
    # saliency comes last.
    np.testing.assert_allclose(row[:2], [(0.8 + 0.4) / 2, (0.8 + 0.4) / 2])
    # Mean probabilities of class 1 with K = 1, 2, 3: 0.8, 0.6 and 0.48, less than class 0 has then.
    sampler.latest = row[None]
    assert sampler.right_at_K[0].tolist() == [True, True] + [False] * (MOST_K - 2)
    assert sampler.summary() == {"chosen_score": pytest.approx(0.6), "oracle_score": pytest.approx(0.6)}


def test_more_clips_than_there_are(sampler):
    sampler.K = 10
    ((_, row),) = sampler.rows([0])
    np.testing.assert_allclose(row[:2], [1.45 / 3, 1.45 / 3])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_training_set(tmp_path_factory.mktemp("validation"))


@pytest.mark.parametrize("cache", [False, True])
def test_a_classifiers_rows(data, monkeypatch, cache):
    """Clips are told apart by their mean; a video that cannot be decoded counts for nothing."""
    config = dataclasses.replace(tiny().classifier, cache=cache, clips_per_video=3)
    rows = [np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]]), np.array([[0.2, 0.8]] * 3)]
    answers = iter(rows * 2)
    monkeypatch.setattr(validation, "probability_function", lambda network: None)
    monkeypatch.setattr(validation, "clip_probabilities", lambda function, clips: next(answers))
    index = data.index
    gone = dataclasses.replace(index.of_split("val")[0], path="/nowhere/gone.mp4")
    first, second = index.of_split("train")[:2]
    videos = [first, gone, second]
    monkeypatch.setattr(type(index), "of_split", lambda self, split: videos)
    measured = ClassifierValidation(None, index, config, False, 0, 0)
    labels = measured.labels_of_videos
    for _ in range(2):
        found = measured_by_all(measured, make_strategy("one_device"))
        assert measured.latest.shape == (3, measured.width) == (3, 6)
        own = np.concatenate([rows[0][:, labels[0]], rows[1][:, labels[2]]])
        right = [*(rows[0].argmax(axis=1) == labels[0]), *(rows[1].argmax(axis=1) == labels[2])]
        assert found == {
            "log_likelihood": pytest.approx(np.log(own).mean()),
            "accuracy": pytest.approx(np.mean(right)),
            "top5_accuracy": 1.0,
        }
        np.testing.assert_allclose(measured.probabilities, [[0.6, 0.4], [0, 0], [0.2, 0.8]])
        assert not measured.latest[1].any()


def test_nothing_decoded_is_nothing_measured(data):
    measured = ClassifierValidation(None, data.index, tiny().classifier, False, 0, 0)
    measured.latest = np.zeros((1, measured.width))
    assert measured.summary() == {}


def test_right_among_the_first_five():
    probabilities = np.array([[0.3, 0.2, 0.1, 0.1, 0.1, 0.2], [0.05, 0.25, 0.2, 0.2, 0.2, 0.1]])
    row = validation._classifier_row(probabilities, 0)
    np.testing.assert_allclose(row[:4], [np.log(0.3) + np.log(0.05), 1, 1, 2])
    np.testing.assert_allclose(row[4:], probabilities.mean(axis=0))
