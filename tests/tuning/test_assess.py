import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf.config import SelectionConfig
from scsampler_tf.cost import Sampler
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.methods import Costs
from tuning.assess import Assessment, Measure, assess, class_means, make_measure, smoothed

COSTS = Costs(2e9, {"md": Sampler(1e8, 3), "audio": Sampler(5e8, 1)})


def two_videos() -> EvaluationSet:
    """Classes 0 and 1 of 2; 6 clips and 4 clips; audio is silent in the second video."""
    true = np.array([[0.9, 0.2, 0.6, 0.1, 0.3, 0.4], [0.2, 0.4, 0.7, 0.1, 0, 0]], np.float32)
    probabilities = np.stack([true, 1 - true], axis=-1)
    probabilities[1] = probabilities[1, :, ::-1]
    mask = np.array([[1] * 6, [1] * 4 + [0] * 2], bool)
    return EvaluationSet(
        videos=[None, None],
        labels=np.array([0, 1]),
        probabilities=probabilities,
        mask=mask,
        visual=np.array([[0.1, 0.9, 0.5, 0.2, 0.3, 0.4], [0.8, 0.1, 0.2, 0.3, 0, 0]], np.float32),
        audio=np.array([[0.7, 0.1, 0.2, 0.3, 0.4, 0.5], [0] * 6], np.float32),
        has_audio=mask & np.array([[True], [False]]),
        in_action=None,
        missing=[],
    )


def test_visual_by_hand():
    found = assess(two_videos(), SelectionConfig(K=2, K_prime=1, fusion="visual"), COSTS)
    # Video 1: clips 1, 2 with 0.2, 0.6: mean 0.4, wrong. Video 2: clips 0, 3 with 0.2, 0.1: wrong.
    assert found.accuracy == found.mean_class_accuracy == 0
    assert found.true_score == pytest.approx((0.4 + 0.15) / 2)
    assert found.gflops_per_video == pytest.approx((6 + 4) / 2 * 0.3 + 2 * 2)


def test_union_with_stride_by_hand():
    found = assess(two_videos(), SelectionConfig(K=2, K_prime=1, fusion="union_list", stride=2), COSTS)
    # Of clips 0, 2, 4: video 1 takes 2 by eye and 0 by ear (0.6, 0.9: right); video 2 has only clips 0
    # and 2 and no sound: both (0.2, 0.7: wrong).
    assert found.accuracy == 0.5
    assert found.true_score == pytest.approx((0.75 + 0.45) / 2)
    assert found.gflops_per_video == pytest.approx((3 * (0.3 + 0.5) + 2 * 0.3) / 2 + 2 * 2)


def test_audio_runs_the_audio_network_where_there_is_sound():
    found = assess(two_videos(), SelectionConfig(K=1, K_prime=0, fusion="audio"), COSTS)
    # Clip 0 by ear (0.9); the silent video by eye, clip 0 (0.2).
    assert found.accuracy == 0.5
    assert found.true_score == pytest.approx((0.9 + 0.2) / 2)
    assert found.gflops_per_video == pytest.approx((6 * 0.5 + 4 * 0.3) / 2 + 2)


def test_classes_count_alike_in_their_mean():
    right = np.array([[True, True, False, True], [False, False, True, True]])
    # Class 5 has three videos, class 7 one; class 6 has none.
    np.testing.assert_allclose(class_means(right, np.array([5, 5, 5, 7])), [(2 / 3 + 1) / 2, (1 / 3 + 1) / 2])


def test_dearest_is_every_network_on_every_clip():
    # 5 clips on average, each 2 + 0.3 (the second video has no sound), 6 with 0.5 more.
    measure = make_measure("val_accuracy", two_videos(), COSTS)
    assert measure.dearest == pytest.approx((6 * (2 + 0.3 + 0.5) + 4 * (2 + 0.3)) / 2)
    assert measure.videos == 2


def test_objective_formulas():
    found = Assessment(accuracy=0.5, mean_class_accuracy=0.6, true_score=0.4, gflops_per_video=1.0)
    by = {name: Measure(name, 10, 4.0).value(found) for name in ("val_accuracy", "val_true_score")}
    assert by["val_accuracy"] == pytest.approx(0.5 + (0.36 + 0.0006) / 10)
    assert by["val_true_score"] == pytest.approx(0.4 + 0.0006)
    value = Measure("val_mean_class_accuracy", 10, 4.0).value(found)
    assert value == pytest.approx(0.6 + 0.001 * (0.36 + 0.0006))


@settings(deadline=None, max_examples=200)
@given(st.data(), st.integers(1, 500))
def test_accuracy_before_true_score_before_cost(data, videos):
    one = st.tuples(st.integers(0, videos), st.integers(0, 1000), st.integers(-100, 0))
    left, right = data.draw(one), data.draw(one)

    def value(point):
        return Measure("val_accuracy", videos, 100).value(
            Assessment(point[0] / videos, 0, point[1] / 1000, -point[2])
        )

    if left > right:
        assert value(left) > value(right)
    elif left == right:
        assert value(left) == value(right)


def test_smoothed_is_the_mean_of_a_setting_and_its_neighbours():
    near = np.array([[0, 1, -1], [0, 1, 2], [2, -1, -1]])
    np.testing.assert_allclose(smoothed(np.array([0.9, 0.3, 0.6]), near), [0.6, 0.6, 0.6])
