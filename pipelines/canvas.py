"""The canvas: the upright central square of a picture, on which motion and residuals are measured."""

import numpy as np

from pipelines.settings import MACROBLOCK


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
