import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.clips import ClipPlan
from pipelines.compressed import CompressedVideo
from pipelines.decoding import ClipJob, center_crop, decode_all, decode_job, draw_clips
from pipelines.errors import UserError, VideoError
from pipelines.index import VideoRecord
from pipelines.settings import FeatureSettings
from pipelines.video import iter_clips
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=4, clip_step=2, canvas=32, md_frames=0, residual_frames=1, residual_size=16, iframe_size=16
)


def record(path="/none.mp4", frames=30, timing=None, **changes):
    plan = ClipPlan(frames, SETTINGS.clip_frames, SETTINGS.clip_step)
    timing = timing or {"time_base": "1/25", "fps": 25, "keyframes": [0], "pts": list(range(frames))}
    values = {
        "video_id": "v", "path": str(path), "label": "run", "split": "train", "clips": plan.count,
        "frames": frames, "fps": 25.0, "duration_s": frames / 25, "has_audio": False, "codec": "h264",
        "policy": "direct", "shard": "v.tfrecord", "timing": timing,
    }  # fmt: skip
    return VideoRecord(**{**values, **changes})


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    path = media.write_video(tmp_path_factory.mktemp("decoding") / "v.mp4", media.noise(30))
    video = CompressedVideo(path, SETTINGS)
    assert len(list(video.clips())) == 4
    return record(path, video.timing.count, video.timing.to_dict())


@settings(deadline=None)
@given(st.integers(8, 200), st.integers(1, 12), st.integers(0, 99))
def test_clips_drawn_anywhere(frames, count, seed):
    video = record(frames=frames)
    clips = draw_clips(video, SETTINGS, count, False, np.random.default_rng(seed))
    assert len(clips) == count
    for clip in clips:
        assert np.diff(clip).tolist() == [2, 2, 2]
        assert clip[0] >= 0
        assert clip[0] + SETTINGS.span <= frames
    assert sorted(clip[0] for clip in clips) == [clip[0] for clip in clips]
    again = draw_clips(video, SETTINGS, count, False, np.random.default_rng(seed))
    np.testing.assert_array_equal(clips, again)


segment = st.tuples(st.floats(0, 9), st.floats(0.01, 3)).map(lambda pair: [pair[0], pair[0] + pair[1]])


@settings(deadline=None)
@given(st.lists(segment, min_size=1, max_size=4), st.integers(0, 99))
def test_clips_drawn_inside_the_action(segments, seed):
    video = record(frames=200, segments=segments)  # 8 seconds: segments may lie behind its end
    span, last = SETTINGS.span, 200 - SETTINGS.span
    bounds = [(min(round(25 * a), 199), min(round(25 * b), 200)) for a, b in segments]
    for clip in draw_clips(video, SETTINGS, 6, True, np.random.default_rng(seed)):
        start = clip[0]
        assert 0 <= start <= last
        assert any(min(a, last) <= start <= max(b - span, a) for a, b in bounds)


def test_every_start_is_drawn_and_long_segments_more_often():
    video = record(frames=200, segments=[[0, 1], [4, 8]])
    rng = np.random.default_rng(0)
    starts = [clip[0] for clip in draw_clips(video, SETTINGS, 4000, True, rng)]
    assert set(starts) == {*range(18), *range(100, 193)}
    assert np.mean(np.array(starts) >= 100) == pytest.approx(93 / (93 + 18), abs=0.02)
    anywhere = [clip[0] for clip in draw_clips(video, SETTINGS, 4000, False, rng)]
    assert set(anywhere) == set(range(193))


def test_segments_of_a_video_whose_frame_rate_varies():
    # 200 frames in 20 s though the file calls itself 25 fps: seconds 10-20 are its second half
    video = record(frames=200, duration_s=20.0, segments=[[10, 20]])
    starts = [clip[0] for clip in draw_clips(video, SETTINGS, 200, True, np.random.default_rng(0))]
    assert min(starts) >= 100
    assert max(starts) > 180


def test_central_squares():
    pictures = np.arange(2 * 6 * 6 * 3).reshape(2, 6, 6, 3)
    np.testing.assert_array_equal(center_crop(pictures, 2), pictures[:, 2:4, 2:4])
    np.testing.assert_array_equal(center_crop(pictures, 3), pictures[:, 1:4, 1:4])
    np.testing.assert_array_equal(center_crop(pictures, 6), pictures)
    with pytest.raises(UserError, match="7 pixels cannot be cut out of 6"):
        center_crop(pictures, 7)


def test_all_clips_in_order_in_groups(real):
    expected = np.stack(list(iter_clips(real.path, 4, 2, 40)))
    groups = list(decode_all([real, real], SETTINGS, 40, 32, workers=0, at_once=3))
    assert [len(clips) for _, clips in groups] == [3, 1, 3, 1]
    decoded = np.concatenate([clips for _, clips in groups])
    assert (decoded.dtype, decoded.shape) == (np.uint8, (8, 4, 32, 32, 3))
    for half in (decoded[:4], decoded[4:]):
        np.testing.assert_array_equal(half, expected[:, :, 4:36, 4:36])


def test_a_video_that_is_gone_or_has_changed_is_a_result(real, tmp_path):
    gone = record(tmp_path / "gone.mp4")
    short = record(media.write_video(tmp_path / "short.mp4", media.noise(10)), 30, real.timing)
    groups = list(decode_all([gone, real, short], SETTINGS, 32, 32, workers=0))
    results = [result for _, result in groups]
    assert isinstance(results[0], VideoError)
    assert results[1].shape == (4, 4, 32, 32, 3)
    assert isinstance(results[2], VideoError)
    assert "short.mp4" in str(results[2])


def test_drawn_clips_are_the_frames_they_name(real):
    every = np.concatenate(list(iter_clips(real.path, 30, 1, 32)))
    wanted = draw_clips(real, SETTINGS, 3, False, np.random.default_rng(5))
    clips = decode_job(ClipJob(real, wanted, 32, 32))
    for clip, numbers in zip(clips, wanted, strict=True):
        np.testing.assert_array_equal(clip, every[numbers])
