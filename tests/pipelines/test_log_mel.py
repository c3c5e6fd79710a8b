import math
from fractions import Fraction

import av
import numpy as np
import pytest
import tensorflow as tf

from pipelines.compressed import CompressedVideo
from pipelines.log_mel import LOG_OFFSET, MelPlan, clip_log_mels, log_mel, mel_plan
from pipelines.prepare import clips_with_sound
from pipelines.settings import FeatureSettings
from tests import media

FLOOR = math.log(LOG_OFFSET)
PLANS = [(8, 2), (16, 1), (1, 1), (32, 4)]
RATES = [15, 24000 / 1001, 25, 30000 / 1001, 30, 60]


class Sound:
    """Stands for a SoundReader: samples `[n]` from second 0 on."""

    def __init__(self, samples):
        self.samples = samples

    def window(self, first, count):
        numbers = np.arange(first, first + count)
        there = (numbers >= 0) & (numbers < len(self.samples))
        return np.where(there, self.samples[np.clip(numbers, 0, len(self.samples) - 1)], 0), there


def noise(count):
    return np.random.default_rng(0).uniform(-1, 1, count).astype(np.float32)


@pytest.mark.parametrize(("frames", "step"), PLANS)
@pytest.mark.parametrize("fps", RATES)
def test_two_hundred_hops_span_two_clips(frames, step, fps):
    clip_s = frames * step / fps
    plan = mel_plan(clip_s)
    assert 200 * plan.hop / plan.rate == pytest.approx(2 * clip_s, rel=1e-4)
    if clip_s > 0.1:
        assert 15_000 < plan.rate < 17_000
    # the middles of the 200 windows lie evenly around the middle of the clip
    first = plan.first_sample(7 * clip_s, 8 * clip_s)
    middles = first + plan.window / 2 + plan.hop * np.arange(200)
    assert middles.mean() / plan.rate == pytest.approx(7.5 * clip_s, abs=1 / plan.rate)


@pytest.mark.parametrize(("frames", "step"), [(8, 2), (16, 1)])
@pytest.mark.parametrize("fps", RATES[:5])
def test_the_shape_is_exact_at_every_frame_rate(frames, step, fps):
    plan = mel_plan(frames * step / fps)
    assert log_mel(noise(plan.samples), plan).shape == (40, 200)
    assert log_mel(tf.zeros([2, 3, plan.samples]), plan).shape == (2, 3, 40, 200)


