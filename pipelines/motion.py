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


def quantised(grid: np.ndarray) -> np.ndarray:
    """Displacements in pixels -> int16 sixteenths of a pixel, clipped to what int16 holds."""
    return np.clip(np.rint(grid * MD_UNITS_PER_PIXEL), -32768, 32767).astype(np.int16)
