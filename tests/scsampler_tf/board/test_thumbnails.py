import numpy as np
import pytest

from pipelines.errors import VideoError
from pipelines.index import VideoRecord
from pipelines.settings import FeatureSettings
from pipelines.video import scan_times
from scsampler_tf.board.thumbnails import SIDE, Thumbnails, decoded
from tests import media
from tests.scsampler_tf.records import record

SETTINGS = FeatureSettings(clip_frames=8, clip_step=2)


def grey(level):
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def test_pictures_are_kept_in_bounded_memory():
    """Of three for which there is room two stay: what was asked for last, and what came last."""
    kept = Thumbnails(most=2)
    kept.keep("a", {0: grey(0), 1: grey(1)})
    assert list(kept.known("a", [0])) == [0]
    kept.keep("b", {0: grey(2)})
    assert list(kept.known("a", [0, 1])) == [0]
    assert kept.known("b", [0])[0][0, 0, 0] == 2
    assert kept.known("c", [0]) == {}


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> VideoRecord:
    """64 frames that grow brighter, four clips of 16."""
    path = tmp_path_factory.mktemp("video") / "grows.mp4"
    levels = [np.full((64, 96, 3), 3 * number + 20, np.uint8) for number in range(64)]
    media.write_video(path, levels, media.H264)
    return record("grows", frames=64, clips=4, path=str(path), timing=scan_times(path).to_dict())


def test_a_thumbnail_is_the_middle_frame_of_its_clip(video):
    """Clip 1 holds frames 16, 18, ... 30; of its 8 pictures the fifth, frame 24, is 3 * 24 + 20 = 92."""
    pictures = decoded(video, SETTINGS, [3, 1])
    assert {clip: picture.shape for clip, picture in pictures.items()} == dict.fromkeys((1, 3), (96, 96, 3))
    assert pictures[1].mean() == pytest.approx(92, abs=3)
    assert pictures[3].mean() == pytest.approx(3 * 56 + 20, abs=3)
    assert decoded(video, SETTINGS, []) == {}


def test_a_video_that_has_gone_is_a_video_error():
    with pytest.raises(VideoError, match=r"gone\.mp4"):
        decoded(record("gone"), SETTINGS, [0])
