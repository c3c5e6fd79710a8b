"""Block motion compensation: what a picture would be if the content of the one before had only moved."""

from collections.abc import Sequence

import numpy as np

SUBPEL = 16  # steps a pixel; 255 * 16 * 16 and the half that rounds still fit into 16 bits
FEW = 0.4  # where no more cells have moved, copying the picture and fetching those alone is faster


class BlockWarp:
    """Predicts planes of a picture cell by cell: prediction(y, x) = before(y - dy, x - dx).

    `shape` is (planes, height, width): planes of one size that move together. `block` is (rows, columns)
    of a cell in their pixels; cells at the right and lower edge may reach beyond the picture. What lies
    outside the picture repeats its border, however far away. `subpel` chooses between whole pixels
    (displacements are rounded, halves to the even neighbour) and bilinear between pixels, in sixteenths.
    """

    def __init__(self, shape: tuple[int, int, int], block: tuple[int, int], subpel: bool = False) -> None:
        planes, height, width = shape
        rows, columns = block
        self.grid = (-(-height // rows), -(-width // columns))
        """Cells (down, across)."""
        self._shape, self._block = shape, block
        self._subpel = subpel
        self._unit = SUBPEL if subpel else 1
        # A cell is fetched from one cell to the left of the picture at the furthest, or from its last column
        # on; there it sees nothing but border, as it would further out. So a rim of one cell is enough.
        kind = np.uint16 if subpel else np.uint8
        self._padded = np.zeros((planes, height + 2 * rows, width + 2 * columns), kind)
        self._near, self._far = self._reach()
        self._unmoved = self._starts()
        self._sources = np.empty_like(self._unmoved)
        self._runs = self._overlapping_runs()
        self._covered = (planes, self.grid[0] * rows, self.grid[1] * columns)
        if not subpel:
            places = np.arange(self._unmoved.size, dtype=np.intp)
            self._cell_sources = _by_cell(self._unmoved)
            self._cell_targets = _by_cell(places.reshape(self._unmoved.shape))

    def _reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest step of each cell to its source, x then y, in units: `[gh, gw, 2]` float32."""
        (_, height, width), (rows, columns) = self._shape, self._block
        home = np.stack(np.indices(self.grid)[::-1], axis=-1) * [columns, rows]
        near, far = [-columns, -rows] - home, [width - 1, height - 1] - home
        return (near * self._unit).astype(np.float32), (far * self._unit).astype(np.float32)

    def _starts(self) -> np.ndarray:
        """Where each row of each unmoved cell starts in the buffer: `[planes, gh, rows (+ 1), gw]`."""
        (rows, columns), (_, tall, wide) = self._block, self._padded.shape
        plane = np.arange(self._shape[0]).reshape(-1, 1, 1, 1)
        down = np.arange(1, self.grid[0] + 1).reshape(-1, 1, 1) * rows
        down = down + np.arange(rows + self._subpel).reshape(-1, 1)
        across = np.arange(1, self.grid[1] + 1) * columns
        return ((plane * tall + down) * wide + across).astype(np.intp)

    def _overlapping_runs(self) -> np.ndarray:
        """The buffer as one run of pixels from each place on, as long as a cell is wide (+ 1).

        So one lookup fetches a whole row of a cell; a lookup costs the same whatever it fetches.
        """
        flat = self._padded.reshape(-1)
        length = self._block[1] + self._subpel
        run = np.dtype(f"V{length * flat.itemsize}")
        return np.ndarray((flat.size - length + 1,), run, flat, strides=(flat.itemsize,))

    def fill(self, planes: Sequence[np.ndarray]) -> None:
        """Sets the picture before: `planes`, uint8 `[height, width]` each."""
        (_, height, width), (rows, columns) = self._shape, self._block
        inner = self._padded[:, rows : rows + height]
        for target, plane in zip(inner, planes, strict=True):
            target[:, columns : columns + width] = plane
        inner[..., :columns] = inner[..., columns, None]
        inner[..., columns + width :] = inner[..., columns + width - 1, None]
        self._padded[:, :rows] = inner[:, :1]
        self._padded[:, rows + height :] = inner[:, -1:]

    def __call__(self, displacement: np.ndarray) -> np.ndarray:
        """The prediction, uint8 `[planes, height, width]`: a view of what `cells` gives."""
        _, height, width = self._shape
        return self.cells(displacement)[:, :height, :width]

    def cells(self, displacement: np.ndarray) -> np.ndarray:
        """The prediction up to the end of the last cells, uint8 `[planes, gh * rows, gw * columns]`.

        `displacement` float32 `[gh, gw, 2]`: how far the content of each cell has moved since the picture
        before, x to the right, then y downwards, in pixels of these planes. Raises `ValueError` for a
        grid of another size.
        """
        if displacement.shape != (*self.grid, 2):
            raise ValueError(f"displacement of {displacement.shape}, but the planes have {self.grid} cells")
        steps = np.rint(displacement * np.float32(-self._unit))
        np.maximum(steps, self._near, out=steps)
        np.minimum(steps, self._far, out=steps)
        steps = steps.astype(np.intp)
        if self._subpel:
            cells = self._fetched(self._away(steps >> 4))
            return self._between(cells, steps & (SUBPEL - 1)).reshape(self._covered)
        away = self._away(steps)
        moved = np.flatnonzero(away)
        if len(moved) < FEW * away.size:
            return self._patched(away.reshape(-1)[moved], moved)
        return self._fetched(away).reshape(self._covered)

    def _away(self, whole: np.ndarray) -> np.ndarray:
        """Steps of whole pixels `[gh, gw, 2]` as distances in the buffer `[gh, gw]`."""
        return whole[..., 1] * self._padded.shape[-1] + whole[..., 0]

    def _fetched(self, away: np.ndarray) -> np.ndarray:
        """All cells from elsewhere: `[planes, gh, rows (+ 1), gw * columns (+ 1)]`."""
        np.add(self._unmoved, away[:, None], out=self._sources)
        return self._runs[self._sources].view(self._padded.dtype)

    def _patched(self, away: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """The picture before, with the cells numbered `moved` from elsewhere: `away` `[n]`."""
        (rows, columns), (_, tall, wide) = self._block, self._covered
        picture = self._padded[:, rows : rows + tall, columns : columns + wide].copy()
        sources = self._cell_sources[moved]
        sources += away[:, None]
        picture.reshape(-1).view(self._runs.dtype)[self._cell_targets[moved]] = self._runs[sources]
        return picture

    def _between(self, cells: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Bilinear over cells that were fetched with one row and one column more than they have.

        `cells` `[planes, gh, rows + 1, gw * (columns + 1)]` uint16, `part` `[gh, gw, 2]` in sixteenths.
        """
        run = self._block[1] + 1
        x, y = part.astype(np.uint16).repeat(run, axis=1)[:, None].transpose(3, 0, 1, 2)
        steps = np.uint16(SUBPEL)
        # Whole arrays are added, a pixel or a row apart. So the last pixel of each run gets something of the
        # next run; it is left out in the end.
        right = cells * x
        mixed = cells * (steps - x)
        mixed.reshape(-1)[:-1] += right.reshape(-1)[1:]
        below = mixed[:, :, 1:] * y
        mixed = mixed[:, :, :-1] * (steps - y)
        mixed += below
        mixed += steps * steps // np.uint16(2)
        mixed >>= np.uint16(8)
        kept = np.ndarray(mixed.size // run, f"V{run - 1}", mixed.astype(np.uint8), strides=(run,))
        return kept.copy().view(np.uint8)


def _by_cell(runs: np.ndarray) -> np.ndarray:
    """`[planes, gh, rows, gw]` -> `[gh * gw, planes * rows]`."""
    planes, down, rows, across = runs.shape
    return runs.transpose(1, 3, 0, 2).reshape(down * across, planes * rows)
