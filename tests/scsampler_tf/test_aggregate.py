import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf import aggregate


def test_video_probabilities_are_the_mean_of_the_chosen_clips():
    clip_probs = np.array([[[0.8, 0.2], [0.4, 0.6], [0.0, 1.0]]] * 3, "float32")
    clip_probs[1, 0] = np.nan  # a clip that was never classified
    chosen = np.array([[True, True, False], [False, False, True], [False, False, False]])
    expected = [[(0.8 + 0.4) / 2, (0.2 + 0.6) / 2], [0, 1], [0, 0]]
    np.testing.assert_allclose(aggregate.video_probabilities(clip_probs, chosen), expected, rtol=1e-6)


def test_correct_and_accuracy():
    video_probs = np.array([[0.6, 0.4], [0.6, 0.4], [0.5, 0.5], [0.0, 0.0]], "float32")
    # Right, wrong, the first of two equal classes, and no prediction at all.
    labels = np.array([0, 1, 0, 0])
    np.testing.assert_array_equal(aggregate.correct(video_probs, labels), [True, False, True, False])
    assert float(aggregate.accuracy(video_probs, labels)) == 2 / 4


def test_accuracy_of_no_videos_is_zero():
    assert float(aggregate.accuracy(np.zeros((0, 3), "float32"), np.zeros(0, "int32"))) == 0


def test_bootstrap_interval_follows_the_binomial_spread():
    correct = np.arange(400) % 4 != 0  # 75 % of 400
    low, high = aggregate.bootstrap_interval(correct, seed=3)
    spread = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - spread, abs=0.006)
    assert high == pytest.approx(0.75 + spread, abs=0.006)
    assert (low, high) == aggregate.bootstrap_interval(correct, seed=3)
    assert (low, high) != aggregate.bootstrap_interval(correct, seed=4)
    narrow = aggregate.bootstrap_interval(correct, seed=3, level=0.5)
    assert low < narrow[0] < 0.75 < narrow[1] < high


def test_bootstrap_interval_is_the_same_however_many_draws_are_held_at_once(monkeypatch):
    values = np.random.default_rng(0).random(37)
    whole = aggregate.bootstrap_interval(values, seed=2, samples=101)
    monkeypatch.setattr(aggregate, "AT_ONCE", 37 * 8)
    assert aggregate.bootstrap_interval(values, seed=2, samples=101) == whole
    generator = np.random.default_rng(2)
    one_by_one = [generator.choice(values, 37).mean() for _ in range(101)]
    assert whole == pytest.approx(np.quantile(one_by_one, [0.025, 0.975]))


def test_bootstrap_interval_takes_differences():
    low, high = aggregate.bootstrap_interval(np.array([1, 0, -1, 0] * 20), seed=0, samples=500)
    assert -0.3 < low < 0 < high < 0.3


def test_bootstrap_interval_needs_videos():
    with pytest.raises(ValueError, match="no videos"):
        aggregate.bootstrap_interval(np.zeros(0, bool), seed=0)


@settings(deadline=None, max_examples=25)
@given(right=st.integers(0, 30), videos=st.integers(1, 30), seed=st.integers(0, 99))
def test_bootstrap_interval_holds_the_mean(right, videos, seed):
    correct = np.arange(videos) < right
    low, high = aggregate.bootstrap_interval(correct, seed, samples=300, level=0.99)
    assert 0 <= low <= correct.mean() <= high <= 1


def test_the_same_inside_a_graph_with_unknown_sizes():
    def predict(clip_probs, chosen, labels):
        video_probs = aggregate.video_probabilities(clip_probs, chosen)
        return video_probs, aggregate.correct(video_probs, labels), aggregate.accuracy(video_probs, labels)

    signature = [
        tf.TensorSpec([None, None, 3]),
        tf.TensorSpec([None, None], tf.bool),
        tf.TensorSpec([None], tf.int32),
    ]
    traced = tf.function(predict, input_signature=signature)
    generator = np.random.default_rng(0)
    for videos, clips in [(4, 6), (1, 1)]:
        inputs = (
            generator.random((videos, clips, 3), dtype="float32"),
            generator.random((videos, clips)) < 0.6,
            np.arange(videos, dtype="int32") % 3,
        )
        for graph, eager in zip(traced(*inputs), predict(*inputs), strict=True):
            np.testing.assert_allclose(graph, eager, rtol=1e-6)
