import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf import diversity, selection
from tests.scsampler_tf.graphs import servable

NAN, INF = float("nan"), float("inf")
SCORES = np.array([[0.5, 0.9, 0.8, 0.7, 0.1, 0.6]], "float32")
ALL = np.ones((1, 6), bool)
# Exact in binary, so that plain Python and float32 find the same ties; some are each other's multiples.
VECTORS = np.array(
    [[1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1], [-1, 0, 0], [0, -1, 1], [0, 0, 0]],
    "float32",
)
DIVERSITIES = (0.0, 0.25, 0.5, 0.75, 1.0)


def example(seed):
    """Scores `[V, L]` with many ties, features `[V, L, 3]`, a mask of any form and K, which may exceed L."""
    generator = np.random.default_rng(seed)
    videos, clips = generator.integers(1, 4), generator.integers(1, 25)
    scores = generator.integers(0, 5, (videos, clips)).astype("float32") / 4
    features = VECTORS[generator.integers(0, len(VECTORS), (videos, clips))]
    mask = generator.random((videos, clips)) < generator.random()
    return scores, features, mask, int(generator.integers(1, 30))


def listed(scores, mask):
    """The ranked list of one video."""
    return sorted(np.flatnonzero(mask).tolist(), key=lambda clip: (-scores[clip], clip))


def each_video(choose, k, *arrays):
    rows = [choose(*video) for video in zip(*arrays, strict=True)]
    return np.array([row + [-1] * (k - len(row)) for row in rows])


def brute_suppressed(scores, mask, k, gap):
    """From the words: take the best, strike out those near it, go on; fill up from those struck out."""
    left, apart, struck = listed(scores, mask), [], []
    while left and len(apart) < k:
        best, *others = left
        apart.append(best)
        left = [clip for clip in others if abs(clip - best) >= gap]
        struck += [clip for clip in others if abs(clip - best) < gap]
    return (apart + [clip for clip in listed(scores, mask) if clip in struck])[:k]


def brute_relevant(scores, features, mask, k, weight):
    """From the words: score against the largest cosine with those taken; the ranked list decides ties."""

    def cosine(one, other):
        if not features[one].any():
            return 1.0
        lengths = np.linalg.norm(features[one]) * np.linalg.norm(features[other])
        product = float(features[one].astype(float) @ features[other])
        return round(product / lengths * 2**20) / 2**20 if lengths else 0.0

    left, taken = listed(scores, mask), []
    while left and len(taken) < k:

        def marginal(clip):
            likeness = max((cosine(clip, other) for other in taken), default=0.0)
            return (1 - weight) * float(scores[clip]) - weight * likeness

        taken.append(max(left, key=marginal))  # the first of equals
        left.remove(taken[-1])
    return taken


def suppressed(scores=SCORES, mask=ALL, k=3, gap=2):
    return np.asarray(diversity.suppressed_top_k(scores, mask, k, gap))


def relevant(scores, features, mask, k, weight):
    return np.asarray(diversity.relevant_top_k(scores, features, mask, k, weight))


@pytest.mark.parametrize(
    ("k", "gap", "expected"),
    [
        (3, 1, [1, 2, 3]),
        (3, 2, [1, 3, 5]),  # 1 strikes out 0 and 2
        (3, 3, [1, 5, 2]),  # 1 leaves 4 and 5; then the best struck out
        (3, 4, [1, 5, 2]),
        (3, 5, [1, 2, 3]),  # 1 strikes out all
        (4, 2, [1, 3, 5, 2]),
        (8, 2, [1, 3, 5, 2, 0, 4, -1, -1]),
    ],
)
def test_suppression_by_hand(k, gap, expected):
    np.testing.assert_array_equal(suppressed(k=k, gap=gap), [expected])


def test_suppression_counts_clips_of_the_video_where_the_mask_has_holes():
    mask = selection.strided(ALL, 2)  # clips 0, 2, 4 in order 2, 0, 4: all two apart
    np.testing.assert_array_equal(suppressed(mask=mask, gap=2), [[2, 0, 4]])
    np.testing.assert_array_equal(suppressed(mask=mask, k=2, gap=3), [[2, 0]])
    np.testing.assert_array_equal(suppressed(np.array([[3.0, 2, 2, 2, 1]]), ALL[:, :5], 2, 3), [[0, 3]])


