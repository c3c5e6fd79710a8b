"""Motion displacements (MD): a decoder's motion vectors on an even grid (paper, section 3.3.1)."""

from collections.abc import Sequence
from typing import NamedTuple

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


class VectorField(NamedTuple):
    """The motion vectors of one frame, and how far away the pictures are to which they point.

    `records` are the bytes of `VECTOR`s, `height` and `width` the size of the coded frame; `back` and
    `ahead` the distances in frames to the pictures that vectors with negative and positive `source`
    refer to, `ahead` 0 where that picture is not known.
    """

    records: bytes
    height: int
    width: int
    back: int = 1
    ahead: int = 0


def vector_bytes(frame) -> bytes:
    """The motion vectors of a decoded frame as the bytes of `VECTOR` records; none for I-frames."""
    # `frame.side_data` would tie the frame to itself, and its pixels would wait for the garbage collector.
    try:
        data = SideDataContainer(frame).get("MOTION_VECTORS")
    except ValueError:  # PyAV does not know the type of another piece of side data, and gives none
        return b""
    return b"" if data is None else bytes(data)


def motion_grids(fields: Sequence[VectorField], cell: int = MACROBLOCK) -> np.ndarray:
    """Displacement since the frame before, cell by cell: float32 `[n, ceil(H/cell), ceil(W/cell), 2]`.

    Channel 0 is x to the right, channel 1 y downwards, in pixels of the coded frame, parts of a pixel
    kept. All `n` fields are of one size; they are rasterised together, which costs a fraction of doing
    it one by one. `cell` is 16, or 8 for residuals, where blocks of H.264 are smaller than macroblocks.

    Motion is divided by the distance of the picture it refers to; vectors to an unknown future picture
    are left out. FFmpeg exports no block that reaches beyond its 16x16 macroblock. A cell's value is the
    mean over the area that vectors cover, a block with two vectors counting twice; a macroblock is
    predicted as a whole or not at all, so the mean over the whole cell would differ only where a future
    vector is left out, and then for the worse. Cells without vectors (intra blocks) are 0, the
    displacement of content that is copied from its own place; so are whole grids of I-frames.
    """
    height, width = fields[0].height, fields[0].width
    shape = len(fields), -(-height // cell), -(-width // cell)
    vectors = np.frombuffer(b"".join(field.records for field in fields), VECTOR)
    counts = [len(field.records) // VECTOR.itemsize for field in fields]
    weight, known = _weights(vectors, fields, counts)
    move_x, move_y = weight * vectors["motion_x"], weight * vectors["motion_y"]
    place, area = _parts(vectors, shape, cell)
    place += np.repeat(np.arange(len(fields)) * (shape[1] * shape[2]), counts)
    place, size = place.reshape(-1), np.prod(shape)
    total = np.maximum(np.bincount(place, (area * known).reshape(-1), size), 1)
    grids = np.empty((size, 2), np.float32)
    for channel, move in enumerate((move_x, move_y)):
        moved = np.bincount(place, (area * move).reshape(-1), size)
        np.divide(moved, total, out=grids[:, channel], casting="same_kind")
    return grids.reshape(*shape, 2)


def _weights(
    vectors: np.ndarray, fields: Sequence[VectorField], counts: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """What a vector's motion is multiplied by to be the displacement since the frame before, and whether
    it counts, each `[v]` float32."""
    back = np.array([-field.back for field in fields], np.float32)
    ahead = np.array([field.ahead for field in fields], np.float32)
    distance = np.where(vectors["source"] > 0, ahead.repeat(counts), back.repeat(counts))
    scale = np.maximum(vectors["motion_scale"], 1).astype(np.float32)
    known = (distance != 0).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = known / (distance * scale)
    return np.nan_to_num(weight, copy=False) if not known.all() else weight, known


def _parts(vectors: np.ndarray, shape: tuple[int, int, int], cell: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks cut at the edges of cells: the cell of each part and its area, 0 where a block lacks that part.

    Both `[parts, v]`, with one part for cells of a macroblock and four for cells of 8.
    """
    w, h = vectors["w"].astype(np.int32), vectors["h"].astype(np.int32)
    left, top = vectors["dst_x"] - (w >> 1), vectors["dst_y"] - (h >> 1)
    shift = cell.bit_length() - 1
    if cell == MACROBLOCK:  # no block reaches beyond its macroblock
        row, column, area = (top >> shift)[None], (left >> shift)[None], (h * w)[None]
    else:
        down, right = np.indices((MACROBLOCK // cell,) * 2).reshape(2, -1, 1) * cell
        row, column = (top + down) >> shift, (left + right) >> shift
        area = np.clip(h - down, 0, cell) * np.clip(w - right, 0, cell)
    return _within(row, shape[1]) * shape[2] + _within(column, shape[2]), area.astype(np.float32)


def _within(places: np.ndarray, count: int) -> np.ndarray:
    """Places clipped to 0 .. count - 1; damaged streams have blocks outside the picture."""
    if places.size and (places.min() < 0 or places.max() >= count):
        return np.clip(places, 0, count - 1)
    return places


def quantised(grid: np.ndarray) -> np.ndarray:
    """Displacements in pixels -> int16 sixteenths of a pixel, clipped to what int16 holds."""
    return np.clip(np.rint(grid * MD_UNITS_PER_PIXEL), -32768, 32767).astype(np.int16)
