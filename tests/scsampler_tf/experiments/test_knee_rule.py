"""The knee by hand."""

import numpy as np
import pytest

from scsampler_tf.experiments.knee_rule import best, front, knee, standard_error


def right(count, of=100):
    """The first `count` videos are right."""
    return np.arange(of) < count


def test_the_standard_error_is_that_of_a_share():
    assert standard_error(right(80)) == pytest.approx(np.sqrt(0.8 * 0.2 / 100))  # 0.04


def test_the_knee_is_the_cheapest_within_one_standard_error():
    # Of 80 right ones the standard error is 4: 76 is near, 75 is not. Four videos behind and none ahead
    # give p = 2 / 2^4 = 0.125, so nothing is shown of 76.
    costs = [1.0, 2.0, 3.0, 4.0]
    assert knee(costs, [right(75), right(76), right(79), right(80)], seed=0) == 1
    assert knee(costs, [right(76), right(76), right(79), right(80)], seed=0) == 0
    assert knee(costs, [right(20), right(30), right(40), right(80)], seed=0) == 3


def test_a_near_point_that_is_shown_to_be_worse_is_no_knee():
    # 900 of 1000: the standard error is 9.49. Nine behind and none ahead: p = 2 / 2^9 < 0.05, "worse".
    best_one = right(900, 1000)
    assert knee([1.0, 2.0], [right(891, 1000), best_one], seed=0) == 1
    # The same accuracy with 29 behind and 20 ahead shows nothing.
    mixed = best_one.copy()
    mixed[:29], mixed[900:920] = False, True
    assert knee([1.0, 2.0], [mixed, best_one], seed=0) == 0


def test_equal_costs_and_equal_accuracies():
    assert best([3.0, 2.0, 2.0], [0.5, 0.5, 0.5]) == 1
    assert knee([2.0, 2.0], [right(79), right(80)], seed=0) == 1
    assert knee([2.0, 2.0], [right(80), right(80)], seed=0) == 0
    assert knee([7.0], [right(0)], seed=0) == 0
    with pytest.raises(ValueError, match=r"empty|max"):
        knee([], [], seed=0)


def test_the_front_is_what_nothing_beats():
    costs = [1, 2, 3, 4, 4, 1]
    accuracies = [0.5, 0.7, 0.6, 0.9, 0.8, 0.5]
    assert front(costs, accuracies) == [True, True, False, True, False, True]
