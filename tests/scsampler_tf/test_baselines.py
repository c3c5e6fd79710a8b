"""The baselines that draw or space clips, and the learned histogram behind one of them."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf import selection
from tests.scsampler_tf.test_selection import NAN, RAGGED, prefix_mask, scores_and_mask


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


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 20))
def test_uniform_equals_its_words(seed, k):
    """The i-th lies at i (L - 1) / (K - 1), in fractions, halves to the later clip."""
    _, mask = scores_and_mask(seed)
    for found, keep in zip(selection.uniform_clips(mask, k), mask, strict=True):
        clips = np.flatnonzero(keep)
        last, steps = len(clips) - 1, min(k, len(clips)) - 1
        places = [Fraction(i * last, steps) + Fraction(1, 2) for i in range(steps + 1)] if steps > 0 else []
        expected = [clips[int(place)] for place in places]
        if steps == 0:
            expected = [clips[last // 2]]
        np.testing.assert_array_equal(found, expected + [-1] * (k - len(expected)))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 20))
def test_drawn_clips_are_different_and_as_many_as_there_are(seed, k):
    _, mask = scores_and_mask(seed)
    histogram = np.random.default_rng(seed).integers(0, 3, 7)
    for found in (
        selection.random_clips(mask, k, seed),
        selection.empirical_clips(histogram, mask, k, seed),
    ):
        for row, keep in zip(found, mask, strict=True):
            count = min(k, int(keep.sum()))
            assert len(set(row[:count].tolist())) == count
            assert keep[row[:count]].all()
            assert (row[count:] == -1).all()


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


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 8), bins=st.integers(1, 9))
def test_fit_empirical_equals_its_words(seed, k, bins):
    """Overlaps of every oracle clip's stretch with every bin, in fractions."""
    scores, mask = scores_and_mask(seed)
    total = [Fraction(0)] * bins
    for row, keep in zip(scores, mask, strict=True):
        clips = row[keep]
        best = sorted(range(len(clips)), key=lambda clip, clips=clips: (-clips[clip], clip))[:k]
        for clip in best:
            start, end = Fraction(clip, len(clips)), Fraction(clip + 1, len(clips))
            for b in range(bins):
                overlap = min(end, Fraction(b + 1, bins)) - max(start, Fraction(b, bins))
                total[b] += max(overlap, Fraction(0)) * len(clips) / len(best)
    histogram = selection.fit_empirical(scores, mask, k, bins)
    if sum(total):
        np.testing.assert_allclose(histogram, [float(each / sum(total)) for each in total], atol=1e-12)


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
    with pytest.raises(ValueError, match="k is 0"):
        selection.fit_empirical(np.zeros((1, 2)), np.ones((1, 2), bool), 0)
