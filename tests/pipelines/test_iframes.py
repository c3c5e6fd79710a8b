import numpy as np
import pytest

from pipelines.errors import VideoError
from pipelines.iframes import iframes
from pipelines.video import iter_clips
from tests import media


@pytest.mark.parametrize(
    ("codec", "name"), [(media.H264, "a.mp4"), (media.MPEG4, "a.avi"), (media.H264, "a.mkv")]
)
@pytest.mark.parametrize("b_frames", [0, 2])
def test_the_key_frames_and_nothing_else(tmp_path, codec, name, b_frames):
    path = media.write_video(tmp_path / name, media.noise(30), codec, gop=12, b_frames=b_frames)
    found = list(iframes(path, 32))
    every = np.concatenate(list(iter_clips(path, 1, 1, 32)))
    assert len(found) == 3
    for frame, number in zip(found, (0, 12, 24), strict=True):
        np.testing.assert_array_equal(frame.picture, every[number])
        assert frame.pts_s - found[0].pts_s == pytest.approx(number / media.FPS, abs=0.002)


def test_a_stream_without_times_has_pictures_still(tmp_path):
    found = list(iframes(media.write_video(tmp_path / "raw.264", media.noise(30), gop=10), 16))
    assert [frame.picture.shape for frame in found] == [(16, 16, 3)] * 3


def test_no_video_is_told(tmp_path):
    with pytest.raises(VideoError, match=r"bad\.mp4: "):
        list(iframes(media.text_file(tmp_path / "bad.mp4"), 16))
