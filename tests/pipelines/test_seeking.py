from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import video
from pipelines.damage import Damage
from pipelines.frame_times import FrameTimes
from pipelines.seeking import Astray, FrameSeeker
from pipelines.video_file import decoded_frames, opened_pictures
from tests import media

FRAMES = 96
FAST = {"preset": "ultrafast"}


def x264(parameters):
    return {"preset": "veryfast", "x264-params": f"scenecut=0:b-adapt=0:{parameters}"}


def libvpx(codec):
    options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1"}
    return {"codec": codec, "gop": 30, "options": options}


GOP12 = {"gop": 12}
GOP250 = {"gop": 250, "b_frames": 3}
OPEN = {"gop": 24, "b_frames": 3, "options": x264("open-gop=1")}
PYRAMID = {"gop": 60, "b_frames": 8, "options": x264("b-pyramid=normal:ref=4")}
OPEN_PYRAMID = {"gop": 40, "b_frames": 5, "options": x264("open-gop=1:b-pyramid=normal:ref=4")}
INTERLACED = {"gop": 40, "b_frames": 3, "options": x264("tff=1")}
HEVC = {
    "codec": "libx265",
    "gop": 30,
    "options": {**FAST, "x265-params": "bframes=3:open-gop=1:keyint=30:log-level=none"},
}
MPEG2 = {"codec": "mpeg2video", "b_frames": 2}
MPEG4 = {"codec": media.MPEG4}
FORMS = {
    **{f"gop12.{suffix}": GOP12 for suffix in ("mp4", "mkv", "avi", "mov", "ts", "flv")},
    **{f"gop250.{suffix}": GOP250 for suffix in ("mp4", "mkv", "mov", "ts", "flv")},
    **{f"open.{suffix}": OPEN for suffix in ("mp4", "mkv", "ts")},
    **{f"pyramid.{suffix}": PYRAMID for suffix in ("mp4", "mkv", "ts")},
    **{f"open_pyramid.{suffix}": OPEN_PYRAMID for suffix in ("mp4", "mkv", "ts")},
    "flat.mp4": {"gop": 250, "b_frames": 3, "options": x264("b-pyramid=none")},
    "interlaced.mkv": INTERLACED,
    **{f"mpeg4.{suffix}": MPEG4 for suffix in ("mp4", "avi", "wmv")},
    **{f"mpeg4_b.{suffix}": {**MPEG4, "b_frames": 2, "gop": 60} for suffix in ("mkv", "avi")},
    **{f"mpeg2.{suffix}": MPEG2 for suffix in ("mpg", "ts", "mkv")},
    "mpeg1.mpg": {"codec": "mpeg1video", "b_frames": 2, "gop": 30},
    **{f"hevc.{suffix}": HEVC for suffix in ("mp4", "ts")},
    "vp8.webm": libvpx("libvpx"),
    **{f"vp9.{suffix}": libvpx("libvpx-vp9") for suffix in ("webm", "mp4")},
    "intra.mov": {"codec": "mjpeg"},
}
WANTED = [0, 1, *range(21, 29), 70, 73, 76, *range(83, 87), 94, 95]


def read(path):
    """All frames `[H, W, 3]` and the times of a file, by a plain pass from its start."""
    with opened_pictures(path) as (container, stream):
        times = FrameTimes(stream.time_base, [], [], media.FPS)
        pictures = []
        for frame in decoded_frames(container, stream, Damage()):
            times.add(frame.pts, frame.key_frame)
            pictures.append(frame.to_ndarray(format="rgb24"))
    return path, pictures, times


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeking")
    frames = media.noise(FRAMES, 64, 48)  # x265 damages memory with pictures smaller than this
    made = {}

    def file(name):
        if name not in made:
            made[name] = read(media.write_video(folder / name, frames, **FORMS[name]))
        return made[name]

    return file


class Spied:
    """An open file that notes seeks and the numbers of the frames that are decoded.

    `late` moves the place of every seek, `lie` the timestamps that packets claim.
    """

    def __init__(self, container, times, late=0, lie=0):
        self.container, self.late, self.lie = container, late, lie
        self.numbers = {pts: number for number, pts in enumerate(times.pts)}
        self.seeks = 0
        self.decoded = []

    def seek(self, pts, stream):
        self.seeks += 1
        self.container.seek(pts + self.late, stream=stream)

    def demux(self, stream):
        for packet in self.container.demux(stream):
            yield SpiedPacket(packet, self)


