import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf import selection

NAN, INF = float("nan"), float("inf")
RAGGED = np.array([[True, True, True, True], [True, True, False, False], [False] * 4])


def prefix_mask(*counts):
    return np.arange(max(counts)) < np.array(counts)[:, None]


def scores_and_mask(seed, levels=4):
    """Few distinct scores, so that ties are common; masks of any form."""
    generator = np.random.default_rng(seed)
    videos, clips = generator.integers(1, 4), generator.integers(1, 30)
    scores = generator.integers(0, levels, (videos, clips)).astype("float32") / levels
    return scores, generator.random((videos, clips)) < generator.random()


def brute_top_k(scores, mask, k):
    listed = [
        sorted(np.flatnonzero(keep), key=lambda clip: (-row[clip], clip))[:k]
        for row, keep in zip(scores, mask, strict=True)
    ]
    return np.array([row + [-1] * (k - len(row)) for row in listed])


def test_top_k_most_salient_first_earlier_clip_on_ties_padded():
    scores = np.array([[0.1, 0.7, 0.3, 0.7]] * 3, "float32")
    np.testing.assert_array_equal(selection.top_k(scores, RAGGED, 3), [[1, 3, 2], [1, 0, -1], [-1, -1, -1]])
    assert selection.top_k(scores, RAGGED, 7).shape == (3, 7)


def test_top_k_of_extreme_scores_never_chooses_padding():
    scores = np.array([[NAN, -INF, INF, 3e38, INF, 9.0]], "float32")
    mask = np.array([[True, True, True, True, False, False]])
    np.testing.assert_array_equal(selection.top_k(scores, mask, 6), [[2, 3, 0, 1, -1, -1]])


def test_top_k_needs_a_clip():
    with pytest.raises(ValueError, match="k is 0"):
        selection.top_k(np.zeros((1, 2)), np.ones((1, 2), bool), 0)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 40))
def test_top_k_and_ranks_equal_sorting(seed, k):
    scores, mask = scores_and_mask(seed)
    indices = selection.top_k(scores, mask, k)
    np.testing.assert_array_equal(indices, brute_top_k(scores, mask, k))
    chosen = np.asarray(selection.chosen_mask(indices, scores.shape[1]))
    np.testing.assert_array_equal(chosen, mask & (np.asarray(selection.ranks(scores, mask)) < k))


def test_ranks_are_positions_in_the_list():
    scores = np.array([[0.2, 0.9, 0.2, 0.5]] * 3, "float32")
    mask = np.array([[True] * 4, [True, False, True, True], [False] * 4])
    np.testing.assert_array_equal(selection.ranks(scores, mask), [[2, 0, 3, 1], [1, 3, 2, 0], [0, 1, 2, 3]])


def test_gather_clips_and_chosen_mask():
    values = np.arange(12, dtype="float32").reshape(2, 3, 2)
    indices = np.array([[2, 0, -1], [1, -1, -1]])
    expected = [[[4, 5], [0, 1], [0, 0]], [[8, 9], [0, 0], [0, 0]]]
    np.testing.assert_array_equal(selection.gather_clips(values, indices), expected)
    np.testing.assert_array_equal(selection.gather_clips(values[..., 1], indices), np.array(expected)[..., 1])
    flags = selection.gather_clips(values[..., 0] > 3, indices)
    np.testing.assert_array_equal(flags, [[True, False, False], [True, False, False]])
    np.testing.assert_array_equal(
        selection.chosen_mask(indices, 3), [[True, False, True], [False, True, False]]
    )


