import numpy as np
import pytest
import tensorflow as tf

from scsampler_tf import objectives, saliency

NAN = float("nan")


def logits_of(*probabilities):
    return np.log(np.array(probabilities, "float32"))


def test_ac_saliency_is_the_largest_class_probability():
    logits = logits_of([0.2, 0.7, 0.1], [0.4, 0.3, 0.3]) + 5  # softmax does not see a common shift
    np.testing.assert_allclose(saliency.frame_saliency(logits, "ac"), [0.7, 0.4], rtol=1e-5)


@pytest.mark.parametrize("objective", ["sal_cl", "sal_rank"])
def test_sal_saliency_is_the_sigmoid_of_the_one_logit(objective):
    logits = np.array([[0.0], [np.log(3)], [-1000.0], [1000.0]], "float32")
    np.testing.assert_allclose(saliency.frame_saliency(logits, objective), [0.5, 0.75, 0, 1], atol=1e-6)


def test_frame_saliency_refuses_wrong_shapes_and_names():
    with pytest.raises(ValueError, match="3 logits a frame"):
        saliency.frame_saliency(np.zeros((2, 3), "float32"), "sal_cl")
    with pytest.raises(ValueError, match="objective 'max'"):
        saliency.frame_saliency(np.zeros((2, 3), "float32"), "max")


def test_clip_saliency_is_the_mean_over_the_frames_that_exist():
    logits = np.full((2, 2, 3, 2), NAN, "float32")
    logits[0, 0] = logits_of([0.9, 0.1], [0.4, 0.6], [0.5, 0.5])
    logits[0, 1, 0] = logits_of([0.8, 0.2])[0]
    logits[1, 0, 1:] = logits_of([0.7, 0.3], [0.1, 0.9])
    mask = ~np.isnan(logits[..., 0])
    expected = [[(0.9 + 0.6 + 0.5) / 3, 0.8], [(0.7 + 0.9) / 2, 0]]
    np.testing.assert_allclose(saliency.clip_saliency(logits, mask, "ac"), expected, rtol=1e-6)
    one = np.where(mask, 0.0, NAN)[..., None].astype("float32")
    np.testing.assert_allclose(saliency.clip_saliency(one, mask, "sal_rank"), [[0.5, 0.5], [0.5, 0]])


def test_clip_log_probs_give_the_cross_entropy_on_every_frame():
    logits = logits_of([[0.9, 0.1], [0.4, 0.6]], [[0.3, 0.7], [0.5, 0.5]])
    mask = np.array([[True, True], [True, False]])
    log_probs = saliency.clip_log_probs(logits, mask)
    expected = [
        [np.log([0.9, 0.4]).mean(), np.log([0.1, 0.6]).mean()],
        [np.log(0.3), np.log(0.7)],
    ]
    np.testing.assert_allclose(log_probs, expected, rtol=1e-5)
    loss = objectives.ac([1], log_probs[None], np.array([[True, True]]))
    np.testing.assert_allclose(loss, [-((np.log(0.1) + np.log(0.6)) / 2 + np.log(0.7)) / 2], rtol=1e-5)


def test_clip_log_probs_without_a_frame_are_zero():
    logits = np.full((1, 2, 3), NAN, "float32")
    np.testing.assert_array_equal(saliency.clip_log_probs(logits, np.zeros((1, 2), bool)), np.zeros((1, 3)))


@pytest.mark.parametrize("function", ["saliency", "log_probs"])
def test_gradients_are_finite_whatever_padding_holds(function):
    logits = np.array([[[1e4, -1e4], [NAN, np.inf]], [[NAN, NAN], [NAN, NAN]]], "float32")
    mask = np.array([[True, False], [False, False]])
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        if function == "saliency":
            value = saliency.clip_saliency(logits, mask, "ac")
        else:
            value = saliency.clip_log_probs(logits, mask)
    assert np.isfinite(value).all()
    gradient = tape.gradient(value, logits).numpy()
    assert np.isfinite(gradient).all()
    assert not gradient[~mask].any()


def test_visual_saliency_is_the_mean_of_the_networks():
    networks = [np.array([[0.2, 0.4]]), np.array([[0.6, 0.5]]), np.array([[0.1, 0.9]])]
    np.testing.assert_allclose(saliency.visual_saliency(networks[:2]), [[0.4, 0.45]], rtol=1e-6)
    np.testing.assert_allclose(saliency.visual_saliency(networks), [[0.3, 0.6]], rtol=1e-6)


def test_the_same_inside_a_graph_with_unknown_sizes():
    def scores(logits, frame_mask):
        clips = saliency.clip_saliency(logits, frame_mask, "ac")
        both = saliency.visual_saliency([clips, clips])
        return (
            clips,
            both,
            saliency.clip_log_probs(logits, frame_mask),
        )

    signature = [
        tf.TensorSpec([None, None, None, 3]),
        tf.TensorSpec([None, None, None], tf.bool),
    ]
    traced = tf.function(scores, input_signature=signature)
    generator = np.random.default_rng(0)
    for shape in [(2, 4, 3), (1, 1, 1), (0, 2, 2)]:
        inputs = (
            generator.normal(size=(*shape, 3)).astype("float32"),
            generator.random(shape) < 0.7,
        )
        for graph, eager in zip(traced(*inputs), scores(*inputs), strict=True):
            np.testing.assert_allclose(graph, eager, rtol=1e-6)