def test_equal_scores_are_spaced_from_the_first_clip():
    np.testing.assert_array_equal(suppressed(np.ones((1, 10)), np.ones((1, 10), bool), 4, 3), [[0, 3, 6, 9]])


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), gap=st.integers(0, 12))
def test_suppression_equals_its_words(seed, gap):
    scores, _, mask, k = example(seed)
    expected = each_video(lambda row, keep: brute_suppressed(row, keep, k, gap), k, scores, mask)
    found = suppressed(scores, mask, k, gap)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)
    if gap < 2:
        np.testing.assert_array_equal(found, selection.top_k(scores, mask, k))
    np.testing.assert_array_equal((found >= 0).sum(1), np.minimum(mask.sum(1), k))


def test_relevance_by_hand():
    # Clips 0 and 1 look alike, 2 is at 45 degrees to them, 3 at a right angle.
    features = np.array([[[1, 0], [3, 0], [1, 1], [0, 2]]], "float32")
    scores, mask = np.array([[0.9, 0.8, 0.6, 0.3]], "float32"), np.ones((1, 4), bool)
    np.testing.assert_array_equal(relevant(scores, features, mask, 3, 0.0), [[0, 1, 2]])
    # After 0: 0.8 - 0.2, 0.48 - 0.14, 0.24; 0.8 * 0.8 - 0.2 = 0.44 is the largest.
    np.testing.assert_array_equal(relevant(scores, features, mask, 2, 0.2), [[0, 1]])
    # After 0: 0.4 - 0.5, 0.3 - 0.354, 0.15 - 0; after 3: -0.1, 0.3 - 0.354.
    np.testing.assert_array_equal(relevant(scores, features, mask, 4, 0.5), [[0, 3, 2, 1]])
    np.testing.assert_array_equal(relevant(scores, features, mask, 6, 1.0), [[0, 3, 2, 1, -1, -1]])


def test_clips_without_features_say_nothing_new_and_nothing_is_like_them():
    scores, mask = np.array([[0.9, 0.8, 0.7, 0.1]], "float32"), np.ones((1, 4), bool)
    for nothing in (0.0, NAN, INF):
        features = np.array([[[1, 0], [nothing, nothing], [1, 0], [0, 1]]], "float32")
        np.testing.assert_array_equal(relevant(scores, features, mask, 4, 0.5), [[0, 3, 1, 2]])
        # The first has none: 0.4 - 0.5 for the second, 0.35 for the third.
        features = np.array([[[nothing, 0], [nothing, nothing], [1, 0], [1, 0]]], "float32")
        np.testing.assert_array_equal(relevant(scores, features, mask, 4, 0.5), [[0, 2, 1, 3]])
    # Alike in this, so the scores decide.
    np.testing.assert_array_equal(relevant(scores, np.zeros((1, 4, 2)), mask, 4, 0.9), [[0, 1, 2, 3]])


def test_features_of_any_length_and_extreme_scores():
    features = np.array([[[3e38, 3e38], [1e-37, 1e-37], [0, 1e30], [5, 0]]], "float32")
    mask = np.array([[True, True, True, False]])
    np.testing.assert_array_equal(relevant(np.ones((1, 4)), features, mask, 4, 0.5), [[0, 2, 1, -1]])
    scores = np.array([[-INF, NAN, INF, 9]], "float32")
    for weight in DIVERSITIES:
        found = relevant(scores, features, mask, 4, weight)[0]
        assert found[0] == 2
        assert sorted(found) == [-1, 0, 1, 2]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), weight=st.sampled_from(DIVERSITIES))
def test_relevance_equals_its_words(seed, weight):
    scores, features, mask, k = example(seed)
    expected = each_video(lambda *video: brute_relevant(*video, k, weight), k, scores, features, mask)
    found = relevant(scores, features, mask, k, weight)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)
    if not weight:
        np.testing.assert_array_equal(found, selection.top_k(scores, mask, k))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), gap=st.integers(0, 6), weight=st.sampled_from(DIVERSITIES))
