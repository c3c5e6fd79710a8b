import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import mel_numpy
from pipelines.log_mel import LOG_OFFSET, MelPlan, MelTrack, mel_plan
from pipelines.mel_tensorflow import log_mel
from tests import media

FLOOR = math.log(LOG_OFFSET)
PLANS = [(8, 2), (16, 1), (1, 1), (32, 4)]
RATES = [15, 24000 / 1001, 25, 30000 / 1001, 30, 60]


class Sound:
    """Stands for a SoundReader: samples `[n]` from second 0 on, and which stretches were asked for."""

    def __init__(self, samples):
        self.samples = samples
        self.asked = []

    def window(self, first, count):
        self.asked.append((first, first + count))
        numbers = np.arange(first, first + count)
        there = (numbers >= 0) & (numbers < len(self.samples))
        return np.where(there, self.samples[np.clip(numbers, 0, len(self.samples) - 1)], 0), there


def noise(count):
    return np.random.default_rng(0).uniform(-1, 1, count).astype(np.float32)


def regular(count, clip_s):
    return [(clip * clip_s, (clip + 1) * clip_s) for clip in range(count)]


def by_tf_signal(samples, plan):
    """Log-mel `[40, 200]` of samples that 200 analysis windows cover, the way the paper's numbers say."""
    length = 2 ** math.ceil(math.log2(plan.window))
    spectrum = tf.abs(tf.signal.stft(samples, plan.window, plan.hop, length))
    matrix = tf.signal.linear_to_mel_weight_matrix(40, length // 2 + 1, plan.rate, 125.0, 7500.0)
    return tf.transpose(tf.math.log(spectrum @ matrix + 0.01)).numpy()


@pytest.mark.parametrize(("frames", "step"), PLANS)
@pytest.mark.parametrize("fps", RATES)
def test_two_hundred_hops_span_two_clips(frames, step, fps):
    clip_s = frames * step / fps
    plan = mel_plan(clip_s)
    assert 200 * plan.hop / plan.rate == pytest.approx(2 * clip_s, rel=1e-4)
    if clip_s > 0.1:
        assert 15_000 < plan.rate < 17_000
    # the middles of the 200 hops lie evenly around the middle of the clip
    first = plan.first_hop(7 * clip_s, 8 * clip_s)
    assert (first + 100) * plan.hop / plan.rate == pytest.approx(7.5 * clip_s, abs=0.5 * plan.hop / plan.rate)
    # and an analysis window around the middle of its hop
    assert plan.window / 2 - plan.lead == pytest.approx(plan.hop / 2, abs=0.5)


@settings(deadline=None)
@given(
    fps=st.sampled_from([23.976, 24000 / 1001, 25, 29.97, 30000 / 1001, 59.94, 7.5]) | st.floats(1, 120),
    span=st.integers(1, 64),
    clip=st.integers(0, 100_000),
)
def test_a_clip_is_never_more_than_half_a_hop_away_from_its_sound(fps, span, clip):
    plan = mel_plan(span / fps)
    first = plan.first_hop(clip * span / fps, (clip + 1) * span / fps)
    middle = (clip + 0.5) * span / fps * plan.rate
    assert abs((first + 100) * plan.hop - middle) <= 0.5 * plan.hop + 1e-3


@pytest.mark.parametrize("fps", [10, 12.5, 15, 24, 25, 30, 50, 60])
def test_usual_rates_have_the_hops_of_their_clips(fps):
    plan = mel_plan(16 / fps)
    assert plan.rate * 16 == 100 * plan.hop * fps
    firsts = [plan.first_hop(*time) for time in regular(5000, 16 / fps)]
    assert firsts == [100 * clip - 50 for clip in range(5000)]


@pytest.mark.parametrize(("frames", "step"), [(8, 2), (16, 1)])
@pytest.mark.parametrize("fps", [*RATES[:5], 23.976, 29.97, 0.5])
def test_the_shape_is_exact_at_every_frame_rate(frames, step, fps):
    clip_s = frames * step / fps
    plan = mel_plan(clip_s)
    for mel in MelTrack(Sound(noise(round(3 * clip_s * plan.rate))), plan).clips(regular(3, clip_s)):
        assert (mel.shape, mel.dtype) == ((40, 200), np.float16)
    assert log_mel(tf.zeros([2, 3, plan.block]), plan).shape == (2, 3, 100, 40)


@pytest.mark.parametrize("fps", [15, 25, 30000 / 1001])
def test_a_clip_equals_tf_signal_on_its_own_samples(fps):
    plan = mel_plan(16 / fps)
    samples = noise(6 * 100 * plan.hop)
    padded = np.pad(samples, 200 * plan.hop)
    track = MelTrack(Sound(samples), plan)
    mels = track.clips(regular(6, 16 / fps))
    for clip, mel in enumerate(mels):
        first = (100 * clip - 50 + 200) * plan.hop - plan.lead
        own = padded[first : first + 199 * plan.hop + plan.window]
        hops = track._gathered(track._mels, 100 * clip - 50).T
        np.testing.assert_allclose(hops, by_tf_signal(own, plan), atol=1e-5)
        np.testing.assert_array_equal(mel, hops.astype(np.float16))


def mel_of_one_window(samples, rate):
    """40 bands of one window, straight from the definitions: Hann, magnitude, HTK mel triangles."""
    length = 2 ** math.ceil(math.log2(len(samples)))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(samples)) / len(samples))
    spectrum = np.abs(np.fft.rfft(samples * hann, length))

    def mel(hertz):
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    edges = np.linspace(mel(125), mel(7500), 42)
    bins = mel(np.arange(length // 2 + 1) * rate / length)
    bands = []
    for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
        weights = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
        bands.append(np.maximum(weights, 0)[1:] @ spectrum[1:])
    return np.log(np.array(bands) + 0.01)


def test_one_window_worked_out_by_numpy():
    plan = mel_plan(0.64)
    samples = noise(plan.block)
    mel = log_mel(samples, plan).numpy()
    for hop in (0, 57, 99):
        window = samples[hop * plan.hop :][: plan.window].astype(float)
        np.testing.assert_allclose(mel[hop], mel_of_one_window(window, plan.rate), atol=2e-4)


@pytest.mark.parametrize("fps", [*RATES, 7.5, 0.5])
def test_numpy_makes_the_same_as_tensorflow(fps):
    plan = mel_plan(16 / fps)
    samples = noise(3 * plan.block).reshape(3, plan.block) * np.float32([[1], [0.01], [0]])
    made = mel_numpy.transform(samples, plan)
    assert (made.shape, made.dtype) == ((3, 100, 40), np.float32)
    np.testing.assert_allclose(made, log_mel(samples, plan).numpy(), atol=1e-5)


@pytest.mark.parametrize("fps", RATES)
def test_numpy_and_tensorflow_differ_by_less_than_a_step_of_float16_for_a_tone(fps):
    plan = mel_plan(16 / fps)
    samples = media.tone(2 * plan.block / plan.rate, 1000, plan.rate)[None, : plan.block].astype(np.float32)
    made, expected = mel_numpy.transform(samples, plan), log_mel(samples, plan).numpy()
    step = np.abs(np.spacing(expected.astype(np.float16))).astype(np.float32)
    assert (np.abs(made - expected) < step).all()


@pytest.mark.parametrize("window", [399, 400])
def test_numpys_window_of_odd_and_even_length(window):
    np.testing.assert_allclose(mel_numpy._hann(window), tf.signal.hann_window(window).numpy(), atol=1e-6)


def test_a_tone_lights_its_band():
    plan = mel_plan(0.64)
    mel = log_mel(media.tone(3, 1000, plan.rate)[: plan.block], plan).numpy()
    centres = np.linspace(math.log1p(125 / 700), math.log1p(7500 / 700), 42)[1:-1]
    band = int(np.abs(centres - math.log1p(1000 / 700)).argmin())
    assert set(mel.argmax(axis=1)) == {band}


def test_silence_is_sound_and_the_end_of_the_track_is_none():
    plan = mel_plan(0.5)
    times = regular(6, 0.5)
    silence = np.zeros(round(1.7 * plan.rate), np.float32)  # the clip from 1.5 s on has less than half
    mels = MelTrack(Sound(silence), plan).clips(times)
    assert [mel is None for mel in mels] == [False, False, False, True, True, True]
    for mel in mels[:3]:
        assert (mel.shape, mel.dtype) == ((40, 200), np.float16)
        np.testing.assert_allclose(mel, FLOOR, rtol=1e-3)
    assert MelTrack(Sound(silence), plan).clips(times[4:]) == [None, None]
    # where nothing is known the log of nothing stands, as if silence had been transformed
    assert set(np.unique(mels[0])) == {np.float16(log_mel(tf.zeros([plan.block]), plan)[0, 0])}


@pytest.mark.parametrize("fps", [25, 29.97])
@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_clips_together_or_alone_are_the_same(fps, at_once):
    plan = mel_plan(16 / fps)
    times = regular(7, 16 / fps)
    samples = noise(5 * plan.rate)
    together = MelTrack(Sound(samples), plan).clips(times)
    track = MelTrack(Sound(samples), plan)
    for place in range(0, 7, at_once):
        for expected, mel in zip(together[place:], track.clips(times[place : place + at_once]), strict=False):
            np.testing.assert_allclose(mel, expected, atol=0.01)  # a last digit of float16


def test_every_stretch_is_transformed_once_whatever_the_groups():
    plan = mel_plan(16 / 25)
    sound = Sound(noise(30 * 100 * plan.hop))
    track = MelTrack(sound, plan)
    times = regular(30, 16 / 25)
    for place in range(0, 30, 4):
        track.clips(times[place : place + 4])
    # from half a clip before the first to half a clip behind the last, in clip-long blocks
    assert sound.asked == [
        (block * 100 * plan.hop - plan.lead, block * 100 * plan.hop - plan.lead + plan.block)
        for block in range(-1, 31)
    ]


def test_clips_far_apart_cost_neither_time_nor_memory():
    plan = mel_plan(16 / 25)
    sound = Sound(noise(2 * plan.rate))
    track = MelTrack(sound, plan)
    mels = track.clips([(0, 0.64), (0.64, 7200), (7200, 7200.64), (200_000, 200_000.64)])
    assert [mel is None for mel in mels] == [False, True, True, True]
    assert len(sound.asked) <= 12
    track.clips([(200_000.64, 200_001.28)])
    assert len(track._mels) <= 4


def test_slow_pictures_are_transformed_in_small_parts(monkeypatch):
    plan = mel_plan(16 / 0.5)  # a hop of a third of a second
    assert plan.block > 500_000  # one at a time
    samples = noise(3 * 100 * plan.hop)
    expected = MelTrack(Sound(samples), plan).clips(regular(3, 32))
    monkeypatch.setattr("pipelines.log_mel.SAMPLES_AT_ONCE", 1 << 24)
    for mel, other in zip(MelTrack(Sound(samples), plan).clips(regular(3, 32)), expected, strict=True):
        np.testing.assert_allclose(mel, other, atol=0.01)


def test_plan_of_an_extreme_frame_rate():
    assert mel_plan(1 / 90_000) == MelPlan(rate=9_000_000, hop=1)