@pytest.mark.parametrize("stride", [1, 2, 3, 7])
def test_strided_looks_at_every_nth_clip(stride):
    mask = prefix_mask(10, 4, 1, 0)
    seen = np.asarray(selection.strided(mask, stride))
    np.testing.assert_array_equal(seen, mask & (np.arange(10) % stride == 0))
    np.testing.assert_array_equal(seen.sum(1), -(-mask.sum(1) // stride))  # ceil(L / N), appendix D


def test_strided_refuses_a_stride_of_zero():
    with pytest.raises(ValueError, match="stride is 0"):
        selection.strided(RAGGED, 0)


def test_dense_is_every_clip_in_order():
    indices = selection.dense(RAGGED)
    np.testing.assert_array_equal(indices, [[0, 1, 2, 3], [0, 1, -1, -1], [-1] * 4])
    np.testing.assert_array_equal(selection.chosen_mask(indices, 4), RAGGED)


def test_oracle_takes_the_clips_with_the_best_true_class_score():
    class_scores = np.array(
        [[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]], "float32"
    )
    mask = np.ones((2, 3), bool)
    np.testing.assert_allclose(
        selection.true_class_scores(class_scores, [0, 1]), [[0.9, 0.2, 0.6], [0.1, 0.8, 0.4]]
    )
    np.testing.assert_array_equal(selection.oracle_clips(class_scores, [0, 1], mask, 2), [[0, 2], [1, 2]])


@pytest.mark.parametrize(
    ("count", "k", "expected"),
    [
        (10, 4, [0, 3, 6, 9]),
        (9, 3, [0, 4, 8]),
        (6, 3, [0, 3, 5]),  # 2.5 goes to the later clip
        (10, 2, [0, 9]),
        (9, 1, [4]),
        (10, 1, [4]),  # of two middle clips the earlier
        (3, 5, [0, 1, 2, -1, -1]),
        (1, 2, [0, -1]),
        (0, 2, [-1, -1]),
    ],
)
def test_uniform_by_hand(count, k, expected):
    mask = np.arange(12)[None] < count
    np.testing.assert_array_equal(selection.uniform_clips(mask, k), [expected])


@settings(deadline=None, max_examples=100)
@given(count=st.integers(1, 200), k=st.integers(2, 40))
def test_uniform_spaces_evenly_from_the_first_to_the_last_clip(count, k):
    chosen = selection.uniform_clips(np.ones((1, count), bool), k)[0]
    chosen = chosen[chosen >= 0]
    assert len(set(chosen)) == len(chosen) == min(k, count)
    assert chosen[-1] == count - 1
    assert chosen[0] == 0 or count == 1
    if len(chosen) > 1:
        exact = np.arange(len(chosen)) * (count - 1) / (len(chosen) - 1)
        assert np.abs(chosen - exact).max() <= 0.5 + 1e-9
        assert np.ptp(np.diff(chosen)) <= 1


def test_random_draws_different_valid_clips_by_seed():
    mask = prefix_mask(50, 3, 0)
    drawn = selection.random_clips(mask, 5, seed=1)
    assert drawn.dtype == np.int32
    assert len(set(drawn[0])) == 5
    assert sorted(drawn[1]) == [-1, -1, 0, 1, 2]
    np.testing.assert_array_equal(drawn[1, 3:], [-1, -1])
    np.testing.assert_array_equal(drawn[2], [-1] * 5)
    np.testing.assert_array_equal(drawn, selection.random_clips(mask, 5, seed=1))
    assert (drawn[0] != selection.random_clips(mask, 5, seed=2)[0]).any()
    # Neither padding nor K changes what is drawn first.
    np.testing.assert_array_equal(drawn, selection.random_clips(np.pad(mask, [[0, 0], [0, 9]]), 5, seed=1))
    np.testing.assert_array_equal(drawn[:, :2], selection.random_clips(mask, 2, seed=1))


def test_random_draws_every_clip_equally_often():
    drawn = selection.random_clips(np.ones((3000, 5), bool), 2, seed=0)
    share = np.bincount(drawn.ravel(), minlength=5) / 3000
    np.testing.assert_allclose(share, 2 / 5, atol=0.04)


def test_baselines_choose_only_inside_any_mask():
    mask = np.array([[False, True, False, True, True, False]])
    assert list(selection.uniform_clips(mask, 2)[0]) == [1, 4]
    assert sorted(selection.random_clips(mask, 9, 0)[0][:3]) == [1, 3, 4]
    assert sorted(selection.empirical_clips([1.0], mask, 9, 0)[0][:3]) == [1, 3, 4]


def test_fit_empirical_spreads_each_oracle_clip_over_its_stretch():
    # Video of 4 clips, oracle the last; video of 2 clips, oracle the first, which is half of the video.
    true_scores = np.array([[0.1, 0.2, 0.3, 0.9], [0.8, 0.1, NAN, NAN]], "float32")
    mask = prefix_mask(4, 2)
    np.testing.assert_allclose(
        selection.fit_empirical(true_scores, mask, 1, bins=4), [0.25, 0.25, 0, 0.5], atol=1e-12
    )
    # Fewer clips than K: all of them, the video still counts once.
    np.testing.assert_allclose(
        selection.fit_empirical(true_scores, mask, 3, bins=2),
        [(1 / 3 + 1 / 2) / 2, (2 / 3 + 1 / 2) / 2],
    )


def test_fit_empirical_without_clips_is_flat():
    histogram = selection.fit_empirical(np.zeros((2, 3)), np.zeros((2, 3), bool), 2, bins=4)
    np.testing.assert_array_equal(histogram, [0.25] * 4)


def test_empirical_draws_from_the_histogram():
    # All mass in the second quarter: of 8 clips these are clips 2 and 3, then by chance the others.
    drawn = selection.empirical_clips([0, 1, 0, 0], np.ones((200, 8), bool), 4, seed=0)
    assert {tuple(sorted(row)) for row in drawn[:, :2]} == {(2, 3)}
    assert set(drawn[:, 2:].ravel()) == {0, 1, 4, 5, 6, 7}
    assert all(len(set(row)) == 4 for row in drawn)
    np.testing.assert_array_equal(
        drawn, selection.empirical_clips([0, 1, 0, 0], np.ones((200, 8), bool), 4, seed=0)
    )


def test_empirical_probabilities_without_replacement():
    drawn = selection.empirical_clips([0.6, 0.3, 0.1], np.ones((4000, 3), bool), 2, seed=0)
    first = np.bincount(drawn[:, 0], minlength=3) / 4000
    np.testing.assert_allclose(first, [0.6, 0.3, 0.1], atol=0.03)
    after_zero = drawn[drawn[:, 0] == 0, 1]
    assert (after_zero == 1).mean() == pytest.approx(0.3 / (0.3 + 0.1), abs=0.03)


def test_baselines_refuse_no_clips():
    with pytest.raises(ValueError, match="k is 0"):
        selection.random_clips(RAGGED, 0, 1)
    with pytest.raises(ValueError, match="k is 0"):
        selection.uniform_clips(RAGGED, 0)


def every_choice(scores, mask, class_scores):
    indices = selection.top_k(scores, selection.strided(mask, 2), 8)
    return (
        indices,
        selection.ranks(scores, mask),
        selection.chosen_mask(indices, tf.shape(scores)[1]),
        selection.gather_clips(class_scores, indices),
        selection.dense(mask),
    )


def test_the_same_inside_a_graph_with_unknown_sizes():
    signature = [
        tf.TensorSpec([None, None]),
        tf.TensorSpec([None, None], tf.bool),
        tf.TensorSpec([None, None, 3]),
    ]
    traced = tf.function(every_choice, input_signature=signature)
    assert traced.get_concrete_function().structured_outputs[0].shape[1] == 8
    generator = np.random.default_rng(0)
    for videos, clips in [(3, 20), (2, 1), (2, 0), (0, 4)]:  # K may exceed L; no clip, no video
        inputs = (
            generator.integers(0, 3, (videos, clips)).astype("float32"),
            generator.random((videos, clips)) < 0.7,
            generator.random((videos, clips, 3), dtype="float32"),
        )
        for graph, eager in zip(traced(*inputs), every_choice(*inputs), strict=True):
            np.testing.assert_array_equal(graph, eager)


def test_the_oracle_inside_a_graph_with_unknown_sizes():
    signature = [tf.TensorSpec([None, None, None]), tf.TensorSpec([None], tf.int32)]
    signature.append(tf.TensorSpec([None, None], tf.bool))
    traced = tf.function(lambda *inputs: selection.oracle_clips(*inputs, 3), input_signature=signature)
    class_scores = np.random.default_rng(0).random((3, 4, 5), dtype="float32")
    labels = np.array([4, 0, 2], "int32")
    expected = brute_top_k(class_scores[np.arange(3), :, labels], RAGGED, 3)
    np.testing.assert_array_equal(traced(class_scores, labels, RAGGED), expected)


def test_top_k_builds_a_functional_model():
    scores, mask = keras.Input((None,)), keras.Input((None,), dtype="bool")
    indices = selection.top_k(scores, mask, 3)
    assert indices.shape == (None, 3)
    model = keras.Model([scores, mask], indices)
    values = np.array([[0.1, 0.7, 0.3, 0.7]] * 3, "float32")
    np.testing.assert_array_equal(model([values, RAGGED]), selection.top_k(values, RAGGED, 3))
