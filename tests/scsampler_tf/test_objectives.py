import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf import objectives

NAN = float("nan")


def array(*rows):
    return np.array(rows, "float32")


def value_and_gradient(loss, saliency):
    saliency = tf.constant(saliency)
    with tf.GradientTape() as tape:
        tape.watch(saliency)
        value = loss(saliency)
    return value.numpy(), tape.gradient(value, saliency).numpy()


def test_ac_is_the_mean_cross_entropy_of_the_videos_label():
    log_probs = np.log(array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]], [[0.1, 0.1, 0.8], [0.3, 0.3, 0.4]]))
    mask = np.array([[True, True], [True, False]])
    loss = objectives.ac([0, 2], log_probs, mask)
    np.testing.assert_allclose(loss, [-(math.log(0.7) + math.log(0.5)) / 2, -math.log(0.8)], rtol=1e-6)


def test_ac_is_zero_without_clips_and_ignores_what_padding_holds():
    log_probs = np.full((2, 2, 3), NAN, "float32")
    log_probs[1, 0] = np.log([0.2, 0.3, 0.5])
    mask = np.array([[False, False], [True, False]])
    value, gradient = value_and_gradient(lambda x: objectives.ac([1, 1], x, mask), log_probs)
    np.testing.assert_allclose(value, [0, -math.log(0.3)], rtol=1e-6)
    expected = np.zeros((2, 2, 3))
    expected[1, 0, 1] = -1
    np.testing.assert_array_equal(gradient, expected)


def test_sal_cl_is_binary_cross_entropy_against_the_oracles_top():
    # Half of 5 clips: 2 positives, those with true scores 0.9 and 0.8.
    true_scores = array([0.1, 0.9, 0.3, 0.8, 0.2])
    saliency = array([0.2, 0.6, 0.5, 0.1, 0.3])
    expected = -(math.log(0.8) + math.log(0.6) + math.log(0.5) + math.log(0.1) + math.log(0.7)) / 5
    loss = objectives.sal_cl(true_scores, saliency, np.ones((1, 5), bool), 0.5)
    np.testing.assert_allclose(loss, [expected], rtol=1e-6)


def test_sal_cl_counts_the_fraction_of_the_valid_clips_and_takes_at_least_one():
    true_scores = array([0.9, 0.2, 0.3, 0.99], [0.5, 0.7, 0.9, 0.9])
    saliency = array([0.8, 0.4, 0.4, NAN], [0.3, NAN, NAN, NAN])
    mask = np.array([[True, True, True, False], [True, False, False, False]])
    # Floor of a quarter of 3 and of 1 is none: one each.
    expected = [-(math.log(0.8) + 2 * math.log(0.6)) / 3, -math.log(0.3)]
    np.testing.assert_allclose(objectives.sal_cl(true_scores, saliency, mask, 0.25), expected, rtol=1e-6)


def test_sal_cl_equal_true_scores_label_the_earlier_clip():
    loss = objectives.sal_cl(array([0.5, 0.5]), array([0.9, 0.2]), np.ones((1, 2), bool), 0.5)
    np.testing.assert_allclose(loss, [-(math.log(0.9) + math.log(0.8)) / 2], rtol=1e-6)


def test_sal_cl_takes_whole_shares_in_spite_of_rounding():
    # 0.29 * 100 is a little less than 29 in floating point.
    true_scores = np.arange(100, 0, -1, dtype="float32")[None]
    saliency = np.where(np.arange(100) < 29, 0.9, 0.1).astype("float32")[None]
    loss = objectives.sal_cl(true_scores, saliency, np.ones((1, 100), bool), 0.29)
    np.testing.assert_allclose(loss, [-math.log(0.9)], rtol=1e-5)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5, NAN])
def test_sal_cl_refuses_a_fraction_that_is_none(fraction):
    with pytest.raises(ValueError, match="fraction is"):
        objectives.sal_cl(array([0.5]), array([0.5]), np.ones((1, 1), bool), fraction)


def test_sal_rank_both_forms_by_hand():
    # True scores order the clips 0 > 1; saliencies have it the wrong way round by 0.2; margin 0.1.
    true_scores, saliency, mask = array([0.9, 0.1]), array([0.3, 0.5]), np.ones((1, 2), bool)
    standard = objectives.sal_rank(true_scores, saliency, mask, 0.1)
    np.testing.assert_allclose(standard, [((0.5 - 0.3 + 0.1) + (0.5 - 0.3 + 0.1)) / 2], rtol=1e-6)
    printed = objectives.sal_rank(true_scores, saliency, mask, 0.1, form="printed")
    # (0, 1): z = 1, -(0.3 - 0.5 + 0.1) = 0.1; (1, 0): z = -1, 0.5 - 0.3 + 0.1 = 0.3.
    np.testing.assert_allclose(printed, [(0.1 + 0.3) / 2], rtol=1e-6)


