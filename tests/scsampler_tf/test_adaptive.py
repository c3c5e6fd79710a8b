import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from scsampler_tf import adaptive
from scsampler_tf.adaptive import Stopping, running_margins, stopped, tuned, used_clips
from tests.scsampler_tf.graphs import servable

NAN = float("nan")


def two_classes(*rows):
    """Probabilities `[V, K, 2]` from rows of the first class'; None is a clip that is not there."""
    there = np.array([[value is not None for value in row] for row in rows])
    first = np.array([[NAN if value is None else value for value in row] for row in rows], "float32")
    return np.stack([first, 1 - first], axis=2), there


def needed(rows, margin, least=1):
    return np.asarray(stopped(*two_classes(*rows), Stopping(margin, least))).tolist()


def example(seed):
    """Probabilities in eighths, so that sums are exact; clips that are there in any pattern; labels."""
    generator = np.random.default_rng(seed)
    videos, clips, classes = generator.integers(1, 5), generator.integers(1, 9), generator.integers(1, 4)
    probs = generator.integers(0, 9, (videos, clips, classes)).astype("float32") / 8
    there = generator.random((videos, clips)) < generator.choice([0.5, 1.0])
    return probs, there, generator.integers(0, classes, videos)


def brute_stopped(probs, there, margin, least):
    """From the words: classify one clip after the other, look at the mean, stop when it is confident."""
    seen = []
    for row, present in zip(probs, there, strict=True):
        if not present:
            continue
        seen.append(row)
        second, best = sorted([0.0, *np.mean(seen, axis=0, dtype="float32")])[-2:]
        if len(seen) >= least and np.float32(best) - np.float32(second) >= np.float32(margin):
            break
    return len(seen)


def test_margins_of_the_running_mean():
    probs, there = two_classes([0.75, 0.5, 0.25, 0.5], [None, 1.0, None, 0.5])
    expected = [[0.5, 0.25, 0.0, 0.0], [0.0, 1.0, 1.0, 0.5]]
    np.testing.assert_allclose(running_margins(probs, there), expected, atol=1e-6)


def test_margins_of_one_class_and_of_a_shared_first_place():
    ones = np.ones((1, 2, 1), "float32")
    np.testing.assert_array_equal(running_margins(ones, [[True, True]]), [[1, 1]])
    shared = np.array([[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]], "float32")
    np.testing.assert_array_equal(running_margins(shared, [[True, True]]), [[0, 0.25]])


def test_stops_at_the_first_confident_clip():
    rows = ([0.75, 1.0, 1.0], [0.5, 0.5, 0.5], [0.875, 0.0, 0.0])
    assert needed(rows, 0.5) == [1, 3, 1]
    assert needed(rows, 0.6) == [2, 3, 1]  # means 0.75, 0.875: margins 0.5, 0.75
    assert needed(rows, 0.6, least=2) == [2, 3, 3]
    assert needed(rows, 1.0) == [3, 3, 3]
    assert needed(rows, 0.0) == [1, 1, 1]
    assert needed(rows, 0.0, least=2) == [2, 2, 2]
    assert needed(rows, 0.0, least=9) == [3, 3, 3]


def test_clips_that_are_not_there_are_not_counted():
    rows = ([None, 0.5, None, 1.0], [1.0, None, None, None], [None] * 4)
    assert needed(rows, 0.5) == [2, 1, 0]
    assert needed(rows, 0.5, least=2) == [2, 1, 0]
    used = used_clips(two_classes(*rows)[1], [1, 5, 0])
    np.testing.assert_array_equal(
        used, [[False, True, False, False], [True, False, False, False], [False] * 4]
    )


def test_a_mean_that_is_no_number_never_is_confident():
    assert np.asarray(stopped(np.full((1, 3, 2), NAN), np.ones((1, 3), bool), Stopping(0.1))) == [3]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    margin=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]),
    least=st.integers(1, 4),
)
def test_stopping_equals_its_words(seed, margin, least):
    probs, there, _ = example(seed)
    found = np.asarray(stopped(probs, there, Stopping(margin, least)))
    assert found.dtype == np.int32
    expected = [brute_stopped(*video, margin, least) for video in zip(probs, there, strict=True)]
    np.testing.assert_array_equal(found, expected)
    used = np.asarray(used_clips(there, found))
    np.testing.assert_array_equal(used.sum(1), found)
    assert not (used & ~there).any()
    # Neither padding nor what would come after the stop changes it.
    padding = [[1, 1], [0, 3]]
    padded = np.pad(probs, [*padding, [0, 0]], constant_values=NAN), np.pad(there, padding)
    np.testing.assert_array_equal(stopped(*padded, Stopping(margin, least)), [0, *found, 0])
    last = probs.shape[1] - 1
    shorter = np.asarray(stopped(probs[:, :last], there[:, :last], Stopping(margin, least)))
    np.testing.assert_array_equal(shorter, np.minimum(found, there[:, :last].sum(1)))


def test_wrong_rules_are_refused():
    for margin in (-0.1, 1.1, NAN):
        with pytest.raises(ValueError, match="margin is"):
            Stopping(margin)
    with pytest.raises(ValueError, match="least is 0"):
        Stopping(0.5, 0)


