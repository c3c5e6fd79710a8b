import gc
import itertools
from dataclasses import replace

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.clips import ClipPlan, cells
from pipelines.compressed import CompressedVideo
from pipelines.errors import VideoError
from pipelines.settings import FeatureSettings
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=8, canvas=64, md_frames=0, residual_frames=2, residual_size=32, iframe_size=24
)
WIDTH, HEIGHT, STEP = 192, 160, (3, -2)


def read(path, **changes):
    video = CompressedVideo(path, replace(SETTINGS, **changes))
    return video, list(video.clips())


def inner_motion(clips):
    """Displacements `[n, 2]` in canvas pixels of the cells away from the border."""
    return np.concatenate([clip.md for clip in clips])[:, 2:-2, 2:-2].reshape(-1, 2) / 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compressed")


@pytest.fixture(scope="module")
def panned():
    return media.pan(40, WIDTH, HEIGHT, STEP)


@pytest.mark.parametrize(
    ("name", "codec", "b_frames", "motion", "policy"),
    [
        ("mpeg4.avi", media.MPEG4, 0, "auto", "direct"),
        ("h264.mp4", media.H264, 0, "auto", "direct"),
        ("h264.mkv", media.H264, 0, "auto", "direct"),
        ("raw.264", media.H264, 0, "auto", "direct"),
        ("mpeg1.mpg", "mpeg1video", 0, "auto", "direct"),
        ("mpeg2.mpg", "mpeg2video", 0, "auto", "direct"),
        ("bframes.mp4", media.H264, 2, "auto", "transcode"),
        ("mpeg4_bframes.avi", media.MPEG4, 2, "auto", "transcode"),
        ("mjpeg.avi", "mjpeg", 0, "auto", "transcode"),
        ("forced.mp4", media.H264, 0, "transcode", "transcode"),
        ("divided.mp4", media.H264, 2, "fast", "scaled"),
        ("divided.mpg", "mpeg1video", 2, "fast", "scaled"),
        ("no_vectors.avi", media.MPEG4, 2, "fast", "transcode"),
    ],
)
def test_a_pan_gives_its_motion_within_a_quarter_pixel(folder, panned, name, codec, b_frames, motion, policy):
    path = media.write_video(folder / name, panned, codec, b_frames=b_frames)
    video, clips = read(path, canvas=160, residual_size=40, motion=motion)
    assert video.policy == policy
    assert len(clips) == 5
    found = inner_motion(clips)
    np.testing.assert_allclose(np.median(found, axis=0), STEP, atol=0.25)
    np.testing.assert_allclose(found.mean(0), STEP, atol=0.25 if b_frames == 0 or motion == "auto" else 0.6)


@pytest.mark.parametrize("motion", ["direct", "transcode"])
def test_motion_is_measured_in_canvas_pixels(folder, panned, motion):
    path = media.write_video(folder / f"scaled-{motion}.mp4", panned)
    _, clips = read(path, canvas=112, residual_size=28, motion=motion)
    np.testing.assert_allclose(inner_motion(clips).mean(0), np.array(STEP) * 112 / HEIGHT, atol=0.25)


