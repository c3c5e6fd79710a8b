import weakref

import numpy as np
import pytest

from pipelines import video
from pipelines.pictures import SquarePictures
from pipelines.video import decode_clips
from pipelines.video_file import decoded_frames
from tests import media
from tests.pipelines.test_video import FORMS, FRAMES, SIZE, WANTED, assert_same, read


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chosen")
    frames = media.noise(FRAMES)
    paths = {name: media.write_video(folder / name, frames, **form) for name, form in FORMS.items()}
    return {name: (path, *read(path)) for name, path in paths.items()}


@pytest.mark.parametrize("name", ["bframes.mp4", "mpeg4.avi", "raw.264"])
def test_overlapping_clips_cost_each_picture_once(files, name, monkeypatch):
    path, pictures, times = files[name]
    made = []
    array = SquarePictures.array
    monkeypatch.setattr(SquarePictures, "array", lambda *given: made.append(1) or array(*given))
    wanted = [np.arange(start, start + 16) for start in (10, 10, 12, 20, 24, 60)]
    assert_same(decode_clips(path, wanted, SIZE, times), wanted, pictures)
    assert len(made) == (40 - 10) + (76 - 60)


@pytest.mark.parametrize("name", ["gop12.mp4", "raw.264"])
def test_clips_come_in_the_order_asked_for(files, name):
    path, pictures, times = files[name]
    wanted = [np.arange(60, 64), np.array([5, 3, 4, 3]), np.arange(58, 70, 3), np.arange(2, 6)]
    assert_same(decode_clips(path, wanted, SIZE, times), wanted, pictures)


def test_pictures_are_held_only_while_a_clip_needs_them():
    alive = weakref.WeakSet()

    def pictures():
        for number in range(40):
            picture = np.full(1, number).view(Tracked)
            alive.add(picture)
            yield number, picture

    most = 0
    wanted = [list(range(start, start + 8)) for start in range(0, 33, 4)]  # each shares half with the next
    for clip, numbers in zip(video._clips(wanted, pictures()), wanted, strict=True):
        assert clip.tolist() == [[number] for number in numbers]
        most = max(most, len(alive))
    assert most == 8


class Tracked(np.ndarray):
    def __hash__(self):
        return id(self)

    def __eq__(self, other):
        return self is other


def test_a_pass_ends_with_the_last_frame_wanted(files, monkeypatch):
    path, pictures, times = files["raw.264"]
    read = []

    def spied(*given):
        for frame in decoded_frames(*given):
            read.append(frame.pts)
            yield frame

    monkeypatch.setattr(video, "decoded_frames", spied)
    assert_same(decode_clips(path, [[20, 21], [3]], SIZE, times), [[20, 21], [3]], pictures)
    assert len(read) == 22


@pytest.mark.parametrize("name", FORMS)
def test_without_times_the_file_is_scanned(files, name):
    path, pictures, _ = files[name]
    assert_same(decode_clips(path, WANTED, SIZE), WANTED, pictures)


def test_frames_before_the_first_are_a_mistake(files):
    path, _, times = files["gop12.mp4"]
    with pytest.raises(IndexError, match="frame -1"):
        list(decode_clips(path, [[-1, 0]], SIZE, times))