# Right by its first clip; right only by all three; right by two; always wrong.
ROWS = ([0.903, 0.9, 0.9], [0.4, 0.5, 0.8], [0.446, 0.7, 0.6], [0.097, 0.2, 0.3])
LABELS = [0, 0, 0, 0]


def test_tuning_by_hand():
    """Margins: video 1: 0.806; 2: 0.2, 0.1, 0.13; 3: 0.108, 0.146, 0.164; 4: 0.806, 0.703, 0.602."""
    probs, there = two_classes(*ROWS)
    found = tuned(probs, there, LABELS, tolerance=0.0)
    # Above 0.2 videos 2 and 3 go on to their end; up to 0.8 videos 1 and 4 stop at once.
    assert found == adaptive.Tuned(Stopping(0.8), 0.75, (1 + 3 + 3 + 1) / 4, 0.75, 3.0)
    # One video of four may be lost: 0.14 stops video 2 at once (wrong), video 3 after two (right).
    found = tuned(probs, there, LABELS, tolerance=0.25)
    assert found == adaptive.Tuned(Stopping(0.14), 0.5, (1 + 1 + 2 + 1) / 4, 0.75, 3.0)
    found = tuned(probs, there, LABELS, tolerance=0.5)
    assert (found.rule.margin, found.accuracy, found.clips_per_video) == (0.1, 0.25, 1.0)
    # With two clips at least the second video is lost unless it goes on.
    found = tuned(probs, there, LABELS, tolerance=0.0, least=2, margins=(0.05, 0.5))
    assert found == adaptive.Tuned(Stopping(0.5, 2), 0.75, (2 + 3 + 3 + 2) / 4, 0.75, 3.0)


def test_where_nothing_is_saved_there_is_no_rule():
    probs, there = two_classes([0.4, 0.8], [0.45, 0.7])
    found = tuned(probs, there, [0, 0], tolerance=0.0)
    assert found == adaptive.Tuned(None, 1.0, 2.0, 1.0, 2.0)
    assert tuned(probs, there, [0, 0], tolerance=1.0).clips_per_video == 1
    assert tuned(probs[:, :1], there[:, :1], [0, 0], tolerance=1.0).rule is None


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), tolerance=st.sampled_from([0.0, 0.2, 1.0]), least=st.integers(1, 3))
def test_tuning_equals_trying_every_margin(seed, tolerance, least):
    probs, there, labels = example(seed)
    margins = (0.0, 0.1, 0.3, 0.6, 1.0)

    def outcome(margin):
        rights, clips = [], []
        for rows, present, label in zip(probs, there, labels, strict=True):
            count = sum(present) if margin is None else brute_stopped(rows, present, margin, least)
            total = rows[np.flatnonzero(present)[:count]].sum(axis=0)
            rights.append(bool(total.sum() > 0 and total.argmax() == label))
            clips.append(count)
        return np.mean(clips), -np.mean(rights)

    full = outcome(None)
    kept = [(*outcome(m), -m) for m in margins if -outcome(m)[1] >= -full[1] - tolerance - 1e-9]
    best = min((each for each in kept if each[0] < full[0]), default=None)
    found = tuned(probs, there, labels, tolerance=tolerance, least=least, margins=margins)
    assert (found.full_clips_per_video, -found.full_accuracy) == pytest.approx(full)
    if best is None:
        assert found.rule is None
    else:
        assert found.rule == Stopping(-best[2], least)
        assert (found.clips_per_video, -found.accuracy) == pytest.approx(best[:2])


def test_tuning_refuses_no_videos_and_other_tolerances():
    probs, there = two_classes(*ROWS)
    with pytest.raises(ValueError, match="no videos"):
        tuned(probs[:0], there[:0], [], tolerance=0.0)
    for tolerance in (-0.1, 1.1, NAN):
        with pytest.raises(ValueError, match="tolerance is"):
            tuned(probs, there, LABELS, tolerance=tolerance)


def confident(probs, there):
    count = stopped(probs, there, Stopping(0.4, 2))
    return count, used_clips(there, count)


def test_the_same_inside_a_graph_with_unknown_sizes_and_in_a_model(tmp_path):
    signature = [tf.TensorSpec([None, None, None]), tf.TensorSpec([None, None], tf.bool)]
    traced = servable(confident, signature, tmp_path)
    entry = [keras.Input((None, 3)), keras.Input((None,), dtype="bool")]
    model = keras.Model(entry, confident(*entry))
    generator = np.random.default_rng(0)
    for videos, clips in [(4, 9), (2, 1), (2, 0), (0, 4)]:
        probs = generator.dirichlet(np.ones(3), (videos, clips)).astype("float32")
        there = generator.random((videos, clips)) < 0.8
        eager = confident(probs, there)
        for other in (traced(probs, there), model([probs, there])):
            for one, wanted in zip(other, eager, strict=True):
                np.testing.assert_array_equal(one, wanted)


def test_a_tuned_margin_is_never_the_0_that_settings_read_as_off():
    """The first clip alone is right everywhere, so the smallest margin does."""
    probs = np.tile(np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]), (4, 1, 1))
    found = tuned(probs, np.ones((4, 3), bool), np.zeros(4, int), tolerance=0.0)
    assert found.clips_per_video == 1
    assert found.rule.margin > 0
