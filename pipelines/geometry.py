"""How a player shows a coded picture: quarter turns, mirroring, pixels that are not square."""

import math
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer

WIDEST_PIXEL = 5  # real pixels are at most about twice as wide as high; what is beyond this is a mistake
ROUNDING = Fraction(1, 100)  # 340x256 made of 4:3 pictures says 256:255


@dataclass(frozen=True)
class Geometry:
    """How a player shows the coded picture.

    Pixels are `aspect` times as wide as high; the picture is mirrored left to right if `mirrored`, then
    turned by `rotation` degrees counter-clockwise, a multiple of 90.
    """

    rotation: int = 0
    mirrored: bool = False
    aspect: Fraction = Fraction(1)

    def shown_size(self, height: int, width: int) -> tuple[Fraction, Fraction]:
        """Height and width as shown, in units of a coded pixel's height, of a coded picture."""
        shown = Fraction(height), width * self.aspect
        return shown if self.rotation % 180 == 0 else shown[::-1]

    def square(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Left, top, width and height, in coded pixels, of the part that is shown as the central square.

        Left and top are even, so that the colours of 4:2:0 pictures stay in place; the square is up to a
        pixel and a half off the middle for that.
        """
        wide, high = width, height
        if width * self.aspect > height:
            wide = max(1, round(height / self.aspect))
        else:
            high = max(1, round(width * self.aspect))
        return (width - wide) // 2 & ~1, (height - high) // 2 & ~1, wide, high

    def pictures(self, pictures: np.ndarray) -> np.ndarray:
        """Coded pictures `[..., h, w, c]` mirrored and turned; pixels keep their shape."""
        if self.mirrored:
            pictures = pictures[..., ::-1, :]
        return np.rot90(pictures, self.rotation // 90, axes=(-3, -2))

    def grids(self, grids: np.ndarray) -> np.ndarray:
        """Motion grids `[..., h, w, 2]` mirrored and turned like the picture: cells move, vectors turn.

        Channel 0 is x to the right, 1 y downwards. With an odd number of quarter turns h and w change
        places. Lengths stay those of coded pixels; pixels that are not square are `CanvasGrid`'s business.
        """
        if not self.mirrored and self.rotation % 360 == 0:
            return grids
        x, y = np.moveaxis(self.pictures(grids), -1, 0)
        if self.mirrored:
            x = -x
        for _ in range(self.rotation // 90 % 4):
            x, y = y, -x  # a quarter turn counter-clockwise takes right to up and down to right
        return np.stack((x, y), axis=-1)


UPRIGHT = Geometry()


def frame_geometry(frame: av.VideoFrame, stream: av.VideoStream | None = None) -> Geometry:
    """What the frame's display matrix and the stream's pixel aspect ratio say.

    Turns are rounded to quarters. PyAV's frames do not tell their aspect ratio, so without the `stream`
    pixels count as square.
    """
    rotation, mirrored = _orientation(frame)
    ratio = getattr(frame, "sample_aspect_ratio", None)
    if not ratio and stream is not None:
        ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Geometry(rotation, mirrored, plausible_aspect(ratio))


def plausible_aspect(ratio: Fraction | None) -> Fraction:
    """A pixel's width over its height; 1 where it is missing, absurd or what rounding of sizes leaves."""
    if not ratio or not Fraction(1, WIDEST_PIXEL) <= ratio <= WIDEST_PIXEL or abs(ratio - 1) < ROUNDING:
        return Fraction(1)
    return Fraction(ratio)


def _orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    try:
        matrix = SideDataContainer(frame).get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know the type of another piece of side data, and gives none
        return round(frame.rotation / 90) * 90 % 360, False
    if matrix is None:
        return 0, False
    return orientation(struct.unpack("=9i", bytes(matrix)[:36]))


def orientation(matrix: tuple[int, ...]) -> tuple[int, bool]:
    """Rotation and mirroring of a display matrix, nine numbers row by row.

    A coded pixel (x, y), y downwards, is shown at (a*x + c*y, b*x + d*y) where the rows of the matrix are
    (a, b, u), (c, d, v), (left, top, w).
    """
    a, b, _, c, d = matrix[:5]
    mirrored = a * d - b * c < 0
    right, down = (-a, -b) if mirrored else (a, b)  # where the mirrored picture's right goes
    return round(math.degrees(math.atan2(-down, right)) / 90) * 90 % 360, mirrored
