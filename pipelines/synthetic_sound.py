"""The sound of the synthetic set: each action has one of its own, everything else shares a few others."""

import numpy as np

from pipelines.synthetic_plan import FPS, Segment, VideoPlan

RATE = 16_000
ROOM_DB = -50.0  # a quiet noise under everything


def render_sound(plan: VideoPlan) -> np.ndarray:
    """The whole track, `[samples]` float32 within [-1, 1], as long as the pictures."""
    rng = np.random.default_rng([*plan.seed, 4])
    pitch, period = rng.uniform(300, 900), rng.uniform(0.8, 1.2)
    parts = []
    for segment in plan.segments:
        start, stop = (round(frame * RATE / FPS) for frame in (segment.start, segment.stop))
        chance = np.random.default_rng([*plan.seed, 5, segment.seed])
        parts.append(segment_sound(segment, stop - start, pitch, period, chance))
    track = np.concatenate(parts)
    track += 10 ** (ROOM_DB / 20) * rng.normal(size=len(track))
    return np.clip(track, -1, 1).astype(np.float32)


def segment_sound(
    segment: Segment, samples: int, pitch: float, period: float, rng: np.random.Generator
) -> np.ndarray:
    """One segment's sound, `[samples]` float64, at its loudness (root mean square, dB of full scale)."""
    t = np.arange(samples) / RATE
    sound = SOUNDS[segment.sound](t, pitch, period, rng)
    sound = sound / max(np.sqrt(np.mean(sound**2)), 1e-9) * 10 ** (segment.loudness_db / 20)
    ramp = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (0.01 * RATE))
    return sound * ramp  # no clicks at the seams


def _tone(frequency: np.ndarray | float, t: np.ndarray) -> np.ndarray:
    """A sine with a little of its octave, of constant or changing frequency in Hz."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(frequency, t.shape)) / RATE
    return np.sin(phase) + 0.3 * np.sin(2 * phase)


def _sweep(way: int):
    def sound(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
        u = (t / period + rng.random()) % 1.0
        return _tone(pitch * 2.0 ** (way * (2 * u - 1)), t)

    return sound


def _ticks(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    age = (t + rng.random() * period) % (period / 2)
    return np.exp(-age / 0.03) * (_tone(pitch, t) + rng.normal(size=len(t)))


def _two_tone(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    high = (t / period + rng.random()) % 1.0 < 0.5
    return _tone(np.where(high, 1.5 * pitch, pitch), t)


def _swell(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    return (1 + np.sin(2 * np.pi * (t / period + rng.random()))) * _tone(pitch, t)


def _flutter(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    return (np.sin(2 * np.pi * 9 * t / period) > 0) * rng.normal(size=len(t))


def _hum(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    base = rng.uniform(50, 120)
    return sum(_tone(base * k, t) / k for k in (1, 2, 3))


def _noise(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.normal(size=len(t)))
    return np.fft.irfft(spectrum / np.sqrt(1 + np.arange(len(spectrum))), len(t))


def _beeps(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    sound = np.zeros(len(t))
    for start in np.sort(rng.uniform(0, t[-1], max(2, int(1.5 * t[-1])))):
        on = (t >= start) & (t < start + rng.uniform(0.05, 0.25))
        sound[on] = _tone(rng.uniform(200, 3000), t[on])
    return sound


def _melody(t: np.ndarray, pitch: float, period: float, rng: np.random.Generator) -> np.ndarray:
    length = rng.uniform(0.2, 0.35)
    note = (t / length).astype(int)
    scale = rng.choice((0, 2, 4, 5, 7, 9, 11, 12), note[-1] + 1)
    return np.exp(-2 * (t % length) / length) * _tone(pitch / 2 * 2.0 ** (scale[note] / 12), t)


SOUNDS = {
    "circle_cw": _sweep(1),
    "circle_ccw": _sweep(-1),
    "bounce": _ticks,
    "zigzag": _two_tone,
    "grow": _swell,
    "spin": _flutter,
    "hum": _hum,
    "noise": _noise,
    "beeps": _beeps,
    "melody": _melody,
}