def test_padding_and_other_videos_change_nothing(seed, gap, weight):
    scores, features, mask, k = example(seed)
    padding = [[1, 1], [0, 5]]
    more, outside = np.pad(scores, padding, constant_values=9), np.pad(mask, padding)
    looks = np.pad(features, [*padding, [0, 0]], constant_values=NAN)
    np.testing.assert_array_equal(suppressed(more, outside, k, gap)[1:-1], suppressed(scores, mask, k, gap))
    np.testing.assert_array_equal(
        relevant(more, looks, outside, k, weight)[1:-1], relevant(scores, features, mask, k, weight)
    )


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), gap=st.integers(0, 6), weight=st.sampled_from(DIVERSITIES))
def test_fewer_clips_are_the_first_of_more(seed, gap, weight):
    scores, features, mask, k = example(seed)
    few = relevant(scores, features, mask, k, weight)
    np.testing.assert_array_equal(few, relevant(scores, features, mask, k + 2, weight)[:, :k])
    few, more = suppressed(scores, mask, k, gap), suppressed(scores, mask, k + 2, gap)
    np.testing.assert_array_equal(few, more[:, :k])


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="gap is -1"):
        suppressed(gap=-1)
    with pytest.raises(ValueError, match="k is 0"):
        suppressed(k=0)
    with pytest.raises(ValueError, match="k is 0"):
        relevant(SCORES, SCORES[..., None], ALL, 0, 0.5)
    for weight in (-0.1, 1.5, NAN):
        with pytest.raises(ValueError, match="diversity is"):
            relevant(SCORES, SCORES[..., None], ALL, 1, weight)


def both(scores, features, mask):
    return (
        diversity.suppressed_top_k(scores, mask, 5, 3),
        diversity.relevant_top_k(scores, features, mask, 5, 0.5),
    )


def test_the_same_inside_a_graph_with_unknown_sizes(tmp_path):
    signature = [
        tf.TensorSpec([None, None]),
        tf.TensorSpec([None, None, None]),
        tf.TensorSpec([None, None], tf.bool),
    ]
    traced = servable(both, signature, tmp_path)
    assert [each.shape.as_list() for each in traced.get_concrete_function().outputs] == [[None, 5]] * 2
    generator = np.random.default_rng(0)
    for videos, clips, depth in [(3, 20, 3), (2, 1, 1), (2, 0, 3), (0, 4, 3)]:
        inputs = (
            generator.integers(0, 3, (videos, clips)).astype("float32"),
            generator.integers(-1, 2, (videos, clips, depth)).astype("float32"),
            generator.random((videos, clips)) < 0.7,
        )
        for graph, eager in zip(traced(*inputs), both(*inputs), strict=True):
            np.testing.assert_array_equal(graph, eager)


def test_a_k_of_each_video_in_a_graph_of_unknown_sizes(tmp_path):
    signature = [
        tf.TensorSpec([None, None]),
        tf.TensorSpec([None, None, None]),
        tf.TensorSpec([None, None], tf.bool),
        tf.TensorSpec([None], tf.int32),
    ]

    def chosen(scores, features, mask, k):
        return (
            diversity.suppressed_top_k(scores, mask, k, 3),
            diversity.relevant_top_k(scores, features, mask, k, 0.5),
        )

    traced = servable(chosen, signature, tmp_path)
    for seed in range(60):
        scores, features, mask, most = example(seed)
        counts = np.random.default_rng(seed).integers(1, most + 1, len(scores)).astype("int32")
        found = traced(scores, features, mask, counts)
        rows = list(zip(scores, features, mask, counts, strict=True))
        words = [brute_suppressed(row, keep, k, 3) for row, _, keep, k in rows]
        others = [brute_relevant(row, looks, keep, k, 0.5) for row, looks, keep, k in rows]
        width = min(counts.max(), scores.shape[1])
        for indices, expected in zip(found, (words, others), strict=True):
            assert indices.dtype == tf.int32
            np.testing.assert_array_equal(indices, [row + [-1] * (width - len(row)) for row in expected])
    for videos, clips in ((0, 4), (2, 0)):
        nothing = np.zeros((videos, clips), "float32")
        for indices in traced(nothing, nothing[..., None], nothing > 0, np.full(videos, 2, "int32")):
            assert indices.shape == (videos, 0)


def test_they_build_functional_models():
    inputs = [keras.Input((None,)), keras.Input((None, 3)), keras.Input((None,), dtype="bool")]
    outputs = both(*inputs)
    assert [each.shape for each in outputs] == [(None, 5)] * 2
    scores, features, mask, _ = example(4)
    for built, eager in zip(
        keras.Model(inputs, outputs)([scores, features, mask]), both(scores, features, mask), strict=True
    ):
        np.testing.assert_array_equal(built, eager)
