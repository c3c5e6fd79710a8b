import av
import numpy as np
import pytest

from pipelines.motion import VECTOR, vector_bytes
from pipelines.pictures import SquarePictures
from pipelines.transcode import GOP, transcoded
from tests import media

I_PICTURE, P_PICTURE = av.video.frame.PictureType.I, av.video.frame.PictureType.P


def coded(frames, size, **options):
    return [frame for frame, _ in transcoded(frames, SquarePictures(size, pixels="yuv420p"), **options)]


def frame_vectors(frame):
    return np.frombuffer(vector_bytes(frame), VECTOR)


def fed(pictures):
    """Frames of an odd decoder: timestamps missing, every picture type asked for."""
    for number, pixels in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pict_type = number % 4
        yield frame


@pytest.mark.parametrize("count", [0, 1, 12, 13, 40])
def test_as_many_frames_as_fed_with_key_frames_every_gop(count):
    frames = coded(fed(media.noise(count, 80, 64)), 64)
    assert [frame.pict_type for frame in frames] == [
        P_PICTURE if number % GOP else I_PICTURE for number in range(count)
    ]
    assert all((frame.width, frame.height) == (64, 64) for frame in frames)
    assert all((len(frame_vectors(frame)) > 0) <= (frame.pict_type == P_PICTURE) for frame in frames)


def grey(pictures):
    return [np.repeat(picture[..., :1], 3, axis=-1) for picture in pictures]


def test_frames_come_out_one_by_one_as_they_go_in():
    taken = 0

    def counted():
        nonlocal taken
        for frame in fed(media.pan(30, 64, 64)):
            taken += 1
            yield frame

    square = SquarePictures(64, pixels="yuv420p")
    for number, _ in enumerate(transcoded(counted(), square)):
        assert taken <= number + 2  # memory stays the same however long the video


def test_pictures_are_in_order_and_close_to_what_was_fed():
    pictures = grey(media.pan(20, 64, 64, step=(3, 1)))
    for picture, frame in zip(pictures, coded(fed(pictures), 64), strict=True):
        assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture).mean() < 3


def test_vectors_all_refer_to_the_frame_before_and_carry_the_pan():
    moved = []
    for frame in coded(fed(media.pan(20, 96, 96, step=(2, -1))), 96):
        vectors = frame_vectors(frame)
        assert (vectors["source"] == -1).all()
        assert (vectors["motion_scale"] == 2).all()
        inner = (np.abs(vectors["dst_x"] - 48) < 30) & (np.abs(vectors["dst_y"] - 48) < 30)
        moved.extend(-vectors["motion_x"][inner] / 2 + -1j * vectors["motion_y"][inner] / 2)
    assert np.mean(moved) == pytest.approx(2 - 1j, abs=0.1)


def test_without_pixels_the_vectors_are_the_same():
    pictures = media.pan(20, 96, 96, step=(2, -1))
    whole, small = (coded(fed(pictures), 96, pixels=pixels) for pixels in (True, False))
    for frame, shrunk in zip(whole, small, strict=True):
        assert shrunk.width == 24
        for name in VECTOR.names:
            np.testing.assert_array_equal(frame_vectors(frame)[name], frame_vectors(shrunk)[name])


def test_the_size_may_change_midway():
    class AsTheyAre:
        def frame(self, frame):
            return frame.reformat(format="yuv420p")

    pictures = grey(media.noise(5, 64, 48) + media.noise(9, 96, 80))
    found = list(transcoded(fed(pictures), AsTheyAre()))
    assert [size for _, size in found] == [(48, 64)] * 5 + [(80, 96)] * 9
    assert [frame.pict_type for frame, _ in found] == ([I_PICTURE] + [P_PICTURE] * 4) + (
        [I_PICTURE] + [P_PICTURE] * 8
    )
    for picture, (frame, _) in zip(pictures, found, strict=True):
        assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture).mean() < 5


def test_colours_survive_a_matrix_that_the_stream_cannot_name():
    frame = av.VideoFrame(64, 64, "yuv420p")
    for plane, value in zip(frame.planes, (100, 90, 200), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace = 1  # BT.709, where red is 13 brighter than in BT.601
    (out,) = coded([frame], 64)
    colours = [SquarePictures(16).array(shown)[8, 8].astype(int) for shown in (frame, out)]
    assert np.abs(colours[1] - colours[0]).max() <= 3