class SpiedPacket:
    def __init__(self, packet, spied):
        self.packet, self.spied = packet, spied
        self.is_corrupt = packet.is_corrupt
        self.pts = None if packet.pts is None else packet.pts + spied.lie

    def decode(self):
        for frame in self.packet.decode():
            self.spied.decoded.append(self.spied.numbers.get(frame.pts))
            yield frame


def sought(file, wanted, **oddities):
    """The wanted frames by seeking, checked against the pass; returns the spy."""
    path, pictures, times = file
    with opened_pictures(path) as (container, stream):
        spied = Spied(container, times, **oddities)
        numbers = []
        for number, frame in FrameSeeker(spied, stream, times, wanted).frames():
            np.testing.assert_array_equal(frame.to_ndarray(format="rgb24"), pictures[number])
            numbers.append(number)
        assert numbers == wanted
    return spied


@pytest.mark.parametrize("name", FORMS)
def test_sought_frames_equal_a_full_decode_bit_for_bit(files, name):
    file = files(name)
    _, pictures, times = file
    assert len(pictures) == FRAMES
    assert times.seekable
    spied = sought(file, WANTED)
    assert spied.seeks or len(times.keyframes) == 1
    for number in (23, 24, 40, 95):
        sought(file, [number])


@pytest.mark.parametrize("name", ["open.mp4", "open_pyramid.mkv", "open.ts", "mpeg2.mpg", "hevc.mp4"])
def test_frames_shown_before_the_key_frame_they_refer_to(files, name):
    file = files(name)
    for key in file[2].keyframes[1:]:
        sought(file, [key - 1])
        sought(file, [key - 2, key])


def test_every_frame_is_decoded_once_and_gaps_are_jumped_over(files):
    spied = sought(files("gop12.mp4"), [3, 4, 10, 11, 12, 30, 31, 40, 90])
    # From the start through key frame 12, then from the key frames before 30, 40 and 90.
    assert spied.decoded == [*range(13), *range(24, 32), *range(36, 41), *range(84, 91)]
    assert spied.seeks == 3


def test_frames_that_nobody_needs_are_not_decoded(files):
    file = files("flat.mp4")  # one group of pictures, I B B B P B B B P ...: every fourth is referred to
    needed = sought(file, [80]).decoded
    assert needed[:21] == list(range(0, 84, 4))
    assert len(needed) <= 23  # the decoder is up to two frames ahead
    assert [number for number in sought(file, [41, 80]).decoded if number % 4] == [41]


def test_a_key_frame_that_is_in_the_decoder_already_is_not_sought(files):
    file = files("open.mp4")
    key = file[2].keyframes[2]
    assert sought(file, [key - 1, key, key + 1]).seeks == 1
    assert (
        sought(file, [key - 1, key + 1]).seeks == 1
    )  # the frame before has been decoded after the key frame


# GOP 12; to reach key frame 36 the frames 36, 20, 24, 0 and 0 are tried, and a seek leads to a key frame.
@pytest.mark.parametrize(("frames_late", "seeks"), [(0, 1), (11, 1), (12, 2), (27, 2), (28, 4), (35, 4)])
def test_an_imprecise_index_costs_more_seeks(files, frames_late, seeks):
    file = files("gop12.mp4")
    step = file[2].pts[1]
    spied = sought(file, [40], late=frames_late * step)
    assert spied.seeks == seeks


def test_what_one_seek_needed_the_next_begins_with(files):
    file = files("gop12.mp4")
    step = file[2].pts[1]
    assert sought(file, [40, 80], late=12 * step).seeks == 3


def test_an_index_that_leads_nowhere_is_given_up(files):
    file = files("gop12.mp4")
    with opened_pictures(file[0]) as (container, stream):
        spied = Spied(container, file[2], late=10**6)
        with pytest.raises(Astray):
            next(FrameSeeker(spied, stream, file[2], [40]).frames())
        assert spied.seeks == 10  # with and without leaving frames out


def test_packets_with_other_times_than_their_frames_are_read_again_in_full(files):
    # Frame 81 is not referred to, and its packet claims the time of frame 82: it is left out at first.
    file = files("flat.mp4")
    spied = sought(file, [81], lie=file[2].pts[1])
    assert spied.decoded.count(81) == 1
    assert spied.seeks == 1
    assert set(range(82)) <= set(spied.decoded)