@pytest.mark.parametrize("motion", ["direct", "transcode"])
@pytest.mark.parametrize(("degrees", "moved"), [(90, (2, 3)), (180, (-3, 2)), (270, (-2, -3))])
def test_motion_is_turned_with_the_picture(folder, panned, motion, degrees, moved):
    whole = media.write_video(folder / "lying.mp4", panned, index_first=True)
    turned = media.turned(whole, folder / f"turned-{degrees}.mp4", degrees)
    _, clips = read(turned, canvas=160, residual_size=40, motion=motion)
    np.testing.assert_allclose(inner_motion(clips).mean(0), moved, atol=0.25)
    lying = read(whole, canvas=160, residual_size=40, motion=motion)[1][0].iframe.astype(int)
    upright = np.rot90(clips[0].iframe, degrees // 90)
    assert np.abs(upright - lying).mean() < 3


@pytest.mark.parametrize("motion", ["direct", "transcode"])
def test_a_still_has_no_motion_and_no_residual(folder, motion):
    path = media.write_video(folder / f"still-{motion}.mp4", [media.texture(96, 96)] * 24, gop=24)
    _, clips = read(path, motion=motion)
    assert not any(clip.md.any() for clip in clips)
    # What is left is noise of the coding.
    assert max(np.abs(clip.rgb_r.astype(int) - 128).mean() for clip in clips) < 2


@pytest.mark.parametrize("motion", ["direct", "transcode"])
def test_residuals_of_a_pan_are_small(folder, panned, motion):
    path = media.write_video(folder / f"residual-{motion}.mp4", panned)
    _, clips = read(path, canvas=160, residual_size=160, motion=motion)
    still, moved = np.abs(np.diff(np.stack(panned).astype(int), axis=0)).mean(), []
    moved = [np.abs(clip.rgb_r[:, 32:-32, 32:-32].astype(int) - 128).mean() for clip in clips]
    assert max(moved) < 0.4 * still


@pytest.mark.parametrize("motion", ["direct", "transcode"])
def test_accumulated_residuals_are_against_the_i_frame(folder, motion):
    # Pictures without motion that brighten by 3 levels a frame, a key frame every 12; clips of 8.
    pictures = [np.full((96, 96, 3), 60 + 3 * number, np.uint8) for number in range(36)]
    path = media.write_video(folder / "bright.avi", pictures, media.MPEG4)
    for form, expected in (("step", lambda since: 3), ("accumulated", lambda since: 3 * since)):
        _, clips = read(path, motion=motion, residual=form, residual_frames=0)
        found = np.concatenate([clip.rgb_r for clip in clips])[:, 16, 16, 1].astype(int) - 128
        every = [number % 12 for number in range(36) if number % 12]
        np.testing.assert_allclose(found, [expected(since) for since in every], atol=3.5)
        # The first P-frame of each half clip; the frames between are carried over.
        _, clips = read(path, motion=motion, residual=form, residual_frames=2)
        few = np.concatenate([clip.rgb_r for clip in clips])[:, 16, 16, 1].astype(int) - 128
        firsts = [1 if start % 12 == 0 else start % 12 for start in range(0, 36, 4)]
        np.testing.assert_allclose(few, [expected(since) for since in firsts], atol=3.5)


def taken_by_hand(offsets, span, wanted):
    """How many cells of a clip hold a P-frame at one of the `offsets`."""
    bounds = cells(span, wanted)
    return sum(any(a <= offset < b for offset in offsets) for a, b in itertools.pairwise(bounds))


@pytest.mark.parametrize(("frames", "step", "gop"), [(8, 1, 12), (5, 2, 4), (7, 3, 250), (4, 1, 1)])
@pytest.mark.parametrize(("md", "residuals"), [(0, 2), (3, 0), (100, 1)])
def test_shapes_counts_and_times(folder, frames, step, gop, md, residuals):
    path = media.write_video(folder / f"gop{gop}.mkv", media.noise(47, 64, 48), media.MPEG4, gop=gop)
    video, clips = read(path, clip_frames=frames, clip_step=step, md_frames=md, residual_frames=residuals)
    plan = ClipPlan(47, frames, step)
    assert [clip.index for clip in clips] == list(range(plan.count))
    for clip in clips:
        start, stop = plan.bounds(clip.index)
        offsets = [number - start for number in range(start, stop) if number % gop]
        assert clip.md.shape == (taken_by_hand(offsets, plan.span, md), 4, 4, 2)
        assert clip.rgb_r.shape == (taken_by_hand(offsets, plan.span, residuals), 32, 32, 3)
        assert clip.iframe.shape == (24, 24, 3)
        assert (clip.md.dtype, clip.rgb_r.dtype, clip.iframe.dtype) == (np.int16, np.uint8, np.uint8)
        assert clip.start_s == pytest.approx(start / media.FPS, abs=0.002)
        assert clip.end_s == pytest.approx(stop / media.FPS, abs=0.002)
    assert video.timing.count == 47
    assert video.timing.keyframes == list(range(0, 47, gop))
    assert video.damage == []


@pytest.mark.parametrize("b_frames", [0, 2])
def test_times_are_those_of_the_original_stream(folder, b_frames):
    path = media.write_video(
        folder / f"times{b_frames}.mp4", media.noise(47, 64, 48), gop=20, b_frames=b_frames
    )
    timings = [read(path, motion=motion)[0].timing for motion in ("fast", "transcode")]
    assert timings[0] == timings[1]
    assert timings[0].keyframes == [0, 20, 40]
    assert timings[0].seekable


def test_the_iframe_is_the_first_of_the_clip_or_the_last_before_it(folder):
    pictures = [np.full((48, 64, 3), 5 * number, np.uint8) for number in range(48)]
    path = media.write_video(folder / "iframes.avi", pictures, media.MPEG4, gop=20)
    _, clips = read(path)
    assert [round(clip.iframe.mean() / 5) for clip in clips] == [0, 0, 20, 20, 20, 40]


@settings(deadline=None, max_examples=12)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 3))
def test_as_many_clips_as_the_plan_says(folder, count, frames, step):
    path = folder / f"plan{count}.avi"
    if not path.exists():
        media.write_video(path, media.pan(count, 48, 48), media.MPEG4)
    plan = ClipPlan(count, frames, step)
    if plan.count == 0:
        with pytest.raises(VideoError, match=f"plan{count}.avi: {count} frames, shorter than one clip"):
            read(path, clip_frames=frames, clip_step=step)
    else:
        assert len(read(path, clip_frames=frames, clip_step=step)[1]) == plan.count


