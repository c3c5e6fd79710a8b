import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest

from pipelines.audio import SoundReader
from tests import media

RATE = 16000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("audio")


@pytest.fixture(scope="module")
def silent(folder):
    return media.write_video(folder / "silent.mp4", media.pan(25, 64, 48))


def add_sound(silent, path, pieces, codec="pcm_s16le", rate=RATE):
    """Puts `pieces`, (start in seconds, samples `[n]`) each, as a sound track beside the pictures."""
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream(codec, rate=rate, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                target.mux(packet)
        for start_s, samples in pieces:
            for first in range(0, len(samples), 1024):
                block = np.asarray(samples[first : first + 1024], np.float32)[None]
                frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(start_s * rate) + first
                target.mux(audio.encode(frame))
        target.mux(audio.encode(None))
    return path


def noise(seconds, rate=RATE, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, round(seconds * rate)).astype(np.float32)


def near(samples, expected):
    np.testing.assert_allclose(samples, expected, atol=1 / 16384)  # 16 bits a sample


def test_windows_before_within_and_behind_the_sound(folder, silent):
    sound = noise(1)
    with SoundReader(add_sound(silent, folder / "plain.mkv", [(0, sound)]), RATE, 0) as reader:
        for first in (-500, -100, 0, 700, 700, 5000, 15500, 20000):
            samples, covered = reader.window(first, 1000)
            assert (samples.dtype, covered.dtype) == (np.float32, bool)
            numbers = np.arange(first, first + 1000)
            inside = (numbers >= 0) & (numbers < len(sound))
            np.testing.assert_array_equal(covered, inside)
            near(samples, np.where(inside, sound[np.clip(numbers, 0, len(sound) - 1)], 0))


def test_a_window_longer_than_the_sound_and_an_empty_one(folder, silent):
    sound = noise(0.5)
    with SoundReader(add_sound(silent, folder / "short.mkv", [(0, sound)]), RATE, 0) as reader:
        assert [part.shape for part in reader.window(0, 0)] == [(0,), (0,)]
        samples, covered = reader.window(0, 3 * RATE)
        assert covered.sum() == len(sound)
        near(samples[: len(sound)], sound)


def test_seconds_count_from_the_first_picture(folder, silent):
    sound = noise(0.5)
    path = add_sound(silent, folder / "late.mkv", [(0.25, sound)])
    with SoundReader(path, RATE, 0) as reader:
        samples, covered = reader.window(0, RATE)
    assert covered.nonzero()[0][[0, -1]].tolist() == [4000, 11999]
    near(samples[4000:12000], sound)
    with SoundReader(path, RATE, 0.5) as reader:  # the first picture is shown at 0.5 s
        samples, covered = reader.window(-RATE, 2 * RATE)
    assert covered.nonzero()[0][[0, -1]].tolist() == [12000, 19999]
    near(samples[12000:20000], sound)


def test_a_hole_is_not_covered_and_does_not_move_what_follows(folder, silent):
    first, second = noise(0.4, seed=1), noise(0.3, seed=2)
    path = add_sound(silent, folder / "hole.mkv", [(0, first), (0.6, second)])
    with SoundReader(path, RATE, 0) as reader:
        samples, covered = reader.window(0, RATE)
    expected = np.zeros(RATE, bool)
    expected[:6400] = expected[9600:14400] = True
    np.testing.assert_array_equal(covered, expected)
    near(samples[:6400], first)
    near(samples[9600:14400], second)


def test_a_hole_of_hours_costs_no_memory(folder, silent):
    path = add_sound(silent, folder / "hours.mkv", [(0, noise(0.2)), (30_000, noise(0.2))])
    tracemalloc.start()
    with SoundReader(path, RATE, 0) as reader:
        assert reader.window(0, RATE)[1].sum() == 3200
        assert reader.window(30_000 * RATE, RATE)[1].sum() == 3200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_timestamps_that_jitter_make_no_hole(folder, silent):
    sound = noise(1)
    jitter = np.random.default_rng(3).uniform(0, 0.02, 15)
    pieces = [(place * 1024 / RATE + jitter[place], sound[place * 1024 :][:1024]) for place in range(15)]
    with SoundReader(add_sound(silent, folder / "jitter.mkv", pieces), RATE, jitter[0]) as reader:
        samples, covered = reader.window(0, 15 * 1024)
    assert covered[16:].all()  # Matroska's times are whole milliseconds
    lag = int(np.argmax(np.correlate(samples[200:3000], sound[300:2000], "valid")))
    assert abs(lag - 100) <= 16


def test_resampled_sound_stays_in_step(folder, silent):
    rate = 44100
    sound = np.zeros(20 * rate, np.float32)
    clicks = np.arange(1, 20) * rate
    sound[clicks] = 0.9
    path = add_sound(silent, folder / "resampled.mkv", [(0, sound)], rate=rate)
    with SoundReader(path, 15984, 0) as reader:
        samples, covered = reader.window(0, 20 * 15984)
    assert covered.mean() > 0.999
    for second in range(1, 20):
        around = np.abs(samples[second * 15984 - 300 : second * 15984 + 300])
        assert abs(int(around.argmax()) - 300) <= 2


def test_a_hole_late_in_resampled_sound_is_found(folder, silent):
    rate = 44100  # 1024 samples are 371.5 at 16 kHz: rounding each packet would hide the hole
    path = add_sound(
        silent, folder / "late_hole.mkv", [(0, noise(60, rate)), (60.3, noise(0.5, rate))], rate=rate
    )
    with SoundReader(path, RATE, 0) as reader:
        covered = reader.window(59 * RATE, 2 * RATE)[1]
    assert abs(int((~covered).sum()) - (0.3 + 0.2) * RATE) < 0.01 * RATE
    assert covered[: int(0.99 * RATE)].all()
    assert not covered[int(1.01 * RATE) : int(1.29 * RATE)].any()


def test_long_sound_is_read_in_bounded_memory(folder, silent):
    rate = 8000
    path = add_sound(silent, folder / "long.mkv", [(0, media.tone(300, rate=rate))], rate=rate)
    tracemalloc.start()
    with SoundReader(path, rate, 0) as reader:
        covered = sum(int(reader.window(second * rate, rate)[1].sum()) for second in range(300))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert covered == 300 * rate
    assert peak < 1e6


def test_samples_that_need_no_conversion_and_damaged_ones(folder, silent):
    sound = noise(0.2)
    sound[[10, 20, 30]] = np.nan, np.inf, -7
    path = add_sound(silent, folder / "float.mkv", [(0, sound)], codec="pcm_f32le")
    with SoundReader(path, RATE, 0) as reader:
        samples, covered = reader.window(0, RATE)
    assert covered.sum() == len(sound)
    assert samples[[10, 20, 30]].tolist() == [0, 1, -1]
    np.testing.assert_array_equal(samples[31:3200], sound[31:])


def test_sound_whose_format_changes_goes_on(folder):
    frames, parts = media.pan(25, 64, 48), []
    for rate in (16000, 32000):
        path = media.write_video(
            folder / f"{rate}.ts", frames, sound=media.tone(1, rate=rate), sound_rate=rate
        )
        parts.append(path.read_bytes())
    (folder / "both.ts").write_bytes(b"".join(parts))
    with SoundReader(folder / "both.ts", RATE, 0) as reader:
        samples, covered = reader.window(0, 5 * RATE)
    assert covered.sum() > 1.9 * RATE
    spectrum = np.abs(np.fft.rfft(samples[covered][-RATE:-2000]))
    assert abs(spectrum.argmax() * RATE / (RATE - 2000) - 440) < 2


def test_sound_that_cannot_be_decoded_is_no_sound(folder):
    path = media.write_video(folder / "aac.mkv", media.pan(25, 64, 48), sound=media.tone(1))
    odd = folder / "odd.mkv"
    odd.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_QQQ"))
    with SoundReader(odd, RATE, 0) as reader:
        assert not reader.window(0, RATE)[1].any()


def test_a_cut_off_file_ends_its_sound(folder):
    whole = media.write_video(folder / "whole.mp4", media.noise(50), sound=media.tone(2), index_first=True)
    with SoundReader(media.cut_off(whole, folder / "cut.mp4", 0.6), RATE, 0) as reader:
        covered = reader.window(0, 2 * RATE)[1]
    assert 0 < covered.sum() < 1.9 * RATE


def test_a_name_with_a_colon(folder, silent):
    path = add_sound(silent, folder / "part 1: start.mkv", [(0, noise(0.5))])
    with SoundReader(path, RATE, 0) as reader:
        assert reader.window(0, RATE)[1].any()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("default", [0, 1])
def test_of_several_streams_the_default_one_is_heard(folder, silent, suffix, default):
    path = folder / f"two{default}{suffix}"
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        streams = [target.add_stream("aac", rate=RATE, layout="mono") for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.disposition = av.stream.Disposition(int(number == default))
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                target.mux(packet)
        for stream, hertz in zip(streams, (440, 1000), strict=True):
            for first in range(0, RATE, 1024):
                block = media.tone(1, hertz)[None, first : first + 1024]
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
    with SoundReader(path, RATE, 0) as reader:
        samples, covered = reader.window(0, RATE)
    assert covered.all()
    assert abs(int(np.abs(np.fft.rfft(samples)).argmax()) - (440, 1000)[default]) <= 2


def test_a_stream_without_a_decoder_gives_way_to_one_that_has_one(folder):
    single = media.write_video(folder / "single.mkv", media.pan(25, 64, 48), sound=media.tone(1))
    path = folder / "half_odd.mkv"
    with av.open(str(single)) as source, av.open(str(single)) as again, av.open(str(path), "w") as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        streams.append(target.add_stream_from_template(again.streams.audio[0]))
        packets = [(packet, streams[packet.stream_index]) for packet in source.demux()]
        packets += [(packet, streams[2]) for packet in again.demux(audio=0)]
        for packet, stream in packets:
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_QQQ", 1))
    with av.open(str(path)) as container:
        assert [stream.codec_context is None for stream in container.streams.audio] == [True, False]
    with SoundReader(path, RATE, 0) as reader:
        assert reader.window(0, RATE)[1].mean() > 0.95
