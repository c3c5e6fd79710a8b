"""Block motion compensation: what pictures would be if the content of those before had only moved."""

from collections.abc import Sequence

import numpy as np

SUBPEL = 16  # steps a pixel; 255 * 16 * 16 and the half that rounds still fit into 16 bits
FEW = 0.4  # where fewer cells move, by whole pixels, copying the pictures and fetching those alone is faster


class BlockWarp:
    """Predicts planes of pictures cell by cell: prediction(y, x) = before(y - dy, x - dx).

    `shape` is (planes, height, width): planes of one size that move together. `block` is (rows, columns)
    of a cell in their pixels; cells at the right and lower edge may reach beyond the picture. What lies
    outside the picture repeats its border, however far away. `subpel` chooses between whole pixels
    (displacements are rounded, halves to the even neighbour) and bilinear between pixels, in sixteenths.
    Up to `count` pictures are predicted together, each from one of its own.
    """

    def __init__(
        self, shape: tuple[int, int, int], block: tuple[int, int], subpel: bool = False, count: int = 1
    ) -> None:
        planes, height, width = shape
        rows, columns = block
        self.grid = (-(-height // rows), -(-width // columns))
        """Cells (down, across)."""
        self._shape, self._block, self._count = shape, block, count
        self._subpel = subpel
        self._unit = SUBPEL if subpel else 1
        # A cell is fetched from one cell to the left of the picture at the furthest, or from its last column
        # on; there it sees nothing but border, as it would further out. So a rim of one cell is enough.
        self._padded = np.zeros((count, planes, height + 2 * rows, width + 2 * columns), np.uint8)
        self._near, self._far = self._reach()
        self._covered = (planes, self.grid[0] * rows, self.grid[1] * columns)
        if subpel:
            self._corners = self._starts(0)
            self._offsets = self._places_in_cell().reshape(-1, 1)
            return
        self._unmoved = self._starts(np.arange(rows).reshape(-1, 1))
        self._sources = np.empty_like(self._unmoved)
        self._runs = _overlapping_runs(self._padded, columns)
        targets = np.arange(self._unmoved.size, dtype=np.intp).reshape(self._unmoved.shape)
        self._cell_sources, self._cell_targets = _by_cell(self._unmoved), _by_cell(targets)

    def _reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest step of each cell to its source, x then y, in units: `[gh, gw, 2]` float32."""
        (_, height, width), (rows, columns) = self._shape, self._block
        home = np.stack(np.indices(self.grid)[::-1], axis=-1) * [columns, rows]
        near, far = [-columns, -rows] - home, [width - 1, height - 1] - home
        return (near * self._unit).astype(np.float32), (far * self._unit).astype(np.float32)

    def _starts(self, row: np.ndarray | int) -> np.ndarray:
        """Where the given rows of each unmoved cell start in the buffer: `[count, planes, gh, rows, gw]`."""
        (rows, columns), (count, planes, tall, wide) = self._block, self._padded.shape
        plane = np.arange(count * planes).reshape(count, planes, 1, 1, 1)
        down = np.arange(1, self.grid[0] + 1).reshape(-1, 1, 1) * rows + row
        across = np.arange(1, self.grid[1] + 1) * columns
        return ((plane * tall + down) * wide + across).astype(np.intp)

    def _places_in_cell(self) -> np.ndarray:
        """Distances in the buffer from a cell's first pixel to its others, and one row and column more."""
        down, across = np.indices((self._block[0] + 1, self._block[1] + 1))
        return down * self._padded.shape[-1] + across

    def fill(self, pictures: Sequence[Sequence[np.ndarray]]) -> None:
        """Sets the pictures before, at most `count`: the planes of each, uint8 `[height, width]`."""
        (_, height, width), (rows, columns) = self._shape, self._block
        padded = self._padded[: len(pictures)]
        inner = padded[:, :, rows : rows + height]
        for targets, planes in zip(inner, pictures, strict=True):
            for target, plane in zip(targets, planes, strict=True):
                target[:, columns : columns + width] = plane
        inner[..., :columns] = inner[..., columns, None]
        inner[..., columns + width :] = inner[..., columns + width - 1, None]
        padded[:, :, :rows] = inner[:, :, :1]
        padded[:, :, rows + height :] = inner[:, :, -1:]

    def __call__(self, displacements: np.ndarray) -> np.ndarray:
        """The predictions, uint8 `[n, planes, height, width]`: a view of what `cells` gives."""
        _, height, width = self._shape
        return self.cells(displacements)[..., :height, :width]

    def cells(self, displacements: np.ndarray) -> np.ndarray:
        """The predictions up to the end of the last cells, uint8 `[n, planes, gh * rows, gw * columns]`.

        `displacements` float32 `[n, gh, gw, 2]`: how far the content of each cell has moved since the
        picture before, x to the right, then y downwards, in pixels of these planes. Raises `ValueError`
        for more than `count` and for grids of another size.
        """
        most = len(self._padded)
        if len(displacements) > most or displacements.shape[1:] != (*self.grid, 2):
            raise ValueError(f"displacements of {displacements.shape} for {most} times {self.grid} cells")
        steps = displacements * np.float32(-self._unit)
        np.rint(steps, out=steps)
        np.maximum(steps, self._near, out=steps)
        np.minimum(steps, self._far, out=steps)
        steps = steps.astype(np.intp)
        if self._subpel:
            return self._between(self._away(steps >> 4), steps & (SUBPEL - 1))
        away = self._away(steps)
        moved = np.flatnonzero(away)
        if len(moved) < FEW * away.size:
            return self._patched(away, moved)
        sources = self._sources[: len(away)]
        np.add(self._unmoved[: len(away)], away[:, None, :, None], out=sources)
        return self._runs[sources].view(np.uint8).reshape(-1, *self._covered)

    def _away(self, whole: np.ndarray) -> np.ndarray:
        """Steps of whole pixels `[n, gh, gw, 2]` as distances in the buffer `[n, gh, gw]`."""
        return whole[..., 1] * self._padded.shape[-1] + whole[..., 0]

    def _patched(self, away: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """The pictures before, with the cells numbered `moved` from elsewhere."""
        (rows, columns), (_, tall, wide) = self._block, self._covered
        pictures = self._padded[: len(away), :, rows : rows + tall, columns : columns + wide].copy()
        sources = self._cell_sources[moved]
        sources += away.reshape(-1, 1)[moved]
        pictures.reshape(-1).view(self._runs.dtype)[self._cell_targets[moved]] = self._runs[sources]
        return pictures

    def _between(self, away: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Bilinear; `part` `[n, gh, gw, 2]` is what is left of `away` in sixteenths.

        Pixels in the same place of all cells lie side by side meanwhile, so that every step is one over
        long rows of numbers.
        """
        (rows, columns), count, (down, across) = self._block, len(away), self.grid
        corners = self._corners[:count] + away[:, None, :, None]
        pixels = self._padded.reshape(-1).take(self._offsets + corners.reshape(-1))
        pixels = pixels.reshape(rows + 1, columns + 1, count, -1, down * across).astype(np.uint16)
        x, y = part.astype(np.uint16).reshape(count, 1, -1, 2).transpose(3, 0, 1, 2)
        steps = np.uint16(SUBPEL)
        mixed = pixels[:, 1:] * x
        mixed += pixels[:, :-1] * (steps - x)
        lower = mixed[1:] * y
        mixed = mixed[:-1] * (steps - y)
        mixed += lower
        mixed += steps * steps // np.uint16(2)
        mixed >>= np.uint16(8)
        lines = np.empty((rows, mixed[0, 0].size, columns), np.uint8)
        for column in range(columns):
            lines[..., column] = mixed[:, column].reshape(rows, -1)
        lines = lines.reshape(rows, -1, across * columns).swapaxes(0, 1)
        return lines.reshape(count, *self._covered)


def _overlapping_runs(buffer: np.ndarray, length: int) -> np.ndarray:
    """The buffer as one run of `length` pixels from each place on.

    So one lookup fetches a whole row of a cell; a lookup costs the same whatever it fetches.
    """
    flat = buffer.reshape(-1)
    return np.ndarray((flat.size - length + 1,), f"V{length}", flat, strides=(1,))


def _by_cell(places: np.ndarray) -> np.ndarray:
    """`[count, planes, gh, rows, gw]` -> `[count * gh * gw, planes * rows]`."""
    count, planes, down, rows, across = places.shape
    return places.transpose(0, 2, 4, 1, 3).reshape(count * down * across, planes * rows)
