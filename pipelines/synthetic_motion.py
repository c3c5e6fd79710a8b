"""How the object and the camera move in each kind of segment of the synthetic set.

Actions have a period of 0.8-1.2 s and cross a third of the picture, so one clip of a second shows a whole
cycle. Lures do a part of it at a third of the speed. Camera pans and rushes are as fast as any action.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.synthetic_plan import FPS, HEIGHT, WIDTH


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


@dataclass(frozen=True)
class Habits:
    """What a video keeps in all its segments: the object's diameter (pixels), its angle when at rest
    (radians), a direction (-1 or 1), a period factor and how shaky the camera is (pixels)."""

    size: float
    angle: float
    direction: int
    tempo: float
    shake: float


def draw_habits(rng: np.random.Generator) -> Habits:
    """Habits of one video."""
    return Habits(
        size=rng.uniform(36, 52),
        angle=rng.uniform(0, 2 * np.pi),
        direction=int(rng.choice((-1, 1))),
        tempo=rng.uniform(0.8, 1.2),
        shake=rng.choice((0.0, 1.0, 2.0)),
    )


def track(kind: str, frames: int, habits: Habits, rng: np.random.Generator) -> Track:
    """The movement of one segment of `frames` pictures."""
    still = np.zeros(frames)
    result = Track(
        x=still + rng.uniform(-10, 10),
        y=still + rng.uniform(-6, 6),
        size=still + habits.size * rng.uniform(0.9, 1.1),
        angle=still + habits.angle + rng.uniform(-0.4, 0.4),
        camera_x=rng.uniform(0, 400) + habits.shake * _wander(frames, rng),
        camera_y=rng.uniform(0, 400) + habits.shake * _wander(frames, rng),
        light=still + 1.0,
    )
    MOVES[kind](result, np.arange(frames) / FPS, habits, rng)
    return result


def _wander(frames: int, rng: np.random.Generator, seconds: float = 0.6) -> np.ndarray:
    """Smooth random movement of about unit size, `[frames]`."""
    width = max(1, round(seconds * FPS))
    steps = rng.normal(size=frames + 2 * width)
    window = np.hanning(width + 2)
    return np.convolve(steps, window / np.sqrt((window**2).sum()), mode="same")[width : width + frames]


def _triangle(cycles: np.ndarray) -> np.ndarray:
    """A triangle wave of period 1 within [-1, 1]."""
    return 1 - 4 * np.abs(cycles - np.floor(cycles) - 0.5)


def _cycles(t: np.ndarray, period: float, rng: np.random.Generator) -> np.ndarray:
    return t / period + rng.random()


def _circle(turn: int, slower: float = 1.0, radius: tuple[float, float] = (19, 25)):
    def move(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
        phase = 2 * np.pi * turn * _cycles(t, slower * habits.tempo, rng)
        r = rng.uniform(*radius)
        track.x += r * np.cos(phase)
        track.y += r * np.sin(phase)

    return move


def _bounce(height: tuple[float, float], slower: float = 1.0):
    def move(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
        u = _cycles(t, slower * habits.tempo, rng) % 1.0
        track.y += rng.uniform(*height) * (0.5 - 4 * u * (1 - u))

    return move


def _sideways(width: tuple[float, float], slower: float = 1.0, rise: float = 5.0):
    def move(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
        cycles = _cycles(t, slower * habits.tempo, rng)
        track.x += rng.uniform(*width) * _triangle(cycles)
        track.y += rise * _triangle(2 * cycles)

    return move


def _pulse(depth: tuple[float, float], slower: float = 1.0):
    def move(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
        cycles = _cycles(t, slower * habits.tempo, rng)
        track.size *= 1 + rng.uniform(*depth) * np.sin(2 * np.pi * cycles)

    return move


def _spin(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.angle += 2 * np.pi * habits.direction * _cycles(t, habits.tempo, rng)


def _tilt(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.angle += rng.uniform(0.8, 1.2) * _triangle(_cycles(t, 3.0 * habits.tempo, rng))


def _still(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.size[:] = 0


def _rest(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.x += rng.uniform(-30, 30)


def _pan(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    """The whole picture moves, the object with it."""
    speed, way = rng.uniform(30, 90), rng.uniform(0, 2 * np.pi)
    moved_x, moved_y = speed * np.cos(way) * t, speed * np.sin(way) * t
    track.camera_x += moved_x
    track.camera_y += moved_y
    track.x -= moved_x - moved_x[-1] / 2
    track.y -= moved_y - moved_y[-1] / 2


def _handheld(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    for camera, place in ((track.camera_x, track.x), (track.camera_y, track.y)):
        shake = 6 * _wander(len(t), rng, 1.0)
        camera += shake
        place -= shake


def _rush(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    """Crossings at full speed, always the same way, with pauses outside the picture."""
    speed = habits.direction * rng.uniform(110, 170)
    every = 1.4 * WIDTH + rng.uniform(60, 160)
    track.x[:] = (speed * t + rng.uniform(0, every)) % every - 0.7 * WIDTH
    track.y += rng.uniform(-0.1, 0.1) * HEIGHT


def _tremble(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    track.x += rng.normal(0, 1.5, len(t))
    track.y += rng.normal(0, 1.5, len(t))


def _fade(track: Track, t: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
    """To black or out of it."""
    light = np.linspace(0.05, 1.0, len(t))
    track.light[:] = light if rng.random() < 0.5 else light[::-1]


MOVES = {
    "circle_cw": _circle(1),  # y points down, so a growing angle turns clockwise
    "circle_ccw": _circle(-1),
    "bounce": _bounce((38, 52)),
    "zigzag": _sideways((22, 30)),
    "grow": _pulse((0.38, 0.46)),
    "spin": _spin,
    "arc_cw": _circle(1, 3.0),
    "arc_ccw": _circle(-1, 3.0),
    "hop": _bounce((14, 20), 1.6),
    "sway": _sideways((14, 20), 3.0),
    "breathe": _pulse((0.25, 0.32), 3.0),
    "tilt": _tilt,
    "still": _still,
    "rest": _rest,
    "pan": _pan,
    "handheld": _handheld,
    "rush": _rush,
    "tremble": _tremble,
    "fade": _fade,
}