def test_frames_that_are_not_there_lead_astray(files):
    path, _, times = files("gop12.mp4")
    for number, pts in ((FRAMES, times.pts), (20, [*times.pts[:20], times.pts[20] + 1, *times.pts[21:]])):
        changed = FrameTimes(times.time_base, pts, times.keyframes, times.fps)
        with opened_pictures(path) as (container, stream), pytest.raises(Astray):
            list(FrameSeeker(container, stream, changed, [number]).frames())


@pytest.mark.parametrize("b_frames", [0, 2])
def test_periodic_intra_refresh(tmp_path, b_frames):
    """Such streams have points to start from that give right pictures only a while later."""
    form = {"gop": 30, "b_frames": b_frames, "options": x264("intra-refresh=1:keyint=30")}
    file = read(media.write_video(tmp_path / "a.mkv", media.noise(70, 48, 32), **form))
    sought(file, [5, 35, 66])
    path, _, times = file
    marked = FrameTimes(times.time_base, times.pts, [0, 30, 60], times.fps)
    (clip,) = video.decode_clips(path, [[5, 35, 66]], 32, marked)
    (right,) = video.decode_clips(path, [[5, 35, 66]], 32, times)
    np.testing.assert_array_equal(clip, right)


@pytest.mark.parametrize("name", ["gop250.mkv", "open_pyramid.mkv", "pyramid.mp4"])
def test_a_variable_frame_rate(files, tmp_path, name):
    whole, _, _ = files(name)
    path = tmp_path / whole.name
    steps = np.random.default_rng(1).integers(1, 5, FRAMES).cumsum().tolist()  # in steps of 40 ms
    retimed(whole, path, lambda number: steps[number])
    file = read(path)
    assert len(set(np.diff(file[2].pts).tolist())) == 4
    sought(file, WANTED)
    for number in (5, 40, 93):
        sought(file, [number])


def retimed(source, path, slot, first=0, **options):
    """Copies the packets of `source` from the `first` on; frame n is shown at `slot(n)` times 40 ms."""
    with av.open(str(source)) as old, av.open(str(path), "w", container_options=options) as new:
        stream = old.streams.video[0]
        packets = [packet for packet in old.demux(stream) if packet.size][first:]
        copy = new.add_stream_from_template(stream)
        order = {pts: number for number, pts in enumerate(sorted(packet.pts for packet in packets))}
        shown = [slot(order[packet.pts]) for packet in packets]
        delay = max(late - early for late, early in zip(sorted(shown), shown, strict=True))
        for packet, place, decoded in zip(packets, shown, sorted(shown), strict=True):
            packet.stream, packet.time_base = copy, Fraction(1, 25)
            packet.pts, packet.dts = place, decoded - delay
            new.mux(packet)


def test_frames_cut_off_by_an_edit_list(files, tmp_path):
    path = tmp_path / "edited.mp4"
    retimed(files("pyramid.mp4")[0], path, lambda number: number - 10, avoid_negative_ts="disabled")
    file = read(path)
    assert file[2].count == FRAMES - 10
    sought(file, [0, 1, 30, 60, 61, 85])


DAMAGED = ["gop12.mkv", "gop250.ts", "open_pyramid.mkv", "mpeg4.avi", "mpeg2.mpg", "gop250.flv", "vp9.webm"]


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize(("start", "length"), [(0.3, 60), (0.5, 400), (0.6, 2500)])
def test_damaged_files_give_what_a_pass_gives(files, tmp_path, name, start, length):
    path = media.scratched(files(name)[0], tmp_path / name, start, length)
    times = read(path)[2]
    wanted = [[number] for number in range(0, times.count, 13)] + [[times.count - 1]]
    passed = list(video.iter_clips(path, 1, 1, 16))
    for numbers in wanted:
        (clip,) = video.decode_clips(path, [numbers], 16, times)
        np.testing.assert_array_equal(clip[0], passed[numbers[0]][0])


@settings(deadline=None, max_examples=30)
@given(
    name=st.sampled_from(["open_pyramid.mkv", "gop12.avi", "mpeg2.ts", "flat.mp4"]),
    wanted=st.sets(st.integers(0, FRAMES - 1), max_size=8).map(sorted),
)
def test_any_frames(files, name, wanted):
    spied = sought(files(name), wanted)
    assert len(spied.decoded) <= FRAMES + 16 * spied.seeks
