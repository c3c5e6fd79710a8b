from fractions import Fraction

import av
import numpy as np
import pytest

from pipelines import survey as survey_module
from pipelines.errors import VideoError
from pipelines.survey import survey
from tests import media


def test_what_a_plain_file_is(tmp_path):
    path = media.write_video(tmp_path / "a.mp4", media.noise(50), gop=20, sound=media.tone(2.0))
    found = survey(path)
    assert (found.stream.codec, found.timing.count, found.gop) == ("h264", 50, (10, 20, 20))
    assert found.types == {"P": 47, "I": 3}
    assert not found.variable_rate
    assert found.damage == []
    assert (found.sound.codec, found.sound.rate, found.sound.channels) == ("aac", media.SOUND_RATE, 1)
    assert found.sound.heard_s == pytest.approx(2.0, abs=0.1)
    assert 0.3 < found.sound.peak < 0.7
    assert not found.sound.silent


def test_b_frames_are_counted(tmp_path):
    found = survey(media.write_video(tmp_path / "b.mp4", media.noise(25), gop=25, b_frames=2))
    assert found.types == {"B": 16, "P": 8, "I": 1}
    assert found.stream.has_b_frames


def test_silent_and_missing_sound_are_told_apart(tmp_path):
    pictures = media.noise(25)
    assert survey(media.write_video(tmp_path / "none.mp4", pictures)).sound is None
    assert survey(media.write_video(tmp_path / "mute.mp4", pictures, sound=np.zeros(16000))).sound.silent


@pytest.mark.parametrize(("steps", "variable"), [((1, 1, 1, 1), False), ((1, 1, 3, 1), True)])
def test_variable_rates_are_noticed(tmp_path, steps, variable):
    path = tmp_path / "vfr.mkv"
    times = np.cumsum([0, *steps * 5])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        for time, picture in zip(times.tolist(), media.noise(len(times)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert survey(path).variable_rate == variable


def test_raw_streams_have_no_times(tmp_path):
    found = survey(media.write_video(tmp_path / "raw.264", media.noise(10)))
    assert not found.timing.seekable
    assert not found.variable_rate
    assert found.timing.seconds(10) == pytest.approx(0.4)


def test_damage_is_told_and_no_video_refused(tmp_path):
    whole = media.write_video(tmp_path / "a.avi", media.noise(60), media.MPEG4)
    assert survey(media.scratched(whole, tmp_path / "b.avi", length=3000)).damage
    with pytest.raises(VideoError, match=r"text\.mp4: "):
        survey(media.text_file(tmp_path / "text.mp4"))


def test_sound_is_not_sought_through_absurd_times(tmp_path, monkeypatch):
    path = media.write_video(tmp_path / "a.mp4", media.noise(75), sound=media.tone(3.0))
    assert survey(path).sound.heard_s == pytest.approx(3.0, abs=0.1)
    monkeypatch.setattr(survey_module, "LONGEST_STEP_S", 0.02)  # 75 of them are a second and a half
    assert survey(path).sound.heard_s == pytest.approx(2.0, abs=0.1)
