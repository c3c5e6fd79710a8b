"""Log-mel windows for the audio sampler: exactly 40 bands and 200 time steps a clip, at any frame rate."""

import functools
import warnings
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from pipelines.audio import SoundReader
from pipelines.clips import audio_window
from pipelines.settings import MEL_BINS, MEL_FRAMES

with warnings.catch_warnings():
    # Its shared objects load under one TensorFlow release only; the audio functions used here are pure.
    warnings.simplefilter("ignore")
    import tensorflow_io as tfio

NOMINAL_RATE_HZ = 16_000
WINDOW_S = 0.025
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
LOG_OFFSET = 0.01


@dataclass(frozen=True)
class MelPlan:
    """Sample rate and hop that put exactly 200 hops into two clips, close to 16 kHz."""

    rate: int
    hop: int

    @property
    def window(self) -> int:
        """Samples under one analysis window: 25 ms, or a whole hop where hops are longer."""
        return max(round(WINDOW_S * self.rate), self.hop)

    @property
    def samples(self) -> int:
        """Samples that 200 analysis windows cover."""
        return (MEL_FRAMES - 1) * self.hop + self.window

    def first_sample(self, start_s: float, end_s: float) -> int:
        """First sample of a clip's sound, such that the 200 windows are centred around the clip's middle.

        It is taken from the clip's time, so an inexact rate (29.97 fps) never adds up to a drift.
        """
        low, high = audio_window(start_s, end_s)
        middle = (low + high) / 2 * self.rate
        return round(middle - MEL_FRAMES * self.hop / 2 + self.hop / 2 - self.window / 2)


def mel_plan(clip_s: float) -> MelPlan:
    """The plan for clips of `clip_s` seconds (paper, section 3.3.2: 200 samples over twice the clip)."""
    hop = max(1, round(NOMINAL_RATE_HZ * 2 * clip_s / MEL_FRAMES))
    return MelPlan(rate=round(hop * MEL_FRAMES / (2 * clip_s)), hop=hop)


def log_mel(samples: tf.Tensor, plan: MelPlan) -> tf.Tensor:
    """Samples `[..., plan.samples]` in [-1, 1] -> natural log of mel magnitude + 0.01, `[..., 40, 200]`."""
    nfft = 1 << (plan.window - 1).bit_length()
    spectrum = tfio.audio.spectrogram(samples, nfft=nfft, window=plan.window, stride=plan.hop)
    spectrum = spectrum[..., :MEL_FRAMES, :]
    highest = min(HIGHEST_HZ, plan.rate / 2)
    mel = tfio.audio.melscale(spectrum, rate=plan.rate, mels=MEL_BINS, fmin=LOWEST_HZ, fmax=highest)
    return tf.linalg.matrix_transpose(tf.math.log(mel + LOG_OFFSET))


@functools.cache
def _compiled(plan: MelPlan):
    signature = [tf.TensorSpec([None, plan.samples], tf.float32)]
    return tf.function(lambda samples: log_mel(samples, plan), input_signature=signature)


def clip_log_mels(
    reader: SoundReader, plan: MelPlan, times: list[tuple[float, float]]
) -> list[np.ndarray | None]:
    """Log-mel `[40, 200]` float16 of each clip; None where the track does not cover half of the clip.

    `times` are (start, end) in seconds, ascending. Silence is sound: it gives the log-mel floor, not None.
    """
    windows, heard = [], []
    for start_s, end_s in times:
        samples, covered = reader.window(plan.first_sample(start_s, end_s), plan.samples)
        own = covered[plan.samples // 4 : plan.samples * 3 // 4]
        windows.append(samples)
        heard.append(2 * own.sum() >= own.size)
    if not any(heard):
        return [None] * len(times)
    mels = _compiled(plan)(np.stack(windows)).numpy().astype(np.float16)
    return [mel if sound else None for mel, sound in zip(mels, heard, strict=True)]
