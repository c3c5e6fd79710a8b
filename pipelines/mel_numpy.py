"""Log-mel by numpy, for those that ask a server and load no TensorFlow.

Equal to `mel_tensorflow` to 1e-5 where all bands sound; where one tone leaves bands nearly empty, to 2e-3 at
24 pictures a second and more, less than a step of the float16 in which log-mels travel.
"""

import functools

import numpy as np

from pipelines.log_mel import LOG_OFFSET, LOWEST_HZ, MelPlan
from pipelines.settings import MEL_BINS


def transform(samples: np.ndarray, plan: MelPlan) -> np.ndarray:
    """Samples `[..., n]` float32 -> natural log of mel magnitude + 0.01, `[..., t, 40]` float32.

    There are as many hops t as have their whole analysis window within the samples.
    """
    windows = np.lib.stride_tricks.sliding_window_view(samples, plan.window, axis=-1)[..., :: plan.hop, :]
    spectrum = np.abs(np.fft.rfft(windows * _hann(plan.window), plan.fft_length))
    return np.log(spectrum.astype(np.float32) @ _mel_matrix(plan) + np.float32(LOG_OFFSET))


@functools.lru_cache(maxsize=8)
def _hann(window: int) -> np.ndarray:
    """`[window]` float32; as in `tf.signal` periodic where its length is even, symmetric where it is odd."""
    period = max(window - window % 2, 1)
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / period)).astype(np.float32)


@functools.lru_cache(maxsize=8)  # of videos with rates of their own there may be many
def _mel_matrix(plan: MelPlan) -> np.ndarray:
    """`[fft_length / 2 + 1, 40]` float32: triangles over mel; the constant counts nowhere."""
    edges = np.linspace(_mel(LOWEST_HZ), _mel(plan.highest_hz), MEL_BINS + 2)
    bins = _mel(np.arange(plan.fft_length // 2 + 1) * plan.rate / plan.fft_length)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    matrix = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
    matrix[0] = 0
    return np.maximum(matrix, 0).astype(np.float32)


def _mel(hertz):
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)
