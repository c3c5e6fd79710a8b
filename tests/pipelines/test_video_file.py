import os
from fractions import Fraction

import av
import pytest

from pipelines import video_file
from pipelines.damage import Damage
from pipelines.errors import VideoError
from pipelines.geometry import Geometry
from pipelines.video_file import (
    decoded_frames,
    frame_rate,
    open_video,
    opened_pictures,
    picture_stream,
    probe,
)
from tests import media


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def noise():
    return media.noise(60)


def test_probe_tells_what_an_inspector_wants_to_know(folder, noise):
    path = media.write_form(
        folder / "deep.mkv", noise[:3], media.H264, "yuv422p10le", aspect=Fraction(16, 11)
    )
    stream = probe(path)
    assert (stream.pixel_format, stream.bits, stream.profile) == ("yuv422p10le", 10, "High 4:2:2")
    assert stream.container == "matroska,webm"
    assert stream.video_streams == 1
    assert not stream.interlaced
    assert stream.bit_rate == pytest.approx(path.stat().st_size * 8 / 0.12, rel=0.01)
    assert stream.geometry == Geometry(0, False, Fraction(16, 11))


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (0, 1, 1, 0)])
def test_probe_tells_of_mirroring(folder, noise, matrix):
    whole = media.write_video(folder / "plain.mp4", noise[:3])
    stream = probe(media.displayed(whole, folder / "mirrored.mp4", matrix))
    # (0, 1, 1, 0) exchanges x and y: mirrored, then turned
    assert (stream.mirrored, stream.rotation) == (True, 0 if matrix[0] else 90)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("h264.mp4", media.H264, {"x264-params": "interlaced=1"}),
        ("mpeg2.mpg", "mpeg2video", {"flags": "+ildct+ilme"}),
    ],
)
def test_probe_tells_of_interlaced_frames(folder, name, codec, options):
    path = media.write_video(folder / name, media.pan(6, 64, 64), codec, options=options)
    assert probe(path).interlaced


@pytest.mark.parametrize(("rate", "step", "fps"), [(1000, 40, 25), (1000, 2, 500), (500, 15, 100 / 3)])
def test_an_implausible_frame_rate_comes_from_the_timestamps(folder, noise, rate, step, fps):
    path = media.write_clocked(folder / f"{rate}-{step}.mkv", noise[:20], rate, step)
    assert probe(path).fps == pytest.approx(fps, rel=0.01)


@pytest.mark.parametrize("bogus", [None, 0, Fraction(90000), Fraction(1, 90), Fraction(1000)])
def test_frame_rates_of_headers(bogus):
    class Stream:
        average_rate = bogus
        guessed_rate = None
        time_base = Fraction(1, 1000)

    assert frame_rate(Stream) == 25
    assert frame_rate(Stream, [0, 50, 100, 150, None]) == 20
    Stream.guessed_rate = Fraction(30000, 1001)
    assert frame_rate(Stream) == pytest.approx(29.97, abs=0.001)
    Stream.average_rate = Fraction(10)
    assert frame_rate(Stream) == 10


@pytest.mark.parametrize(("step", "fps"), [(2**60, 25), (10**6, 25), (59_000, 1 / 59), (1, 1000)])
def test_absurd_timestamps_tell_no_frame_rate(step, fps):
    class Stream:
        average_rate = guessed_rate = None
        time_base = Fraction(1, 1000)

    assert frame_rate(Stream, [0, step, 2 * step]) == pytest.approx(fps)
    Stream.time_base = Fraction(1, 1_000_000)
    assert frame_rate(Stream, [0, 10, 20]) == 25


def test_pictures_that_no_memory_is_large_enough_for(folder, noise, monkeypatch):
    monkeypatch.setattr(video_file, "LARGEST", (64, 47))
    path = media.write_video(folder / "large.mp4", noise[:3])
    with pytest.raises(VideoError, match=r"large.mp4: no frame .* or all have more than 64x47 pixels"):
        probe(path)


def test_what_becomes_too_large_is_left_out(folder, noise, monkeypatch):
    monkeypatch.setattr(video_file, "LARGEST", (64, 48))
    parts = [
        media.write_video(folder / f"{size}.264", pictures, gop=6)
        for size, pictures in (("small", noise[:6]), ("large", media.pan(6, 96, 64)))
    ]
    damage = Damage()
    with opened_pictures(media.joined(parts, folder / "grows.264")) as (container, stream):
        sizes = {(frame.height, frame.width) for frame in decoded_frames(container, stream, damage)}
    assert sizes == {(48, 64)}
    assert damage.lost_packets >= 6


