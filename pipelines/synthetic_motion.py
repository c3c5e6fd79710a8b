"""How the object and the camera move in each kind of segment of the synthetic set.

Actions have a period of 0.8-1.2 s and cross a third of the picture, so one clip of a second shows a whole
cycle. Camera pans, shaking and rushes are as fast as any action.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.synthetic_plan import ACTIONS, FPS, HEIGHT, WIDTH

SLOWER = (1.5, 2.0)  # periods of a lure, in periods of its action
SWAY_RISE = 5.0  # pixels
# How far the middle of a movement may lie from the picture's, pixels to the side and up or down. What does
# not travel one way may lie anywhere that way, so that a single still tells as little as possible.
PLAY = {"bounce": (24, 5), "zigzag": (5, 24), "circle_cw": (7, 5), "circle_ccw": (7, 5), "grow": (18, 14)}
USUAL_PLAY = (24, 20)


@dataclass
class Track:
    """One value a picture, all `[frames]` float64: the object's centre from the picture's centre (pixels, y
    downwards), its diameter (pixels, 0 for no object), its angle (radians), the camera's place on the
    background (pixels) and the brightness (1 is normal)."""

    x: np.ndarray
    y: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    camera_x: np.ndarray
    camera_y: np.ndarray
    light: np.ndarray

    def move_camera(self, x: np.ndarray, y: np.ndarray) -> None:
        """Moves the camera by `[frames]` pixels; the object, at rest in the world, moves the other way."""
        self.camera_x += x
        self.camera_y += y
        self.x -= x
        self.y -= y


@dataclass(frozen=True)
class Habits:
    """What a video keeps in all its segments: the object's diameter (pixels), its angle at rest (radians),
    a direction (-1 or 1), the actions' period (seconds) and how unsteady the camera is (pixels)."""

    size: float
    angle: float
    direction: int
    period: float
    unsteadiness: float


def draw_habits(rng: np.random.Generator) -> Habits:
    """Habits of one video."""
    return Habits(
        size=rng.uniform(38, 52),
        angle=rng.uniform(0, 2 * np.pi),
        direction=int(rng.choice((-1, 1))),
        period=rng.uniform(0.8, 1.2),
        unsteadiness=float(rng.choice((0.0, 1.0, 2.0))),
    )


def track(kind: str, frames: int, habits: Habits, rng: np.random.Generator) -> Track:
    """The movement of one segment of `frames` pictures."""
    action, still = kind.removeprefix("slow_"), np.zeros(frames)
    play_x, play_y = PLAY.get(action, USUAL_PLAY)
    result = Track(
        x=still + rng.uniform(-play_x, play_x),
        y=still + rng.uniform(-play_y, play_y),
        size=still + habits.size * rng.uniform(0.8, 1.15),
        angle=still + habits.angle + rng.uniform(-0.4, 0.4),
        camera_x=rng.uniform(0, 400) + habits.unsteadiness * _wander(frames, rng, 0.6),
        camera_y=rng.uniform(0, 400) + habits.unsteadiness * _wander(frames, rng, 0.6),
        light=still + 1.0,
    )
    seconds = np.arange(frames) / FPS
    if action in ACTIONS:
        slower = 1.0 if action == kind else rng.uniform(*SLOWER)
        MOVES[action](result, seconds / (slower * habits.period) + rng.random(), habits, rng)
    else:
        MOVES[kind](result, seconds, habits, rng)
    return result


def _wander(frames: int, rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Smooth random movement of about unit size that turns every `seconds`, `[frames]`."""
    width = max(1, round(seconds * FPS))
    window = np.hanning(width + 2)
    smooth = np.convolve(
        rng.normal(size=frames + 2 * width), window / np.sqrt((window**2).sum()), mode="same"
    )
    return smooth[width : width + frames]


def _triangle(cycles: np.ndarray) -> np.ndarray:
    """A triangle wave of period 1 within [-1, 1]."""
    return 1 - 4 * np.abs(cycles - np.floor(cycles) - 0.5)


# Actions: the second argument counts their cycles.


def _circle_cw(track: Track, cycles: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    radius, phase = rng.uniform(22, 27), 2 * np.pi * cycles
    track.x += radius * np.cos(phase)
    track.y += radius * np.sin(phase)  # y points down, so a growing angle turns clockwise


def _circle_ccw(track: Track, cycles: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    _circle_cw(track, -cycles, habits, rng)


def _bounce(track: Track, cycles: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    u = cycles % 1.0
    track.y += rng.uniform(38, 52) * (0.5 - 4 * u * (1 - u))


def _zigzag(track: Track, cycles: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.x += rng.uniform(22, 30) * _triangle(cycles)
    track.y += SWAY_RISE * _triangle(2 * cycles)


def _grow(track: Track, cycles: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.size *= 0.95 + rng.uniform(0.38, 0.46) * np.sin(2 * np.pi * cycles)


def _spin(track: Track, cycles: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.angle += 2 * np.pi * habits.direction * cycles


# The rest: the second argument counts seconds.


def _still(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.size[:] = 0


def _rest(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.x += rng.uniform(-30, 30)


def _pan(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    speed, way = rng.uniform(30, 90), rng.uniform(0, 2 * np.pi)
    moved = speed * (t - t[-1] / 2)
    track.move_camera(np.cos(way) * moved, np.sin(way) * moved)


def _shake(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.move_camera(9 * _wander(len(t), rng, 0.5), 9 * _wander(len(t), rng, 0.5))


def _rush(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    """Crossings at full speed, always the same way, with pauses outside the picture."""
    speed = habits.direction * rng.uniform(110, 170)
    every = 1.4 * WIDTH + rng.uniform(60, 160)
    track.x[:] = (speed * t + rng.uniform(0, every)) % every - 0.7 * WIDTH
    track.y += rng.uniform(-0.1, 0.1) * HEIGHT


def _wander_about(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.x += 7 * _wander(len(t), rng, 0.5)
    track.y += 7 * _wander(len(t), rng, 0.5)


def _fade(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    """To black or out of it."""
    light = np.linspace(0.05, 1.0, len(t))
    track.light[:] = light if rng.random() < 0.5 else light[::-1]


MOVES = {
    "bounce": _bounce,
    "circle_ccw": _circle_ccw,
    "circle_cw": _circle_cw,
    "grow": _grow,
    "spin": _spin,
    "zigzag": _zigzag,
    "pan": _pan,
    "shake": _shake,
    "rush": _rush,
    "wander": _wander_about,
    "fade": _fade,
    "rest": _rest,
    "still": _still,
}
