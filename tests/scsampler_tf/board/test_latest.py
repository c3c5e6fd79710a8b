from scsampler_tf.board.latest import LatestSaliency
from tests.scsampler_tf.records import record

SHOWN, OTHER = record("shown"), record("other")


def test_what_validation_has_measured_is_not_computed_again():
    """A network whose saliency counts how often it was asked."""
    asked = []

    def saliency(video):
        asked.append(video.video_id)
        return len(asked)

    latest = LatestSaliency(saliency, [SHOWN])
    assert [latest.measure(video) for video in (SHOWN, OTHER, SHOWN)] == [1, 2, 3]
    assert latest(SHOWN) == 3  # the newest, without asking
    assert latest(SHOWN) == 4  # it is of no later epoch, and measured again
    assert latest(OTHER) == 5  # not remembered, as for a video of another process
    assert asked == ["shown", "other", "shown", "shown", "other"]
