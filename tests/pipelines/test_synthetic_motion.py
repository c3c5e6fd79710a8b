"""Movements of the synthetic set: what distinguishes them, measured on their tracks."""

import numpy as np
import pytest

from pipelines.synthetic_motion import MOVES, Habits, draw_habits, track
from pipelines.synthetic_plan import ACTIONS, DISTRACTORS

HABITS = Habits(size=40, angle=0.5, direction=1, period=1.0, unsteadiness=0.0)


def test_circles_turn_as_named_on_the_screen():
    for kind, sign in (("circle_cw", 1), ("circle_ccw", -1), ("slow_circle_cw", 1)):
        moves = track(kind, 30, HABITS, np.random.default_rng(0))
        x, y = moves.x - moves.x.mean(), moves.y - moves.y.mean()
        turned = x[:-1] * y[1:] - y[:-1] * x[1:]  # positive is clockwise where y points down
        assert (sign * turned > 0).all()


def test_actions_repeat_after_their_period_and_lures_later():
    for kind in ACTIONS:
        moves = track(kind, 40, HABITS, np.random.default_rng(1))
        for values in (moves.x, moves.y, moves.size, np.cos(moves.angle)):
            np.testing.assert_allclose(values[:-15], values[15:], atol=1e-6)
        slow = track(f"slow_{kind}", 40, HABITS, np.random.default_rng(1))
        state = np.stack([slow.x, slow.y, slow.size, np.cos(slow.angle)])
        assert np.abs(state[:, :-15] - state[:, 15:]).max() > 0.2


def test_bounce_is_vertical_and_zigzag_mostly_sideways():
    bounce = track("bounce", 30, HABITS, np.random.default_rng(2))
    assert np.ptp(bounce.x) == 0
    assert np.ptp(bounce.y) > 30
    zigzag = track("zigzag", 30, HABITS, np.random.default_rng(2))
    assert np.ptp(zigzag.x) > 3 * np.ptp(zigzag.y)


def test_a_pan_moves_object_and_background_alike():
    moves = track("pan", 30, HABITS, np.random.default_rng(3))
    np.testing.assert_allclose(np.diff(moves.x), -np.diff(moves.camera_x))
    assert np.hypot(np.diff(moves.camera_x), np.diff(moves.camera_y)).min() > 1.5


@pytest.mark.parametrize("kind", ACTIONS + DISTRACTORS)
def test_every_kind_fills_its_track_and_is_repeatable(kind):
    habits = draw_habits(np.random.default_rng(9))
    first, second = (track(kind, 31, habits, np.random.default_rng(4)) for _ in range(2))
    for name, values in vars(first).items():
        assert values.shape == (31,), name
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values, getattr(second, name))


def test_every_kind_is_known():
    assert set(MOVES) == {kind.removeprefix("slow_") for kind in ACTIONS + DISTRACTORS}


def test_place_and_size_in_one_still_hardly_tell_the_action():
    """The 25 nearest neighbours among known stills are right in less than half of all cases."""

    def stills(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        states = []
        for number in range(len(ACTIONS) * count):
            rng = np.random.default_rng([seed, number])
            moves = track(ACTIONS[number // count], 20, draw_habits(rng), rng)
            states.append((moves.x[-1] / 10, moves.y[-1] / 10, moves.size[-1] / 8))
        return np.array(states), np.repeat(np.arange(len(ACTIONS)), count)

    (known, labels), (asked, truth) = stills(1, 200), stills(2, 60)
    distances = ((asked[:, None] - known[None]) ** 2).sum(axis=-1)
    nearest = labels[np.argsort(distances, axis=1)[:, :25]]
    guesses = np.array([np.bincount(row, minlength=len(ACTIONS)).argmax() for row in nearest])
    assert np.mean(guesses == truth) < 0.45
