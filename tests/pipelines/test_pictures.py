import av
import numpy as np
import pytest

from pipelines.pictures import SquarePictures


def flat(luma, height=48, width=64, pixels="yuv420p", color_range=None, colorspace=None, chroma=(128, 128)):
    frame = av.VideoFrame(width, height, pixels)
    for plane, value in zip(frame.planes, (luma, *chroma), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    if color_range is not None:
        frame.color_range = color_range
    if colorspace is not None:
        frame.colorspace = colorspace
    return frame


def corners(height, width):
    """Grey, with a white patch at the left end of the top of the central square."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side // 4, left : left + side // 4] = 250
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


@pytest.mark.parametrize(
    ("pixels", "color_range", "black", "white"),
    [("yuv420p", None, 16, 235), ("yuv420p", 2, 0, 255), ("yuvj420p", None, 0, 255)],
)
def test_black_and_white_are_full_range(pixels, color_range, black, white):
    pictures = SquarePictures(16)
    assert pictures.array(flat(black, pixels=pixels, color_range=color_range)).max() <= 1
    assert pictures.array(flat(white, pixels=pixels, color_range=color_range)).min() >= 254


def test_the_colour_matrix_of_the_frame_counts():
    red_601 = SquarePictures(16).array(flat(100, chroma=(90, 200), colorspace=5))[0, 0].astype(int)
    red_709 = SquarePictures(16).array(flat(100, chroma=(90, 200), colorspace=1))[0, 0].astype(int)
    # 1.164 * (Y - 16) + 1.596 * (V - 128) for BT.601 and 1.793 for BT.709
    assert red_601[0] == pytest.approx(1.164 * 84 + 1.596 * 72, abs=3)
    assert red_709[0] == pytest.approx(1.164 * 84 + 1.793 * 72, abs=3)


def test_yuv_pictures_are_limited_range_and_keep_the_matrix():
    picture = SquarePictures(16, pixels="yuv420p").frame(flat(255, color_range=2, colorspace=1))
    assert picture.to_ndarray()[0, 0] == pytest.approx(235, abs=1)
    assert picture.color_range == 1
    assert picture.colorspace == 1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 112), (112, 64)])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270, -90])
def test_central_square_turned_counter_clockwise(height, width, rotation):
    picture = SquarePictures(32, rotation).array(corners(height, width))
    assert picture.shape == (32, 32, 3)
    upright = np.rot90(picture, -rotation // 90)
    assert upright[1:6, 1:6].min() > 230
    assert upright[10:].max() < 90
    assert upright[:, 10:].max() < 90


def test_frames_may_change_size_and_format_midway():
    pictures = SquarePictures(16)
    for frame in (flat(235), flat(235, 30, 50), flat(255, pixels="yuvj420p"), corners(40, 40)):
        assert pictures.array(frame).shape == (16, 16, 3)


def test_shrinking_averages_instead_of_dropping_lines():
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 200
    picture = SquarePictures(16).array(av.VideoFrame.from_ndarray(stripes, format="rgb24"))
    assert np.abs(picture.astype(int) - 100).max() <= 4


@pytest.mark.parametrize("axis", [0, 1])
def test_colours_are_as_fine_as_the_picture(axis):
    red_and_blue = np.zeros((128, 128, 3), np.uint8)
    red_and_blue[..., 0], red_and_blue[..., 2] = 200, 20
    stripe = np.arange(128) // 16 % 2 == 1
    red_and_blue[stripe] = (20, 0, 200)
    if axis:
        red_and_blue = red_and_blue.transpose(1, 0, 2)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(red_and_blue), format="rgb24")
    small = SquarePictures(16).array(frame.reformat(format="yuv420p")).astype(int)
    assert np.abs(small - red_and_blue[4::8, 4::8]).max() < 12


@pytest.mark.parametrize("colorspace", [3, 8, 14])
def test_unheard_of_colour_matrices_are_taken_for_the_usual_one(colorspace):
    strange = SquarePictures(16).array(flat(100, chroma=(90, 200), colorspace=colorspace))
    usual = SquarePictures(16).array(flat(100, chroma=(90, 200)))
    np.testing.assert_array_equal(strange, usual)
