import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf.experiments.paired import Comparison, compare, sign_test


@pytest.mark.parametrize(
    ("ahead", "behind", "p"),
    [
        (0, 0, 1),
        (1, 0, 1),  # one coin: any outcome is this uneven
        (1, 1, 1),
        (5, 0, 2 / 32),
        (0, 5, 2 / 32),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (3, 3, 1),
    ],
)
def test_the_sign_test_by_hand(ahead, behind, p):
    assert sign_test(ahead, behind) == pytest.approx(p)


def test_the_sign_test_against_all_tosses():
    for n in range(1, 11):
        uneven = np.array([abs(2 * sum(tosses) - n) for tosses in itertools.product((0, 1), repeat=n)])
        for ahead in range(n + 1):
            assert sign_test(ahead, n - ahead) == pytest.approx((uneven >= abs(2 * ahead - n)).mean())


def test_the_sign_test_of_many_videos():
    assert sign_test(20_000, 20_000) == 1
    # Normal approximation with its continuity correction: (200 - 0.5) / sqrt(10000) = 1.995.
    assert sign_test(5_200, 4_800) == pytest.approx(6.6e-5, rel=0.05)
    assert 0 <= sign_test(30_000, 0) < 1e-100


def test_a_comparison_by_hand():
    # Eight videos that only the first gets right, one that only the second does, one that both do.
    a, b = [1] * 8 + [0, 1], [0] * 8 + [1, 1]
    found = compare(a, b, seed=0)
    assert found.difference == pytest.approx(0.7)
    assert (found.ahead, found.behind) == (8, 1)
    assert found.p_value == pytest.approx(2 * (1 + 9) / 512)
    assert 0 < found.interval[0] < 0.7 < found.interval[1] <= 1
    assert found.verdict == "better"
    assert compare(b, a, seed=0).verdict == "worse"


def test_a_random_method_counts_by_how_often_it_was_right():
    found = compare([1, 0, 1, 1], [0.9, 0.1, 1, 0.25], seed=0)
    assert found.difference == pytest.approx((0.1 - 0.1 + 0 + 0.75) / 4)
    assert (found.ahead, found.behind) == (2, 1)


@pytest.mark.parametrize(
    ("interval", "p_value", "verdict"),
    [
        ((0.1, 0.3), 0.01, "better"),
        ((-0.3, -0.1), 0.01, "worse"),
        ((0.0, 0.3), 0.01, "not shown"),  # the interval contains 0
        ((-0.1, 0.3), 0.0001, "not shown"),
        ((-0.3, 0.0), 0.01, "not shown"),
        ((0.1, 0.3), 0.05, "not shown"),
    ],
)
def test_nothing_is_claimed_unless_both_say_so(interval, p_value, verdict):
    assert Comparison(0.2, interval, 3, 1, p_value).verdict == verdict


def test_a_method_is_no_better_than_itself():
    found = compare([1, 0, 1], [1, 0, 1], seed=3)
    assert (found.difference, found.interval, found.p_value) == (0, (0, 0), 1)
    assert found.verdict == "not shown"


def test_only_the_same_videos_are_compared():
    with pytest.raises(ValueError, match="2 and 3 videos"):
        compare([1, 0], [1, 0, 1], seed=0)
    with pytest.raises(ValueError, match="no videos"):
        compare([], [], seed=0)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 0.25, 1])), min_size=1, max_size=30))
def test_turned_round_a_comparison_says_the_opposite(pairs):
    a, b = np.array(pairs).T
    one, other = compare(a, b, seed=1), compare(b, a, seed=1)
    assert one.difference == pytest.approx(-other.difference)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert (one.ahead, one.behind) == (other.behind, other.ahead)
    assert one.p_value == other.p_value
    assert one.interval[0] <= one.difference + 1e-12
    assert one.difference <= one.interval[1] + 1e-12