@pytest.mark.parametrize("fps", [15, 30000 / 1001])
def test_equals_tf_signal(fps):
    plan = mel_plan(16 / fps)
    samples = noise(plan.samples)
    length = 2 ** math.ceil(math.log2(plan.window))
    spectrum = tf.abs(tf.signal.stft(samples, plan.window, plan.hop, length))
    matrix = tf.signal.linear_to_mel_weight_matrix(40, length // 2 + 1, plan.rate, 125.0, 7500.0)
    expected = tf.transpose(tf.math.log(spectrum @ matrix + 0.01))
    np.testing.assert_allclose(log_mel(samples, plan), expected, atol=1e-5)


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
    samples = noise(plan.samples)
    mel = log_mel(samples, plan).numpy()
    for column in (0, 57, 199):
        window = samples[column * plan.hop :][: plan.window].astype(float)
        np.testing.assert_allclose(mel[:, column], mel_of_one_window(window, plan.rate), atol=2e-4)


def test_a_tone_lights_its_band():
    plan = mel_plan(0.64)
    mel = log_mel(media.tone(3, 1000, plan.rate)[: plan.samples], plan).numpy()
    centres = np.linspace(math.log1p(125 / 700), math.log1p(7500 / 700), 42)[1:-1]
    band = int(np.abs(centres - math.log1p(1000 / 700)).argmin())
    assert set(mel.argmax(axis=0)) == {band}


def test_silence_is_sound_and_the_end_of_the_track_is_none():
    plan = mel_plan(0.5)
    times = [(0.5 * clip, 0.5 * clip + 0.5) for clip in range(6)]
    silence = np.zeros(round(1.7 * plan.rate), np.float32)  # the clip from 1.5 s on has less than half
    mels = clip_log_mels(Sound(silence), plan, times)
    assert [mel is None for mel in mels] == [False, False, False, True, True, True]
    for mel in mels[:3]:
        assert (mel.shape, mel.dtype) == ((40, 200), np.float16)
        np.testing.assert_allclose(mel, FLOOR, rtol=1e-3)
    assert clip_log_mels(Sound(silence), plan, times[4:]) == [None, None]


def test_clips_together_or_alone_are_the_same():
    plan = mel_plan(16 / 25)
    times = [(0.64 * clip, 0.64 * clip + 0.64) for clip in range(3)]
    sound = Sound(noise(3 * plan.rate))
    together = clip_log_mels(sound, plan, times)
    for time, mel in zip(times, together, strict=True):
        np.testing.assert_allclose(clip_log_mels(sound, plan, [time])[0], mel, atol=0.01)


def test_plan_of_an_extreme_frame_rate():
    assert mel_plan(1 / 90_000) == MelPlan(rate=9_000_000, hop=1)


# A click track in real files: each clip's click must stand at its place in the clip's own half.

SETTINGS = FeatureSettings(
    clip_frames=8, clip_step=2, canvas=64, md_frames=1, residual_frames=1, residual_size=16, iframe_size=16
)
CLIPS = 5
PLACES = (0.5, 0.2, 0.8, 0.35, 0.65)  # of a clip


def click_times(fps):
    return [(clip + place) * SETTINGS.span / fps for clip, place in enumerate(PLACES)]


def write_clicks(path, fps, codec, sound_starts=0.0, pictures_start=0.0, rate=48000):
    """Noise pictures and a track of clicks. Both are `pictures_start` late, the track starts still later."""
    seconds = CLIPS * SETTINGS.span / fps
    sound = np.zeros(round(seconds * rate), np.float32)
    for time in click_times(fps):
        sound[round(time * rate) :][:48] = 0.9 * (-1) ** np.arange(48)
    rational = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        # H.264 without B-frames still comes a frame late out of an AVI, which knows decoding times only
        video = container.add_stream(media.MPEG4 if path.suffix == ".avi" else media.H264, rate=rational)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.max_b_frames = 0
        audio = container.add_stream(codec, rate=rate, layout="mono")
        late = round(pictures_start * rational)
        for number, pixels in enumerate(media.pan(CLIPS * SETTINGS.span, 64, 48)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number + late, 1 / rational
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        skipped = round(sound_starts * rate)
        for first in range(skipped, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, first : first + 1024], format="flt", layout="mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = first + round(late / rational * rate)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


@pytest.mark.parametrize(
    ("name", "fps", "codec", "sound_starts", "pictures_start"),
    [
        ("plain.mp4", 25, "aac", 0, 0),
        ("ntsc.mp4", 30000 / 1001, "aac", 0, 0),
        ("plain.mkv", 25, "aac", 0, 0),
        ("pcm.mkv", 15, "pcm_s16le", 0, 0),
        ("pcm.avi", 25, "pcm_s16le", 0, 0),
        ("late_sound.mp4", 25, "aac", 0.2, 0),
        ("late_sound.mkv", 25, "pcm_s16le", 0.2, 0),
        ("late_pictures.mkv", 25, "pcm_s16le", 0, 2),
        ("transport.ts", 25, "aac", 0, 0),
    ],
)
def test_a_click_falls_into_its_clip(tmp_path, name, fps, codec, sound_starts, pictures_start):
    path = tmp_path / name
    write_clicks(path, fps, codec, sound_starts, pictures_start)
    video = CompressedVideo(path, SETTINGS)
    clips = list(clips_with_sound(path, video, SETTINGS))
    assert len(clips) == CLIPS
    for place, (_, mel) in zip(PLACES, clips, strict=True):
        loudness = np.exp(mel.astype(np.float32)).mean(axis=0)
        own = loudness[50:150]
        # a column is the middle of its window: half a hop late
        assert int(own.argmax()) == pytest.approx(100 * place - 0.5, abs=2.5)
        assert own.max() > 10 * np.median(own)


def test_a_video_without_sound_and_one_whose_sound_ends_early(tmp_path):
    frames = media.pan(CLIPS * SETTINGS.span, 64, 48)
    mute = media.write_video(tmp_path / "mute.mp4", frames)
    half = media.write_video(tmp_path / "half.mp4", frames, sound=media.tone(2 * SETTINGS.span / 25))
    assert [mel for _, mel in clips_with_sound(mute, CompressedVideo(mute, SETTINGS), SETTINGS)] == [None] * 5
    heard = [mel is not None for _, mel in clips_with_sound(half, CompressedVideo(half, SETTINGS), SETTINGS)]
    assert heard == [True, True, False, False, False]
