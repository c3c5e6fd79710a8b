"""The sound of the synthetic set."""

import numpy as np
import pytest

from pipelines.synthetic_plan import FPS, Segment, VideoPlan
from pipelines.synthetic_sound import RATE, SOUNDS, render_sound


def plan_of(*sounds: str, frames: int = 45) -> VideoPlan:
    segments = [Segment(frames * i, frames, "rest", sound, -20.0, i) for i, sound in enumerate(sounds)]
    return VideoPlan(0, "spin", "train", "h264", False, True, (1, 1), tuple(segments))


def test_as_long_as_the_pictures_and_within_range():
    track = render_sound(plan_of("hum", "spin", "beeps", frames=12))
    assert track.shape == (36 * RATE // FPS,)
    assert track.dtype == np.float32
    assert np.abs(track).max() <= 1


@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_has_its_loudness(name):
    sound = render_sound(plan_of(name))
    level = 20 * np.log10(np.sqrt(np.mean(sound**2)))
    assert level == pytest.approx(-20, abs=0.7)
