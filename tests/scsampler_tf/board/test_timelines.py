import numpy as np
import pytest

from pipelines.settings import FeatureSettings
from scsampler_tf.board.guard import Guard
from scsampler_tf.board.log import Log
from scsampler_tf.board.thumbnails import Thumbnails
from scsampler_tf.board.timelines import SaliencyTimeline, TimelineJob, most_salient, paint
from tests.scsampler_tf.board.events import runs_of
from tests.scsampler_tf.records import record

SETTINGS = FeatureSettings(clip_frames=10)
ORANGE, GREEN = (228, 87, 46), (63, 143, 85)


def near(picture, colour) -> np.ndarray:
    return np.argwhere((abs(np.asarray(picture).astype(int) - colour) < 30).all(axis=2))


def test_the_most_salient_clips_in_order_of_time():
    """Of equal ones the earlier; a clip with nothing to hear comes last."""
    saliency = np.array([0.5, np.nan, 0.75, 0.5, 0.25])
    assert most_salient(saliency, 2) == [0, 2]
    assert most_salient(saliency, 3) == [0, 2, 3]
    assert most_salient(saliency, 9) == [0, 1, 2, 3, 4]


def test_a_video_that_has_gone_still_has_its_timeline(tmp_path, capsys):
    """Drawn after epochs 1 and 3 without thumbnails, which is said once."""
    video = record("gone", frames=40, segments=[[1.0, 2.0]])
    saliency = {1: [0.9, 0.1, 0.2, 0.3], 3: [0.1, 0.2, 0.3, 0.9]}
    asked = []

    def now(of):
        asked.append(of.video_id)
        return np.float32(saliency[epoch])

    log = Log(tmp_path, Guard(), apart=False)
    panel = SaliencyTimeline(
        1, video, SETTINGS, now, K=1, drawn=frozenset({1, 3}), thumbnails=Thumbnails(), scores=np.ones(4)
    )
    for epoch in (1, 2, 3):
        panel.after_epoch(log, epoch, {})
    log.close()
    assert asked == ["gone", "gone"]
    pictures = runs_of(tmp_path)["validation"].pictures("timeline/1 a gone.mp4")
    assert {step: picture.size for step, picture in pictures.items()} == {1: (880, 368), 3: (880, 368)}
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("TensorBoard: no thumbnails of /videos/gone.mp4: ")
    # The chosen clip is the first quarter of the time, then the last one; the action is the second quarter.
    pale = (250, 213, 203)
    first, last = (near(pictures[step].crop((68, 180, 868, 280)), pale)[:, 1] for step in (1, 3))
    assert (first.min(), first.max()) == pytest.approx((0, 200), abs=3)
    assert (last.min(), last.max()) == pytest.approx((600, 799), abs=3)
    action = near(pictures[1].crop((68, 280, 868, 330)), GREEN)[:, 1]
    assert (action.min(), action.max()) == pytest.approx((200, 400), abs=3)


def job(known, decode=True) -> TimelineJob:
    video = record("gone", frames=40)
    return TimelineJob(video, SETTINGS, 1, np.float32([0, 1, 0, 1]), [1, 3], None, known, decode)


def test_known_thumbnails_are_not_decoded_again():
    blue = np.full((96, 96, 3), (0, 0, 255), np.uint8)
    painted = paint(job({1: blue, 3: blue}))
    assert painted.lost is None
    assert painted.decoded == {}
    painted = paint(job({1: blue}, decode=False))
    assert painted.lost is None
    painted = paint(job({1: blue}))
    assert "gone.mp4" in str(painted.lost)
