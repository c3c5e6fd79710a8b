import itertools
import math
from fractions import Fraction

import av
import numpy as np
import pytest

from pipelines import geometry
from pipelines.geometry import UPRIGHT, Geometry, frame_geometry, orientation, plausible_aspect

ONE = 1 << 16
# Every way to lay a picture on a table: quarter turns of both of its faces, as (a, b, c, d).
LAYINGS = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]
GEOMETRIES = [Geometry(turn, mirrored) for turn in (0, 90, 180, 270) for mirrored in (False, True)]


def shown_by_hand(pixels, laying):
    """Pixel (x, y) goes to (a*x + c*y, b*x + d*y), and all are moved together into the picture."""
    a, b, c, d = laying
    height, width = pixels.shape[:2]
    places = {(a * x + c * y, b * x + d * y): pixels[y, x] for y in range(height) for x in range(width)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    shown = np.zeros((width, height, 3) if a == 0 else pixels.shape, pixels.dtype)
    for (x, y), value in places.items():
        shown[y - top, x - left] = value
    return shown


@pytest.mark.parametrize("laying", LAYINGS)
def test_a_display_matrix_becomes_turns_and_mirroring(laying):
    a, b, c, d = laying
    geometry = Geometry(*orientation((a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)))
    pixels = np.arange(2 * 3 * 3).reshape(2, 3, 3)
    np.testing.assert_array_equal(geometry.pictures(pixels), shown_by_hand(pixels, laying))


def test_the_eight_layings_are_eight_geometries():
    found = {orientation((a, b, 0, c, d, 0, 0, 0, 1)) for a, b, c, d in LAYINGS}
    assert found == {(geometry.rotation, geometry.mirrored) for geometry in GEOMETRIES}


@pytest.mark.parametrize(("degrees", "rotation"), [(84, 90), (-100, 270), (179, 180), (359, 0), (20, 0)])
@pytest.mark.parametrize("scale", [ONE, 3 * ONE, ONE // 2])
def test_slanting_pictures_are_turned_by_the_nearest_quarter(degrees, rotation, scale):
    cosine = round(scale * math.cos(math.radians(degrees)))
    sine = round(scale * math.sin(math.radians(degrees)))
    # counter-clockwise: right goes up, that is to negative y
    assert orientation((cosine, -sine, 0, sine, cosine, 0, 0, 0, 1)) == (rotation, False)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_motion_follows_the_picture(geometry):
    for x, y, right, down in itertools.product((0, 2), (1, 3), (-1, 0, 2), (-1, 1)):
        before, after = np.zeros((2, 9, 7, 1))
        before[y + 2, x + 2] = after[y + 2 + down, x + 2 + right] = 1
        grids = np.zeros((3, 9, 7, 2))
        grids[1, y + 2, x + 2] = right, down
        shown = geometry.grids(grids)
        start = np.argwhere(geometry.pictures(before)[..., 0])[0]
        end = np.argwhere(geometry.pictures(after)[..., 0])[0]
        assert shown[1, start[0], start[1]].tolist() == (end - start)[::-1].tolist()
        assert np.count_nonzero(shown) == np.count_nonzero(grids)
        np.testing.assert_array_equal(geometry.grids(grids[1]), shown[1])


@pytest.mark.parametrize(
    ("height", "width", "aspect", "box"),
    [
        (576, 720, Fraction(64, 45), (156, 0, 405, 576)),  # 1024x576 as shown, 576 of it are 405 pixels
        (480, 720, Fraction(8, 9), (90, 0, 540, 480)),  # 640x480
        (480, 854, Fraction(1), (186, 0, 480, 480)),  # not 187: colours lie on even places
        (854, 480, Fraction(1), (0, 186, 480, 480)),
        (61, 75, Fraction(1), (6, 0, 61, 61)),
        (100, 100, Fraction(1, 2), (0, 24, 100, 50)),
        (64, 64, Fraction(1), (0, 0, 64, 64)),
        (1, 5, Fraction(5), (2, 0, 1, 1)),
    ],
)
def test_the_central_square_as_shown(height, width, aspect, box):
    assert Geometry(aspect=aspect).square(height, width) == box


def test_shown_size():
    wide = Geometry(aspect=Fraction(64, 45))
    assert wide.shown_size(576, 720) == (576, 1024)
    assert Geometry(270, True, Fraction(64, 45)).shown_size(576, 720) == (1024, 576)


@pytest.mark.parametrize(
    ("ratio", "aspect"),
    [
        (None, 1),
        (Fraction(0, 1), 1),
        (Fraction(1000), 1),
        (Fraction(1, 99), 1),
        (Fraction(-1), 1),
        (Fraction(256, 255), 1),
        (Fraction(64, 45), Fraction(64, 45)),
        (Fraction(1, 2), Fraction(1, 2)),
    ],
)
def test_absurd_aspect_ratios_count_as_square(ratio, aspect):
    assert plausible_aspect(ratio) == aspect


def test_a_frame_without_a_matrix_is_upright():
    assert frame_geometry(av.VideoFrame(16, 16, "yuv420p")) == UPRIGHT


def test_side_data_that_pyav_does_not_know_leaves_the_rotation(monkeypatch):
    def refuse(_):
        raise ValueError("31 is not a valid Type")

    class Frame:
        rotation = -91

    monkeypatch.setattr(geometry, "SideDataContainer", refuse)
    assert frame_geometry(Frame()) == Geometry(270)