def test_sal_rank_the_printed_margin_loosens_one_order_of_the_pair():
    # In the right order by 0.05, less than the margin of 0.1: standard asks for 0.05 more in both orders.
    true_scores, saliency, mask = array([0.9, 0.1]), array([0.55, 0.5]), np.ones((1, 2), bool)
    np.testing.assert_allclose(objectives.sal_rank(true_scores, saliency, mask, 0.1), [0.05], atol=1e-7)
    printed = objectives.sal_rank(true_scores, saliency, mask, 0.1, form="printed")
    np.testing.assert_allclose(printed, [(0 + 0.05) / 2], atol=1e-7)


def test_sal_rank_leaves_out_padding_and_pairs_of_equal_true_scores():
    true_scores = array([0.9, 0.5, 0.5, 0.1], [0.4, 0.4, 0.4, 0.8], [0.1, 0.2, 0.3, 0.4])
    saliency = array([0.4, 0.6, 0.2, 0.9], [0.1, 0.9, 0.5, 0.3], [0.5, 0.5, 0.5, 0.5])
    mask = np.array([[True, True, True, False], [True, True, True, False], [True, False, False, False]])
    # First video: pairs (0, 1) wrong by 0.2 and (0, 2) right by 0.2, each in both orders.
    first = 2 * (max(0, 0.6 - 0.4 + 0.3) + max(0, 0.2 - 0.4 + 0.3)) / 4
    np.testing.assert_allclose(
        objectives.sal_rank(true_scores, saliency, mask, 0.3), [first, 0, 0], rtol=1e-6
    )


def test_sal_rank_refuses_an_unknown_form():
    with pytest.raises(ValueError, match="form 'other'"):
        objectives.sal_rank(array([0.5]), array([0.5]), np.ones((1, 1), bool), 0.1, form="other")


def test_objective_names():
    with pytest.raises(ValueError, match="objective 'SAL'"):
        objectives.check_objective("SAL")
    for name in objectives.OBJECTIVES:
        objectives.check_objective(name)


def brute_sal_rank(true_scores, saliency, mask, margin, form):
    losses = []
    for f, s, keep in zip(true_scores, saliency, mask, strict=True):
        terms = []
        for i in np.flatnonzero(keep):
            for j in np.flatnonzero(keep):
                if f[i] != f[j]:
                    z = 1 if f[i] > f[j] else -1
                    lead = s[i] - s[j]
                    terms.append(max(0, -z * lead + margin if form == "standard" else -z * (lead + margin)))
        losses.append(sum(terms) / len(terms) if terms else 0)
    return losses


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), clips=st.integers(1, 6), form=st.sampled_from(objectives.RANK_FORMS))
def test_sal_rank_equals_the_paper_pair_by_pair(seed, clips, form):
    generator = np.random.default_rng(seed)
    true_scores = generator.integers(0, 4, (3, clips)).astype("float32") / 4
    saliency = generator.random((3, clips), dtype="float32")
    mask = generator.random((3, clips)) < 0.7
    loss = objectives.sal_rank(true_scores, saliency, mask, 0.2, form=form)
    np.testing.assert_allclose(loss, brute_sal_rank(true_scores, saliency, mask, 0.2, form), atol=1e-6)


@pytest.mark.parametrize("saliency", [[0.0, 1.0, 0.5, NAN], [1.0, 0.0, 1.0, NAN], [0.5, 0.5, 0.5, NAN]])
@pytest.mark.parametrize("mask", [[True, True, True, False], [True, False, False, False], [False] * 4])
def test_losses_and_gradients_are_finite(saliency, mask):
    true_scores, saliency, mask = array([1.0, 0.0, 0.5, NAN]), array(saliency), np.array([mask])
    losses = [
        lambda s: objectives.sal_cl(true_scores, s, mask, 0.5),
        lambda s: objectives.sal_rank(true_scores, s, mask, 0.1),
        lambda s: objectives.sal_rank(true_scores, s, mask, 0.1, form="printed"),
    ]
    for loss in losses:
        value, gradient = value_and_gradient(loss, saliency)
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()
        assert not gradient[~mask].any()
        if not mask.any():
            assert value == 0


def test_the_same_inside_a_graph_with_unknown_sizes():
    floats, flags = tf.TensorSpec([None, None]), tf.TensorSpec([None, None], tf.bool)

    def losses(true_scores, saliency, mask, labels, log_probs):
        return (
            objectives.ac(labels, log_probs, mask),
            objectives.sal_cl(true_scores, saliency, mask, 0.5),
            objectives.sal_rank(true_scores, saliency, mask, 0.1),
        )

    signature = [floats, floats, flags, tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None, 3])]
    traced = tf.function(losses, input_signature=signature)
    generator = np.random.default_rng(0)
    for videos, clips in [(3, 5), (1, 1)]:
        true_scores, saliency = generator.random((2, videos, clips), dtype="float32")
        log_probs = np.log(generator.dirichlet(np.ones(3), (videos, clips)).astype("float32"))
        labels = np.arange(videos, dtype="int32") % 3
        inputs = (true_scores, saliency, generator.random((videos, clips)) < 0.8, labels, log_probs)
        for graph, eager in zip(traced(*inputs), losses(*inputs), strict=True):
            np.testing.assert_allclose(graph, eager, rtol=1e-6)