def test_b_frames_that_the_header_conceals(folder, noise, monkeypatch):
    path = media.write_video(folder / "hidden.avi", noise[:12], media.MPEG4, b_frames=2)

    class Reordering:
        """A decoder's context that announces no reordering."""

        def __init__(self, context):
            self._context = context

        has_b_frames = False

        def __getattr__(self, name):
            return getattr(self._context, name)

    class Stream:
        def __init__(self, stream):
            self._stream = stream
            self.codec_context = Reordering(stream.codec_context)

        def __getattr__(self, name):
            return getattr(self._stream, name)

    monkeypatch.setattr(video_file, "decoded_frames", lambda container, *_: container.decode(video=0))
    monkeypatch.setattr(video_file, "picture_stream", lambda *_: Stream(picture(*_)))
    picture = picture_stream
    assert probe(path).has_b_frames


@pytest.mark.parametrize(
    ("sizes", "default", "chosen"),
    [
        ([(32, 48), (64, 96), (48, 64)], None, 1),
        ([(64, 96), (32, 48)], 1, 1),
        ([(32, 48), (32, 48)], None, 0),
    ],
)
def test_of_several_videos_the_one_that_players_show(tmp_path, sizes, default, chosen):
    videos = [[media.texture(*size)] * 3 for size in sizes]
    path = media.write_streams(tmp_path / "several.mkv", videos, default)
    stream = probe(path)
    assert (stream.height, stream.width) == sizes[chosen]
    assert stream.video_streams == len(sizes)


def odd_files(folder):
    fifo = folder / "pipe.mp4"
    os.mkfifo(fifo)
    playlist = folder / "live.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nlive.ts\n")
    concat = folder / "list.mp4"
    concat.write_text("ffconcat version 1.0\nfile list.mp4\n")
    return {
        "pipe": (fifo, "is not a file"),
        "folder": (folder, "is not a file"),
        "device": ("/dev/zero", "is not a file"),
        "long name": (folder / ("long" * 99 + ".mp4"), "cannot be opened .File name too long."),
        "nul": (folder / "a\0b.mp4", "cannot be opened|no such file"),
        "playlist": (playlist, "is a playlist"),
        "list": (concat, "is a playlist"),
    }


@pytest.mark.parametrize("name", ["pipe", "folder", "device", "long name", "nul", "playlist", "list"])
def test_what_is_no_video_file_is_refused_at_once(tmp_path, name):
    path, reason = odd_files(tmp_path)[name]
    with pytest.raises(VideoError, match=reason):
        open_video(path)


@pytest.mark.parametrize(
    "name", [b"caf\xe9 \xff.mp4", b"new\nline.mp4", b"%03d.mp4", b"-f.mp4", b"a;b'c\".mp4"]
)
def test_names_of_any_bytes_are_files(tmp_path, name, noise):
    path = media.write_video(tmp_path / "plain.mp4", noise[:3])
    odd = tmp_path / os.fsdecode(name)
    path.rename(odd)
    assert probe(odd).codec == "h264"


class Packet:
    """A packet that gives nothing."""

    dts = pos = None

    def decode(self):
        return []


class Frame:
    is_corrupt = False


class Stream:
    class codec_context:
        @staticmethod
        def decode(_):
            return ["flushed"]


def endless(packet):
    class Container:
        def demux(self, _):
            while True:
                yield packet

    return Container()


def test_a_file_that_leads_nowhere_ends():
    damage = Damage()
    assert list(decoded_frames(endless(Packet()), Stream(), damage)) == []
    assert damage.sentences() == ["reading ends early: the file leads no further"]


def test_a_long_silence_that_leads_on_is_read(monkeypatch):
    monkeypatch.setattr(video_file, "MOST_STALLS", 5)

    class Container:
        def demux(self, _):
            for number in range(50):
                packet = Packet()
                packet.pos = number
                yield packet
            packet.decode = lambda: [Frame()]
            yield packet

    damage = Damage()
    assert len(list(decoded_frames(Container(), Stream(), damage))) == 1
    assert damage.sentences() == []


@pytest.mark.parametrize(("recovers", "frames"), [(True, 3), (False, 1)])
def test_reading_goes_on_behind_invalid_data(recovers, frames):
    class Container:
        calls = 0

        def demux(self, _):
            self.calls += 1
            packet = Packet()
            packet.decode = lambda: [Frame()]
            if recovers or self.calls == 1:
                yield packet
            if self.calls < 3 or not recovers:
                raise av.error.InvalidDataError(1094995529, "Invalid data")

    damage, container = Damage(), Container()
    read = list(decoded_frames(container, Stream(), damage))
    assert sum(isinstance(frame, Frame) for frame in read) == frames
    assert container.calls == (3 if recovers else video_file.MOST_ERRORS)
    told = " ".join(damage.sentences())
    assert "packets that could not be decoded" in told
    assert ("reading ends early" in told) == (not recovers)


def test_streams_that_turn_up_while_reading_do_no_harm():
    class Container:
        def demux(self, _):
            packet = Packet()
            packet.decode = lambda: [Frame()]
            yield packet
            raise IndexError("list index out of range")  # what PyAV does behind the last packet

    damage = Damage()
    assert len(list(decoded_frames(Container(), Stream(), damage))) == 1
    assert damage.sentences() == []
