"""Motion displacements (MD): a decoder's motion vectors on an even grid (paper, section 3.3.1)."""

import numpy as np
from av.sidedata.sidedata import SideDataContainer

from pipelines.settings import MACROBLOCK, MD_UNITS_PER_PIXEL

VECTOR = np.dtype(
    [
        ("source", "<i4"),
        ("w", "u1"),
        ("h", "u1"),
        ("src_x", "<i2"),
        ("src_y", "<i2"),
        ("dst_x", "<i2"),
        ("dst_y", "<i2"),
        ("flags", "<u8"),
        ("motion_x", "<i4"),
        ("motion_y", "<i4"),
        ("motion_scale", "<u2"),
    ],
    align=True,
)
"""FFmpeg's AVMotionVector: `src = dst + motion / motion_scale`; `dst` is the middle of the block."""


def frame_vectors(frame) -> np.ndarray:
    """The motion vectors `[n]` of a decoded frame as `VECTOR` records; none for I-frames."""
    # `frame.side_data` would tie the frame to itself, and its pixels would wait for the garbage collector.
    data = SideDataContainer(frame).get("MOTION_VECTORS")
    return np.frombuffer(b"" if data is None else bytes(data), VECTOR)


def native_grid(vectors: np.ndarray, height: int, width: int, back: int = 1, ahead: int = 0) -> np.ndarray:
    """Displacement since the frame before, of each 16x16 cell: float32 `[ceil(H/16), ceil(W/16), 2]`.

    Channel 0 is x to the right, channel 1 y downwards, in pixels of the coded frame. `back` and `ahead`
    are the distances in frames to the pictures that vectors with negative and positive `source` point
    to; motion is divided by them, and vectors to an unknown future picture (`ahead` 0) are left out.
    FFmpeg exports no block that reaches beyond its 16x16 macroblock, so a block lies in one cell with
    its whole area. A cell's value is the mean over the area that vectors cover, a block with two
    vectors counting twice; a macroblock is predicted as a whole or not at all, so the mean over the
    whole cell would differ only where a future vector is left out, and then for the worse. Cells
    without vectors (intra blocks) are 0, the displacement of content that is copied from its own place.
    """
    rows, columns = -(-height // MACROBLOCK), -(-width // MACROBLOCK)
    ahead_of = vectors["source"] > 0
    area = vectors["w"].astype(np.float32) * vectors["h"]
    if ahead == 0:
        area *= ~ahead_of
    distance = np.where(ahead_of, -max(ahead, 1), back) * np.maximum(vectors["motion_scale"], 1)
    weight = area / -distance
    row = np.minimum(np.maximum(vectors["dst_y"] >> 4, 0), rows - 1).astype(np.intp)
    cell = row * columns + np.minimum(np.maximum(vectors["dst_x"] >> 4, 0), columns - 1)
    covered = np.bincount(cell, area, rows * columns)
    grid = np.empty((rows * columns, 2), np.float32)
    grid[:, 0] = np.bincount(cell, weight * vectors["motion_x"], rows * columns)
    grid[:, 1] = np.bincount(cell, weight * vectors["motion_y"], rows * columns)
    grid /= np.maximum(covered, 1)[:, None]
    return grid.reshape(rows, columns, 2)


class CanvasGrid:
    """Carries native grids of frames of one size over to the upright central square of `canvas` pixels.

    Each canvas cell is the mean of the native cells under it, weighted by overlap, holes counting as 0.
    """

    def __init__(self, height: int, width: int, canvas: int, rotation: int = 0) -> None:
        self._scale = canvas / min(height, width)
        self._down = _overlaps(height, width, canvas)
        self._across = _overlaps(width, height, canvas).T.copy()
        self._turns = rotation // 90 % 4

    def __call__(self, native: np.ndarray) -> np.ndarray:
        """`[ceil(H/16), ceil(W/16), 2]` in frame pixels -> `[g, g, 2]` float32 in canvas pixels."""
        x, y = self._down @ np.moveaxis(native, 2, 0) @ self._across
        for _ in range(self._turns):  # a quarter turn counter-clockwise takes right to up and down to right
            x, y = np.rot90(y), -np.rot90(x)
        return np.stack((x, y), axis=-1) * np.float32(self._scale)


def _overlaps(length: int, other: int, canvas: int) -> np.ndarray:
    """Share of each canvas cell that each native cell covers: `[g, ceil(length/16)]`, rows sum to 1."""
    side = min(length, other)
    edges = (length - side) / 2 + np.linspace(0, side, canvas // MACROBLOCK + 1)
    native = np.arange(-(-length // MACROBLOCK) + 1) * float(MACROBLOCK)
    overlap = np.minimum(edges[1:, None], native[None, 1:]) - np.maximum(edges[:-1, None], native[None, :-1])
    return (np.maximum(overlap, 0) / np.diff(edges)[:, None]).astype(np.float32)


def quantised(grid: np.ndarray) -> np.ndarray:
    """Displacements in pixels -> int16 sixteenths of a pixel, clipped to what int16 holds."""
    return np.clip(np.rint(grid * MD_UNITS_PER_PIXEL), -32768, 32767).astype(np.int16)
