import pytest

from pipelines import scanning
from pipelines.damage import Damage
from pipelines.errors import VideoError
from pipelines.frame_times import FrameTimes
from pipelines.scanning import scan_times
from pipelines.video_file import decoded_frames, frame_rate, opened_pictures
from tests import media
from tests.pipelines.test_seeking import FORMS as SOUGHT
from tests.pipelines.test_seeking import OPEN, retimed, x264

FRAMES = 70
BY_DECODING = {  # and why packets do not tell
    "raw.264": {"gop": 12},  # no timestamps
    "ordered.avi": {"gop": 30, "b_frames": 2},  # those of decoding
    "hidden.webm": SOUGHT["vp8.webm"],  # frames that are never shown
    "refresh.mp4": {"gop": 30, "options": x264("intra-refresh=1:keyint=30")},  # key frames that are none
}


def by_decoding(path):
    with opened_pictures(path) as (container, stream):
        frames = [(frame.pts, frame.key_frame) for frame in decoded_frames(container, stream, Damage())]
        keyframes = [number for number, (_, is_key) in enumerate(frames) if is_key]
        return FrameTimes(stream.time_base, [pts for pts, _ in frames], keyframes, frame_rate(stream))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scanning")
    frames = media.noise(FRAMES, 64, 48)
    made = {}

    def write(name):
        if name not in made:
            made[name] = media.write_video(folder / name, frames, **{**SOUGHT, **BY_DECODING}[name])
        return made[name]

    return write


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(_):
        raise AssertionError("decoded the whole file")

    monkeypatch.setattr(scanning, "_decoded", refuse)


@pytest.mark.parametrize("name", [name for name in SOUGHT if name != "vp8.webm"])
def test_packets_tell_the_times_of_the_frames(file, name, no_decoding):
    path = file(name)
    times = scan_times(path)
    assert times == by_decoding(path)
    assert times.count == FRAMES


@pytest.mark.parametrize("name", BY_DECODING)
def test_where_packets_do_not_tell_the_file_is_decoded(file, name):
    path = file(name)
    assert scan_times(path) == by_decoding(path)
    with opened_pictures(path) as opened:
        assert scanning._demuxed(*opened) is None


def test_frames_that_an_edit_list_leaves_out(file, tmp_path):
    path = tmp_path / "edited.mp4"
    retimed(file("pyramid.mp4"), path, lambda number: number - 10, avoid_negative_ts="disabled")
    times = scan_times(path)
    assert times == by_decoding(path)
    assert times.count == FRAMES - 10


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_stream_cut_out_of_its_middle(file, tmp_path, suffix):
    whole = media.write_video(tmp_path / "whole.ts", media.noise(FRAMES, 64, 48), **OPEN)
    path = tmp_path / f"part.{suffix}"
    retimed(whole, path, lambda number: number, first=20)
    times = scan_times(path)
    assert times == by_decoding(path)
    assert 40 <= times.count < FRAMES - 20


@pytest.mark.parametrize("name", ["gop250.flv", "gop250.ts", "mpeg4.avi"])
def test_a_file_cut_short(file, tmp_path, name):
    path = media.cut_off(file(name), tmp_path / name, 0.6)
    assert scan_times(path) == by_decoding(path)


def test_an_unusable_file_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"text\.mp4"):
        scan_times(media.text_file(tmp_path / "text.mp4"))
