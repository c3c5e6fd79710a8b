"""Log-mel by TensorFlow, for the features that samplers are trained on: `tfio.audio`, compiled."""

import functools
import warnings

import numpy as np
import tensorflow as tf

from pipelines.log_mel import LOG_OFFSET, LOWEST_HZ, MelPlan
from pipelines.settings import MEL_BINS

with warnings.catch_warnings():
    # Its shared objects load under one TensorFlow release only; the audio functions used here are pure.
    warnings.simplefilter("ignore")
    import tensorflow_io as tfio


def log_mel(samples: tf.Tensor, plan: MelPlan) -> tf.Tensor:
    """Samples `[..., n]` in [-1, 1] -> natural log of mel magnitude + 0.01, `[..., t, 40]`.

    There are as many hops t as have their whole analysis window within the samples.
    """
    spectrum = tfio.audio.spectrogram(samples, nfft=plan.fft_length, window=plan.window, stride=plan.hop)
    hops = (samples.shape[-1] - plan.window) // plan.hop + 1
    spectrum = spectrum[..., :hops, :]  # what follows are windows that reach beyond the samples
    mel = tfio.audio.melscale(spectrum, rate=plan.rate, mels=MEL_BINS, fmin=LOWEST_HZ, fmax=plan.highest_hz)
    return tf.math.log(mel + LOG_OFFSET)


def transform(samples: np.ndarray, plan: MelPlan) -> np.ndarray:
    """Blocks of samples `[n, plan.block]` float32 -> their log-mel `[n, 100, 40]` float32."""
    return _compiled(plan)(samples).numpy()


@functools.lru_cache(maxsize=8)  # of videos with rates of their own there may be many
def _compiled(plan: MelPlan):
    signature = [tf.TensorSpec([None, plan.block], tf.float32)]
    return tf.function(lambda samples: log_mel(samples, plan), input_signature=signature)
