from scsampler_tf.board.drawn import drawn_epochs, name_of, shown_videos
from tests.scsampler_tf.records import record


def test_short_trainings_are_drawn_after_every_epoch():
    assert drawn_epochs(0) == frozenset()
    assert drawn_epochs(1) == {1}
    assert drawn_epochs(3) == {1, 2, 3}


def test_of_longer_ones_the_first_the_last_and_ten_in_all():
    """19 epochs: every second one."""
    assert drawn_epochs(19) == {1, 3, 5, 7, 9, 11, 13, 15, 17, 19}
    assert {1, 400} < drawn_epochs(400)
    assert len(drawn_epochs(400)) == 10


def test_videos_of_different_classes_come_first():
    """Two classes: the first videos of both, then the second ones."""
    videos = [record(name, label) for name, label in zip("abcde", "yyyxx", strict=True)]
    assert [video.video_id for video in shown_videos(videos)] == ["d", "a", "e", "b"]
    assert [video.video_id for video in shown_videos(videos[:3])] == ["a", "b", "c"]
    assert shown_videos([]) == []


def test_of_many_classes_evenly_spaced_ones():
    """Of ten by name the first, the fourth, the seventh and the last."""
    videos = [record(f"v{label}", label) for label in "jihgfedcba"]
    assert [video.label for video in shown_videos(videos)] == ["a", "d", "g", "j"]


def test_a_name_tells_number_class_and_file():
    assert name_of(2, record("x", "spin")) == "2 spin x.mp4"
    assert len(name_of(1, record("y" * 200))) == 80
