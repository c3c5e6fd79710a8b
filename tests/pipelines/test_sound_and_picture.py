"""Sound and picture in step: a click track in real files must stand in its clip, at its place."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from pipelines.compressed import CompressedVideo
from pipelines.extraction import clips_with_sound
from pipelines.settings import FeatureSettings
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=8, clip_step=2, canvas=64, md_frames=1, residual_frames=1, residual_size=16, iframe_size=16
)
CLIPS = 5
PLACES = (0.5, 0.2, 0.8, 0.35, 0.65)  # of a clip


def click_times(fps):
    return [(clip + place) * SETTINGS.span / fps for clip, place in enumerate(PLACES)]


def write_clicks(path, fps, codec, sound_starts=0.0, pictures_start=0.0, rate=48000, unseen=0):
    """Pictures and a track of clicks.

    In the container the pictures begin at `pictures_start` seconds, the sound `sound_starts` later than
    they. `unseen` more pictures come before the first that is to be shown.
    """
    before = rate  # a second of sound before the first picture, used where the sound starts earlier
    sound = np.zeros(before + round(CLIPS * SETTINGS.span / fps * rate), np.float32)
    for time in click_times(fps):
        sound[before + round(time * rate) :][:48] = 0.9 * (-1) ** np.arange(48)
    rational = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        # H.264 without B-frames still comes a frame late out of an AVI, which knows decoding times only
        video = container.add_stream(media.MPEG4 if path.suffix == ".avi" else media.H264, rate=rational)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.max_b_frames = 0
        audio = container.add_stream(codec, rate=rate, layout="mono")
        late = round(pictures_start * rational)
        for number, pixels in enumerate(media.pan(unseen + CLIPS * SETTINGS.span, 64, 48)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number + late, 1 / rational
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        skipped = before + round(sound_starts * rate)
        for first in range(skipped, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, first : first + 1024], format="flt", layout="mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = first - before + round(late / rational * rate)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def assert_clicks_in_place(path):
    video = CompressedVideo(path, SETTINGS)
    clips = list(clips_with_sound(path, video, SETTINGS))
    assert len(clips) == CLIPS
    for place, (_, mel) in zip(PLACES, clips, strict=True):
        loudness = np.exp(mel.astype(np.float32)).mean(axis=0)
        own = loudness[50:150]
        # a column is the middle of its window: half a hop late
        assert int(own.argmax()) == pytest.approx(100 * place - 0.5, abs=1.5)
        assert own.max() > 10 * np.median(own)


@pytest.mark.parametrize(
    ("name", "fps", "codec", "sound_starts", "pictures_start"),
    [
        ("plain.mp4", 25, "aac", 0, 0),
        ("ntsc.mp4", 30000 / 1001, "aac", 0, 0),
        ("film.mp4", 24000 / 1001, "aac", 0, 0),
        ("plain.mkv", 25, "aac", 0, 0),
        ("pcm.mkv", 15, "pcm_s16le", 0, 0),
        ("pcm.avi", 25, "pcm_s16le", 0, 0),
        ("late_sound.mp4", 25, "aac", 0.2, 0),
        ("late_sound.mkv", 25, "pcm_s16le", 0.2, 0),
        ("late_pictures.mkv", 25, "pcm_s16le", 0, 2),
        ("late_pictures.mp4", 25, "aac", 0, 2),  # both tracks get an edit list
        ("early_sound.mp4", 25, "aac", -0.52, 0.52),  # an edit list delays the pictures
        ("early_sound.mkv", 25, "aac", -0.52, 0.52),
        ("transport.ts", 25, "aac", 0, 0),
        ("early_sound.ts", 25, "aac", -0.52, 0.52),
    ],
)
def test_a_click_falls_into_its_clip(tmp_path, name, fps, codec, sound_starts, pictures_start):
    path = tmp_path / name
    write_clicks(path, fps, codec, sound_starts, pictures_start)
    assert_clicks_in_place(path)


def test_an_edit_list_that_hides_the_first_pictures(tmp_path):
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_clicks(whole, 25, "aac", unseen=7)
    data = bytearray(whole.read_bytes())
    place = data.index(b"elst", data.index(b"vmhd") - 500)  # of the track with pictures
    entries, _, media_time = struct.unpack(">IIi", data[place + 8 : place + 20])
    assert (entries, media_time) == (1, 0)
    with av.open(str(whole)) as container:
        hidden = round(Fraction(7, 25) / container.streams.video[0].time_base)
    data[place + 16 : place + 20] = struct.pack(">i", hidden)
    cut.write_bytes(data)
    video = CompressedVideo(cut, SETTINGS)
    assert len(list(video.clips())) == CLIPS
    assert video.timing.count == CLIPS * SETTINGS.span
    assert_clicks_in_place(cut)


def test_a_video_without_sound_and_one_whose_sound_ends_early(tmp_path):
    frames = media.pan(CLIPS * SETTINGS.span, 64, 48)
    mute = media.write_video(tmp_path / "mute.mp4", frames)
    half = media.write_video(tmp_path / "half.mp4", frames, sound=media.tone(2 * SETTINGS.span / 25))
    assert [mel for _, mel in clips_with_sound(mute, CompressedVideo(mute, SETTINGS), SETTINGS)] == [None] * 5
    heard = [mel is not None for _, mel in clips_with_sound(half, CompressedVideo(half, SETTINGS), SETTINGS)]
    assert heard == [True, True, False, False, False]