@pytest.mark.parametrize("make", [media.empty_file, media.text_file])
def test_unusable_files_are_refused_by_name(tmp_path, make):
    with pytest.raises(VideoError, match=r"bad\.mp4: "):
        read(make(tmp_path / "bad.mp4"))


def test_sound_alone_and_one_frame_are_refused_by_name(tmp_path):
    with pytest.raises(VideoError, match=r"sound\.mp4: has no video stream"):
        read(media.write_sound(tmp_path / "sound.mp4", media.tone(1)))
    with pytest.raises(VideoError, match=r"one.mp4: 1 frames, shorter than one clip"):
        read(media.write_video(tmp_path / "one.mp4", media.pan(1, 64, 48)))


@pytest.mark.parametrize(
    ("codec", "name"), [(media.H264, "a.mp4"), (media.MPEG4, "a.avi"), (media.H264, "a.mkv")]
)
@pytest.mark.parametrize("motion", ["auto", "transcode"])
def test_damage_in_the_middle_is_reported_and_reading_goes_on(tmp_path, codec, name, motion):
    whole = media.write_video(tmp_path / name, media.noise(60), codec, index_first=name.endswith("mp4"))
    damaged = media.scratched(whole, tmp_path / f"scratched-{name}", length=3000)
    video, clips = read(damaged, motion=motion)
    assert len(clips) == ClipPlan(video.timing.count, 8).count
    assert video.timing.count > 45
    assert video.damage


def test_an_interrupted_download_is_reported(tmp_path):
    whole = media.write_video(tmp_path / "whole.mp4", media.noise(60), index_first=True)
    video, clips = read(media.cut_off(whole, tmp_path / "cut.mp4"))
    assert 2 <= len(clips) <= 5
    assert any("of the 60 frames that the file announces" in sentence for sentence in video.damage)


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("motion", ["direct", "transcode"])
def test_the_size_may_change_midway(tmp_path, motion):
    first = media.write_video(tmp_path / "1.264", media.pan(24, 96, 64, (2, 0)))
    second = media.write_video(tmp_path / "2.264", media.pan(24, 128, 96, (3, 0)))
    video, clips = read(
        joined(tmp_path / "both.264", first, second), canvas=96, residual_size=24, motion=motion
    )
    assert video.timing.count == 48
    assert len(clips) == 6
    np.testing.assert_allclose(inner_motion(clips[:3]).mean(0), (3, 0), atol=0.3)
    np.testing.assert_allclose(inner_motion(clips[3:]).mean(0), (3, 0), atol=0.3)


def test_b_frames_that_no_header_announces_are_divided_and_remarked(tmp_path):
    first = media.write_video(tmp_path / "1.264", media.pan(120, WIDTH, HEIGHT, STEP))
    second = media.write_video(tmp_path / "2.264", media.pan(40, WIDTH, HEIGHT, STEP), b_frames=2)
    video, clips = read(joined(tmp_path / "late.264", first, second), canvas=160, residual_size=40)
    assert video.policy == "direct"
    assert len(clips) == ClipPlan(video.timing.count, 8).count
    assert any("B-frames from frame" in sentence for sentence in video.damage)
    np.testing.assert_allclose(np.median(inner_motion(clips[-4:]), axis=0), STEP, atol=0.25)


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def frames_alive():
    # By type, for asking every object for its class would wake lazy ones of other packages.
    return sum(issubclass(type(thing), av.VideoFrame) for thing in gc.get_objects())


@pytest.mark.parametrize("motion", ["fast", "transcode"])
def test_frames_are_freed_without_the_garbage_collector(folder, no_collector, motion):
    path = media.write_video(folder / f"freed-{motion}.mp4", media.pan(48, 64, 48), b_frames=2)
    before, most = frames_alive(), 0
    for _ in CompressedVideo(path, replace(SETTINGS, motion=motion)).clips():
        most = max(most, frames_alive() - before)
    assert most <= 12
    assert frames_alive() <= before + 2  # each of the two closed files may keep an unused one


def test_clips_can_be_read_again_and_left_off(folder):
    path = media.write_video(folder / "again.mp4", media.pan(24, 64, 48))
    video = CompressedVideo(path, SETTINGS)
    first = next(video.clips())
    again = list(video.clips())
    np.testing.assert_array_equal(first.md, again[0].md)
    assert len(again) == 3
    assert video.timing.count == 24
