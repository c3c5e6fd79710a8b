from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import video
from pipelines.clips import ClipPlan
from pipelines.damage import Damage
from pipelines.errors import VideoError
from pipelines.pictures import SquarePictures
from pipelines.video import FrameTimes, decode_clips, iter_clips, open_video, probe
from pipelines.video_file import decoded_frames, picture_stream
from tests import media

SIZE = 32
FRAMES = 96
FORMS = {
    "gop12.mp4": {"gop": 12},
    "gop250.mp4": {"gop": 250},
    "bframes.mp4": {"gop": 24, "b_frames": 3},
    "gop12.mkv": {"gop": 12, "b_frames": 2},
    "mpeg4.avi": {"codec": media.MPEG4},
    "mpeg4_bframes.avi": {"codec": media.MPEG4, "b_frames": 2},
    "intra.avi": {"codec": "mjpeg"},
    "mpeg2.mpg": {"codec": "mpeg2video", "b_frames": 2},
    "raw.264": {"gop": 12},
}


def read(path):
    """All pictures and the times of a file, by a plain pass from its start."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "NONE"
        frames = list(container.decode(stream))
        pictures = [SquarePictures(SIZE).array(frame) for frame in frames]
        keys = [number for number, frame in enumerate(frames) if frame.key_frame]
        return pictures, FrameTimes(stream.time_base, [frame.pts for frame in frames], keys, media.FPS)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    frames = media.noise(FRAMES)
    paths = {name: media.write_video(folder / name, frames, **form) for name, form in FORMS.items()}
    return {name: (path, *read(path)) for name, path in paths.items()}


@pytest.fixture
def no_pass(monkeypatch):
    """Makes decoding the whole file an error."""

    def refuse(*_):
        raise AssertionError("decoded the whole file")

    monkeypatch.setattr(video, "_pictures_in_one_pass", refuse)


def assert_same(clips, wanted, pictures):
    clips = list(clips)
    assert len(clips) == len(wanted)
    for clip, numbers in zip(clips, wanted, strict=True):
        assert clip.dtype == np.uint8
        np.testing.assert_array_equal(clip, [pictures[number] for number in numbers])


WANTED = [np.arange(3, 11), np.arange(30, 46, 2), np.arange(80, 88), np.array([90, 94, 95, 95])]


@pytest.mark.parametrize("name", FORMS)
def test_chosen_clips_equal_a_full_decode_bit_for_bit(files, name):
    path, pictures, times = files[name]
    assert len(pictures) == FRAMES
    assert_same(decode_clips(path, WANTED, SIZE, times), WANTED, pictures)


@pytest.mark.parametrize("name", ["gop12.mp4", "gop250.mp4", "bframes.mp4", "gop12.mkv", "mpeg4.avi"])
def test_files_with_timestamps_are_seeked(files, name, no_pass):
    path, pictures, times = files[name]
    assert times.seekable
    assert_same(decode_clips(path, WANTED, SIZE, times), WANTED, pictures)


def test_raw_streams_are_decoded_in_one_pass(files):
    assert not files["raw.264"][2].seekable


@settings(deadline=None, max_examples=25)
@given(
    name=st.sampled_from(["bframes.mp4", "gop12.mkv", "raw.264"]),
    wanted=st.lists(st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=4).map(sorted), max_size=5),
)
def test_any_frames_in_any_order_of_clips(files, name, wanted):
    path, pictures, times = files[name]
    assert_same(decode_clips(path, wanted, SIZE, times), wanted, pictures)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(("frames", "step"), [(8, 1), (9, 2), (16, 4)])
def test_one_pass_over_every_clip_equals_the_chosen_clips(files, name, frames, step):
    path, pictures, times = files[name]
    plan = ClipPlan(FRAMES, frames, step)
    wanted = [plan.frame_indices(clip) for clip in range(plan.count)]
    assert_same(iter_clips(path, frames, step, SIZE), wanted, pictures)
    assert_same(decode_clips(path, wanted, SIZE, times), wanted, pictures)


def test_the_tail_clip_repeats_the_last_frame(files):
    path, pictures, _ = files["gop12.mp4"]
    *_, tail = iter_clips(path, 20, 3, SIZE)  # 96 = 60 + 36 frames: the tail is frames 60, 63 .. 93, then 95
    expected = [pictures[number] for number in [*range(60, 96, 3), *[95] * 8]]
    np.testing.assert_array_equal(tail, expected)


def test_wrong_times_cost_a_pass_but_give_the_right_frames(files):
    path, pictures, times = files["gop12.mp4"]
    wrong = FrameTimes(times.time_base, [pts + 7 for pts in times.pts], times.keyframes, times.fps)
    assert_same(decode_clips(path, WANTED, SIZE, wrong), WANTED, pictures)
    wrong = FrameTimes(times.time_base, times.pts, [0, 31, 81], times.fps)  # no key frames, in truth
    assert_same(decode_clips(path, WANTED, SIZE, wrong), WANTED, pictures)


def test_clips_read_before_going_astray_are_not_read_twice(files):
    path, pictures, times = files["gop12.mp4"]
    pts = list(times.pts)
    pts[85] += 1
    wrong = FrameTimes(times.time_base, pts, times.keyframes, times.fps)
    assert_same(decode_clips(path, WANTED, SIZE, wrong), WANTED, pictures)


@pytest.mark.parametrize("name", ["gop12.mp4", "raw.264"])
def test_a_file_that_lost_its_frames_is_named(files, name):
    path, _, times = files[name]
    longer = FrameTimes(times.time_base, [*times.pts, *range(10**7, 10**7 + 20)], times.keyframes, times.fps)
    with pytest.raises(VideoError, match=rf"{name}: frame 100 is not in it"):
        list(decode_clips(path, [[100]], SIZE, longer))


def test_probe(tmp_path):
    path = media.write_video(
        tmp_path / "a.mp4", media.pan(50, 96, 64), fps=30000 / 1001, b_frames=2, sound=media.tone(1)
    )
    stream = probe(path)
    assert (stream.codec, stream.width, stream.height, stream.rotation) == ("h264", 96, 64, 0)
    assert stream.fps == pytest.approx(30000 / 1001)
    assert stream.duration_s == pytest.approx(50 * 1001 / 30000, abs=0.05)
    assert stream.has_b_frames
    assert stream.has_audio


@pytest.mark.parametrize("codec", [media.MPEG4, media.H264, "mpeg1video", "mpeg2video"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_probe_tells_whether_there_are_b_frames(tmp_path, codec, b_frames):
    name = "a.mpg" if codec.endswith("video") else "a.mp4"
    path = media.write_video(tmp_path / name, media.pan(30, 64, 48), codec, b_frames=b_frames)
    stream = probe(path)
    assert stream.has_b_frames == bool(b_frames)
    assert not stream.has_audio


@pytest.mark.parametrize(("degrees", "applied"), [(90, 270), (180, 180), (270, 90)])
def test_clips_are_turned_as_a_player_turns_them(tmp_path, degrees, applied):
    whole = media.write_video(tmp_path / "whole.mp4", media.pan(8, 64, 48), index_first=True)
    turned = media.turned(whole, tmp_path / "turned.mp4", degrees)
    assert probe(turned).rotation == applied
    (lying,), (upright,) = iter_clips(whole, 8, 1, SIZE), iter_clips(turned, 8, 1, SIZE)
    np.testing.assert_array_equal(upright, np.rot90(lying, applied // 90, axes=(1, 2)))


def test_names_with_colons_and_other_marks_are_files(tmp_path):
    path = media.write_video(tmp_path / "plain.mp4", media.pan(4, 64, 48))
    odd = path.rename(tmp_path / "http:a %d ü.mp4")
    assert probe(odd).codec == "h264"


def unusable(folder):
    short = media.pan(10, 64, 48)
    return {
        "missing.mp4": (folder / "missing.mp4", "no such file"),
        "empty.mp4": (media.empty_file(folder / "empty.mp4"), "the file is empty"),
        "text.mp4": (media.text_file(folder / "text.mp4"), "not a readable video"),
        "text.txt": (media.text_file(folder / "text.txt"), "a text"),
        "cut.mp4": (
            media.cut_off(media.write_video(folder / "whole.mp4", short), folder / "cut.mp4"),
            "not a readable video",
        ),
        "sound.mp4": (media.write_sound(folder / "sound.mp4", media.tone(0.5)), "has no video stream"),
    }


@pytest.mark.parametrize("name", ["missing.mp4", "empty.mp4", "text.mp4", "text.txt", "cut.mp4", "sound.mp4"])
def test_unusable_files_are_refused_by_name(tmp_path, name):
    path, reason = unusable(tmp_path)[name]
    for use in (open_video, probe, lambda path: next(iter_clips(path, 4, 1, SIZE))):
        with pytest.raises(VideoError, match=rf"{name}: .*{reason}"):
            use(path)


def test_pictures_that_cannot_be_converted_are_refused_by_name(tmp_path, monkeypatch):
    path = media.write_video(tmp_path / "odd.mp4", media.pan(8, 64, 48))

    def fail(*_):
        raise av.error.InvalidDataError(22, "Invalid argument")

    monkeypatch.setattr(SquarePictures, "array", fail)
    with pytest.raises(VideoError, match=r"odd.mp4: its pictures cannot be converted \(Invalid argument\)"):
        list(iter_clips(path, 8, 1, SIZE))


def test_a_folder_is_no_video(tmp_path):
    with pytest.raises(VideoError, match="is not a file"):
        open_video(tmp_path)


@pytest.mark.parametrize("count", [1, 7])
def test_shorter_than_a_clip(tmp_path, count):
    path = media.write_video(tmp_path / "brief.mp4", media.pan(count, 64, 48))
    with pytest.raises(VideoError, match=f"brief.mp4: {count} frames, shorter than one clip of 8"):
        list(iter_clips(path, 8, 1, SIZE))


def test_a_damaged_packet_is_left_out_and_counted(tmp_path):
    whole = media.write_video(tmp_path / "whole.mp4", media.noise(40), index_first=True)
    damaged = media.scratched(whole, tmp_path / "scratched.mp4", length=8000)
    damage = Damage()
    with open_video(damaged) as container:
        count = sum(1 for _ in decoded_frames(container, picture_stream(container, damaged), damage))
    assert 20 < count < 40
    assert damage.lost_packets > 0
    assert any("could not be decoded" in sentence for sentence in damage.sentences())
    assert Damage().sentences() == []


def test_when_reading_fails_the_frames_before_are_kept():
    class Stream:
        class codec_context:
            @staticmethod
            def decode(_):
                return ["flushed"]

    class Packet:
        def decode(self):
            return [Frame()]

    class Frame:
        is_corrupt = False

    class Container:
        def demux(self, _):
            yield Packet()
            raise av.error.OSError(5, "Input/output error")

    damage = Damage()
    first, flushed = decoded_frames(Container(), Stream(), damage)
    assert isinstance(first, Frame)
    assert flushed == "flushed"
    assert damage.sentences() == ["reading ends early: Input/output error"]


def test_times_go_through_json_before_they_are_used(files):
    path, pictures, times = files["gop12.mkv"]
    again = FrameTimes.from_dict(times.to_dict())
    assert isinstance(again.time_base, Fraction)
    assert_same(decode_clips(path, WANTED, SIZE, again), WANTED, pictures)
