import os

import pytest

from pipelines.damage import Damage, check_complete
from pipelines.errors import VideoError
from pipelines.frame_times import FrameTimes
from pipelines.video_file import decoded_frames, opened_pictures
from tests import media


def read(path):
    """Number of frames of a file and the damage found in it."""
    damage = Damage()
    with opened_pictures(path) as (container, stream):
        times = FrameTimes(stream.time_base, [], [], 25)
        for frame in decoded_frames(container, stream, damage):
            times.add(frame.pts, frame.key_frame)
        check_complete(damage, container, stream, times)
    return times.count, damage.sentences()


@pytest.fixture(scope="module")
def noise():
    return media.noise(60)


FORMS = {
    "a.mkv": {},
    "sound.mkv": {"sound": media.tone(2.4)},
    "a.webm": {"codec": "libvpx"},
    "a.flv": {"codec": "flv"},
    "a.avi": {"codec": media.MPEG4},
    "a.mp4": {"index_first": True},
    "a.ts": {},
    "sound.ts": {"sound": media.tone(2.4)},
    "a.264": {},
}


@pytest.mark.parametrize("name", FORMS)
def test_files_that_are_cut_off(tmp_path, noise, name):
    whole = media.write_video(tmp_path / name, noise, **FORMS[name])
    assert read(whole) == (60, [])
    count, damage = read(media.cut_off(whole, tmp_path / f"cut-{name}"))
    assert 15 < count < 45
    if name.startswith(("a.avi", "a.mp4")):
        assert f"only {count} of the 60 frames that the file announces are in it" in damage
    elif not name.endswith(("ts", "264")):  # those announce nothing
        assert f"the file announces 2.4 s of video, {count / 25:.1f} s could be read" in damage


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"a.264"}))
def test_zeros_in_the_middle(tmp_path, noise, name):
    whole = media.write_video(tmp_path / name, noise, **FORMS[name])
    count, damage = read(media.zeroed(whole, tmp_path / f"zeroed-{name}"))
    assert 30 < count < 60
    told = " ".join(damage)
    assert "no pictures between" in told or f"only {count} of the 60 frames" in told


def test_an_index_that_is_missing(tmp_path, noise):
    whole = media.write_video(tmp_path / "whole.mp4", noise)
    with pytest.raises(VideoError, match=r"cut.mp4: not a readable video \(Invalid data"):
        read(media.cut_off(whole, tmp_path / "cut.mp4", 0.9))


def without_own_duration(path):
    """Takes the words that tell the video's own duration out of a Matroska file."""
    path.write_bytes(path.read_bytes().replace(b"DURATION", b"DURATIOM"))
    return path


@pytest.mark.parametrize("own", [True, False])
def test_sound_that_is_longer_than_the_pictures_is_no_damage(tmp_path, noise, own):
    whole = media.write_video(tmp_path / "long.mkv", noise, sound=media.tone(6))
    if not own:
        without_own_duration(whole)
    assert read(whole) == (60, [])
    count, damage = read(media.cut_off(whole, tmp_path / "cut.mkv", 0.5))
    assert count < 50
    announced = "2.4" if own else "6.1"
    assert f"the file announces {announced} s of video, {count / 25:.1f} s could be read" in damage


def test_a_recording_without_duration_is_whole(tmp_path, noise):
    path = media.write_clocked(tmp_path / "live.mkv", noise[:30], 25, 1, options={"live": "1"})
    assert read(path) == (30, [])


def test_the_damage_of_a_file_with_an_odd_name(tmp_path, noise):
    whole = without_own_duration(media.write_video(tmp_path / "long.mkv", noise, sound=media.tone(6)))
    odd = whole.rename(tmp_path / os.fsdecode(b"caf\xe9:%d.mkv"))
    assert read(odd) == (60, [])


@pytest.mark.parametrize(
    ("read_s", "announced_s", "notes"),
    [(9.6, 10, []), (9.4, 10, ["the file announces 10.0 s of video, 9.4 s could be read"]), (12, 10, [])],
)
def test_seconds_may_lack_a_twentieth(read_s, announced_s, notes):
    damage = Damage()
    damage.check_seconds(read_s, announced_s)
    assert damage.sentences() == notes
