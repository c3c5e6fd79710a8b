import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf.config import SelectionConfig
from scsampler_tf.experiments.knee_rule import front as reference
from tuning.assess import Measure
from tuning.exhaustive import Assessed
from tuning.rows import Explored, front_of

MEASURE = Measure("val_accuracy", 10, 8.0)


def explored(name, accuracy, true, gflops, max_gflops=None) -> Explored:
    columns = [np.array(values, float) for values in (accuracy, accuracy, true, gflops)]
    some = [SelectionConfig(K=place + 1, K_prime=0) for place in range(len(accuracy))]
    return Explored(name, {}, some, Assessed(*columns), MEASURE, max_gflops)


def points(rows):
    return [(row.trial, row.selection.K, row.assessment.gflops_per_video) for row in rows]


def test_front_by_hand():
    one = explored("001", [0.5, 0.6, 0.6, 0.8], [0.1, 0.2, 0.3, 0.1], [1, 2, 2, 4])
    two = explored("002", [0.5, 0.7, 0.8, 0.9], [0.1, 0.2, 0.3, 0.1], [1.5, 3, 4, 8])
    # Of two at 2 GFLOPs the one with the better true-class score, of two at 4 likewise (trial 002).
    assert points(front_of([one, two])) == [
        ("001", 1, 1),
        ("001", 3, 2),
        ("002", 2, 3),
        ("002", 3, 4),
        ("002", 4, 8),
    ]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=30))
def test_front_is_that_of_the_definition(pairs):
    accuracy, gflops = zip(*pairs, strict=True)
    found = front_of([explored("001", accuracy, np.zeros(len(pairs)), gflops)])
    expected = {pair for pair, on in zip(pairs, reference(gflops, accuracy), strict=True) if on}
    assert [(row.assessment.accuracy, row.assessment.gflops_per_video) for row in found] == sorted(expected)


def test_a_budget_leaves_cheaper_settings():
    values = ([0.5, 0.9, 0.7], [0, 0, 0], [1, 4, 3])
    assert explored("001", *values).best().selection.K == 2
    assert explored("001", *values, max_gflops=3.0).best().selection.K == 3
    assert explored("001", *values, max_gflops=0.5).best() is None


def test_a_lucky_setting_does_not_win_over_a_neighbourhood():
    near = np.array([[0, 1], [0, 1], [2, 3], [2, 3]])
    one = explored("001", [1.0, 0.5, 0.9, 0.8], np.zeros(4), np.ones(4))
    smooth = dataclasses.replace(one, near=near, measure=Measure("val_smooth_accuracy", 10, 8.0))
    assert one.best().selection.K == 1
    best = smooth.best()
    assert (best.selection.K, best.assessment.accuracy) == (3, 0.9)
    assert best.objective == pytest.approx(0.85 + 0.001 * 0.0008 * 7 / 8)
