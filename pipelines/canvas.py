"""The canvas: the upright central square of a picture, on which motion and residuals are measured."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from pipelines.geometry import UPRIGHT, Geometry
from pipelines.motion import VectorField, motion_grids
from pipelines.settings import MACROBLOCK


class CanvasGrid:
    """Carries native grids of frames of one size over to the upright central square of `canvas` pixels.

    The square is that of `SquarePictures` with the same geometry. Each canvas cell is the mean of the
    native cells under it, weighted by overlap, holes counting as 0.
    """

    def __init__(self, height: int, width: int, canvas: int, geometry: Geometry = UPRIGHT) -> None:
        self._geometry = geometry
        left, top, wide, high = self._geometry.square(height, width)
        self._down = _overlaps(height, top, high, canvas)
        self._across = _overlaps(width, left, wide, canvas).T.copy()
        self._scale = np.array([canvas / wide, canvas / high], np.float32)

    def __call__(self, native: np.ndarray) -> np.ndarray:
        """`[..., ceil(H/16), ceil(W/16), 2]` in frame pixels -> `[..., g, g, 2]` float32 in canvas pixels."""
        mean = np.moveaxis(self._down @ np.moveaxis(native, -1, 0) @ self._across, 0, -1)
        return self._geometry.grids(mean * self._scale)


class CanvasGrids:
    """Motion vectors of frames straight to the canvas; streams may change their size midway."""

    def __init__(self, canvas: int, geometry: Geometry = UPRIGHT) -> None:
        self._canvas, self._geometry = canvas, geometry
        self._size: tuple[int, int] | None = None
        self._grid: CanvasGrid | None = None

    def __call__(self, fields: Sequence[VectorField]) -> np.ndarray:
        """Displacements `[n, g, g, 2]` float32 in canvas pixels; frames of one size are done together."""
        parts = [np.empty((0, *[self._canvas // MACROBLOCK] * 2, 2), np.float32)]
        for size, same in groupby(fields, key=lambda field: (field.height, field.width)):
            if size != self._size:
                self._size, self._grid = size, CanvasGrid(*size, self._canvas, self._geometry)
            parts.append(self._grid(motion_grids(list(same))))
        return np.concatenate(parts)


def _overlaps(length: int, start: int, side: int, canvas: int) -> np.ndarray:
    """Share of each canvas cell that each native cell covers: `[g, ceil(length/16)]`, rows sum to 1.

    The canvas lies over `side` pixels from `start` on.
    """
    edges = start + np.linspace(0, side, canvas // MACROBLOCK + 1)
    native = np.arange(-(-length // MACROBLOCK) + 1) * float(MACROBLOCK)
    overlap = np.minimum(edges[1:, None], native[None, 1:]) - np.maximum(edges[:-1, None], native[None, :-1])
    return (np.maximum(overlap, 0) / np.diff(edges)[:, None]).astype(np.float32)
