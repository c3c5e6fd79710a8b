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


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), most=st.integers(1, 40))
def test_a_k_of_each_videos_own_is_that_many_of_its_list(seed, most):
    scores, mask = scores_and_mask(seed)
    counts = np.random.default_rng(seed).integers(1, most + 1, len(scores)).astype("int32")
    found = np.asarray(selection.top_each(scores, mask, counts))
    width = min(counts.max(), scores.shape[1])
    for row, count in enumerate(counts):
        expected = brute_top_k(scores[row : row + 1], mask[row : row + 1], count)[0]
        expected = np.pad(expected, (0, 40), constant_values=-1)[:width]
        np.testing.assert_array_equal(found[row], expected)
    assert found.shape == (len(scores), width)


def test_a_k_of_each_videos_own_in_a_graph_of_any_size():
    counted = tf.function(
        selection.top_each,
        input_signature=[
            tf.TensorSpec([None, None]),
            tf.TensorSpec([None, None], tf.bool),
            tf.TensorSpec([None], tf.int32),
        ],
    )
    scores = tf.constant([[0.1, 0.7, 0.3, 0.7]] * 3)
    np.testing.assert_array_equal(counted(scores, RAGGED, [2, 3, 1]), [[1, 3, -1], [1, 0, -1], [-1, -1, -1]])
    assert counted(scores, RAGGED, [1, 1, 1]).shape == (3, 1)
    assert counted(scores[:0], RAGGED[:0], tf.zeros([0], tf.int32)).shape == (0, 0)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 40), stride=st.integers(1, 5))
def test_padding_and_a_stride_change_nothing_else(seed, k, stride):
    scores, mask = scores_and_mask(seed)
    padding = [[1, 1], [0, 5]]
    padded = selection.top_k(np.pad(scores, padding, constant_values=9), np.pad(mask, padding), k)
    np.testing.assert_array_equal(np.asarray(padded)[1:-1], selection.top_k(scores, mask, k))
    # Every N-th clip of the video in plain Python, then the best K of those.
    looked_at = np.zeros_like(mask)
    for row, keep in zip(looked_at, mask, strict=True):
        row[np.flatnonzero(keep)[::stride]] = True
    np.testing.assert_array_equal(selection.strided(mask, stride), looked_at)
    chosen = selection.top_k(scores, selection.strided(mask, stride), k)
    np.testing.assert_array_equal(chosen, brute_top_k(scores, looked_at, k))


def test_equal_scores_keep_the_order_of_time():
    for value in (0.5, NAN, INF, -INF, -0.0):
        scores = np.full((1, 60), value, "float32")
        found = selection.top_k(scores, np.ones((1, 60), bool), 60)
        np.testing.assert_array_equal(found, [np.arange(60)])
    zeros = np.array([[0.0, -0.0, 0.0, -0.0]], "float32")
    np.testing.assert_array_equal(selection.order(zeros, zeros == 0), [[0, 1, 2, 3]])


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


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12))
def test_the_oracle_equals_the_papers_words(seed, k):
    generator = np.random.default_rng(seed)
    _, mask = scores_and_mask(seed)
    class_scores = generator.integers(0, 4, (*mask.shape, 3)).astype("float32") / 4
    labels = generator.integers(0, 3, len(mask))
    own = [scores[:, label] for scores, label in zip(class_scores, labels, strict=True)]
    found = selection.oracle_clips(class_scores, labels, mask, k)
    np.testing.assert_array_equal(found, brute_top_k(own, mask, k))


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


def test_masks_build_functional_models():
    mask, indices = keras.Input((5,), dtype="bool"), keras.Input((2,), dtype="int32")
    model = keras.Model([mask, indices], [selection.strided(mask, 2), selection.chosen_mask(indices, 5)])
    looked_at, chosen = model([np.ones((1, 5), bool), np.array([[3, -1]])])
    np.testing.assert_array_equal(looked_at, [[True, False, True, False, True]])
    np.testing.assert_array_equal(chosen, [[False, False, False, True, False]])
