from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from pipelines.geometry import Geometry
from pipelines.pictures import SquarePictures, WholePictures
from tests.media import in_form


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
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_central_square_turned_counter_clockwise(height, width, rotation):
    picture = SquarePictures(32, Geometry(rotation)).array(corners(height, width))
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


def rgb(pixels):
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")


def blocks(pixels, down, across):
    """Mean over `down` x `across` pixels each."""
    height, width = pixels.shape[0] // down, pixels.shape[1] // across
    return pixels.reshape(height, down, width, across, 3).mean((1, 3))


GEOMETRIES = [Geometry(turn, mirrored) for turn in (0, 90, 180, 270) for mirrored in (False, True)]


def laid(pixels, geometry):
    return np.rot90(pixels[:, ::-1] if geometry.mirrored else pixels, geometry.rotation // 90)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    ("aspect", "height", "width", "part"),
    [
        (Fraction(1, 2), 32, 64, np.s_[:, :]),  # shown as 32x32
        (Fraction(2), 32, 32, np.s_[:, 8:24]),  # shown as 64x32
        (Fraction(2), 64, 16, np.s_[16:48, :]),  # shown as 32x64
        (Fraction(1), 32, 48, np.s_[:, 8:40]),
    ],
)
def test_the_square_is_square_as_shown(geometry, aspect, height, width, part):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = SquarePictures(8, replace(geometry, aspect=aspect)).array(rgb(pixels))
    square = pixels[part]
    expected = laid(blocks(square, square.shape[0] // 8, square.shape[1] // 8), geometry)
    np.testing.assert_allclose(picture, expected, atol=1)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_whole_pictures_are_scaled_and_upright(geometry):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    whole = WholePictures(16, geometry, pixels="rgb24").frame(rgb(pixels)).to_ndarray()
    np.testing.assert_allclose(whole, laid(blocks(pixels, 2, 2), geometry), atol=1)


@pytest.mark.parametrize(
    ("height", "width", "geometry", "short_side", "size"),
    [
        (576, 720, Geometry(aspect=Fraction(64, 45)), 288, (288, 512)),
        (576, 720, Geometry(90, True, Fraction(64, 45)), 288, (512, 288)),
        (480, 720, Geometry(aspect=Fraction(8, 9)), 1000, (480, 640)),
        (720, 1280, Geometry(), 256, (256, 454)),
        (61, 75, Geometry(), 256, (60, 74)),  # not enlarged, and even
        (2, 400, Geometry(), 256, (2, 400)),
    ],
)
def test_sizes_of_whole_pictures(height, width, geometry, short_side, size):
    picture = WholePictures(short_side, geometry).frame(flat(100, height, width))
    assert (picture.height, picture.width) == size
    assert picture.format.name == "yuv420p"


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
def test_coded_pictures_are_limited_range_bt601_where_nothing_is_told(pixels):
    colour = np.broadcast_to(np.uint8([200, 60, 20]), (32, 32, 3))
    planes = SquarePictures(32, pixels=pixels).frame(rgb(colour)).to_ndarray().reshape(-1)
    luma = 16 + 219 / 255 * (0.299 * 200 + 0.587 * 60 + 0.114 * 20)
    blue = 128 + 224 / 255 * 0.5 * (20 - (luma - 16) * 255 / 219) / (1 - 0.114)
    assert planes[0] == pytest.approx(luma, abs=1)
    assert planes[32 * 32] == pytest.approx(blue, abs=1)


def content(height, width, grey=False):
    """A smooth picture with a value of its own at every place."""
    y, x = np.mgrid[:height, :width]
    colours = [30 + 1.2 * x + 1.2 * y] * 3 if grey else [40 + 2.2 * x, 30 + 2.8 * y, 200 - x - y]
    return np.clip(np.stack(colours, axis=-1), 0, 255).astype(np.uint8)


PIXELS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuvj444p", "yuv411p", "yuv440p", "yuva420p", "nv12"]
PIXELS += ["yuyv422", "yuv420p10le", "yuv422p10le", "yuv444p12le", "gbrp", "gbrp10le", "bgr0", "bgra"]
PIXELS += ["rgba", "argb", "rgb48le", "gray", "gray10le", "gray16le"]


@pytest.mark.parametrize("pixels", PIXELS)
@pytest.mark.parametrize(("height", "width", "left"), [(61, 75, 6), (60, 76, 8), (62, 91, 14)])
def test_every_pixel_format_shows_the_same(pixels, height, width, left):
    shown = content(height, width, pixels.startswith("gray"))
    picture = SquarePictures(24).array(in_form(shown, pixels)).astype(int)
    plain = SquarePictures(24).array(rgb(shown[:, left : left + height])).astype(int)
    assert np.abs(picture - plain)[1:-1, 1:-1].max() <= 4  # colours are coarser at the border
    assert np.abs(picture - plain).mean() < 1.5


def test_colours_are_not_shifted_against_the_light():
    """In an 854 pixels wide frame the square begins at an odd place, between two samples of colour."""
    pixels = np.zeros((48, 86, 3), np.uint8)
    pixels[:, ::2] = 200, 40, 40
    pixels[:, 1::2] = 40, 40, 200
    pixels = pixels.repeat(8, 1)[:48, :86]  # stripes as wide as four samples of colour
    picture = SquarePictures(48).array(in_form(pixels, "yuv420p"))
    middle = picture[:, 2:].reshape(48, -1, 2, 3)[:, :20]
    expected = pixels[:, 18:68][:, 2:].reshape(48, -1, 2, 3)[:, :20]
    assert np.median(np.abs(middle.astype(int) - expected)) <= 3
