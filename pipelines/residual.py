"""RGB residuals: a frame minus its prediction from the frame before (paper, section 3.3.1).

Codecs do not hand out the residual they store, and for B-frames it refers to other frames. So it is
defined here on pixels: frame minus motion-compensated frame before, plane by plane as videos store
colours. Turning colours into RGB is linear, so the residual is turned rather than two frames.
"""

from collections.abc import Sequence
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from pipelines.pictures import KNOWN_MATRICES, UNTOLD_MATRIX
from pipelines.warp import BlockWarp

SUBSAMPLING = {"yuv420p": (2, 2), "yuv422p": (1, 2), "yuv444p": (1, 1)}
"""Pixels under a chroma sample, (down, across)."""
LIMITED_RANGE, FULL_RANGE = 1, 2
GREY_LUMA = {LIMITED_RANGE: 126, FULL_RANGE: 128}  # (126 - 16) * 255 / 219 is 128.08
BAND = 1 << 17  # pixels that are worked on at a time, so that they stay in the processor's cache
# From release 17 on PyAV converts in as many threads as there are processors; a video has one.
ONE_THREAD = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}


class Residuals:
    """The residuals of one frame after the other, as RGB around 128, at the size of the frames.

    Frames are 8-bit planar YUV with 4:2:0, 4:2:2 or 4:4:4 chroma, of either range. `subpel` chooses the
    warp (see `BlockWarp`). A frame is predicted from the frame before. With `accumulated` it is predicted
    from the frame last given to `start`, carried on by all displacements since. If that is an I-frame,
    this is the accumulated residual of CoViAR (Wu et al. 2018, section 3.2), which traces motion back to
    the I-frame and adds up the residuals met on the way: equal with whole pixels; between pixels every
    prediction is rounded to 8 bits.

    What is cut: first the Y residual to [-128, 127] (full range) or [-126, 129] (limited range) and those
    of U and V to [-128, 127], then 128 + RGB residual to 0..255. The first matters only where a large Y
    residual meets U and V residuals that pull the other way. A pixel without residual is exactly 128, 128,
    128; others are up to 3 off, mostly too low, as FFmpeg's fast converters round down term by term.
    """

    def __init__(self, subpel: bool, accumulated: bool = False) -> None:
        self._subpel, self._accumulated = subpel, accumulated
        self._reference: av.VideoFrame | None = None
        self._layout: _Layout | None = None
        self._most = 0  # frames that are worked on together
        self._groups: list[_Group] = []
        self._picture: _Picture | None = None
        self._before: list[np.ndarray] = []

    def start(self, frame: av.VideoFrame) -> None:
        """Makes `frame` the one that the next is predicted from; costs nothing.

        For the first frame, for I-frames when accumulating and when the size of the frames changes; also
        to pass over frames whose residual nobody wants: start with the last of them.
        """
        self._reference = frame

    def __call__(self, frame: av.VideoFrame, displacement: np.ndarray, cell: int) -> np.ndarray:
        """The RGB residual of the frame that follows, uint8 `[h, w, 3]` around 128; then moves on to it.

        `displacement` float32 `[ceil(h/cell), ceil(w/cell), 2]`: movement of the content of each cell of
        `cell` x `cell` luma pixels since the frame before, x to the right, then y downwards, in luma
        pixels. The result is the caller's; its rows may lie apart in memory. Raises `ValueError` for a pixel
        format not in `SUBSAMPLING`, a size or pixel format other than the frame before has, a grid of the
        wrong size and cells that do not cover whole chroma samples.
        """
        return self.batch([frame], displacement[None], cell)[0]

    def batch(self, frames: Sequence[av.VideoFrame], displacements: np.ndarray, cell: int) -> np.ndarray:
        """The same for the `n` frames that follow, `[n, h, w, 3]`; much faster than one by one.

        `displacements` `[n, ceil(h/cell), ceil(w/cell), 2]`. Also raises `ValueError` for frames of several
        colour matrices.
        """
        self._prepare(frames, displacements, cell)
        if self._picture is None or self._picture.count != len(frames):
            self._picture = _Picture(self._layout, len(frames))
        for first in range(0, len(frames), self._most):
            part = slice(first, first + self._most)
            pictures = [plane_views(frame) for frame in frames[part]]
            self._predict(pictures, displacements[part])
            for group in self._groups:
                group.encode(pictures, [plane[part] for plane in self._picture.planes])
            self._before = self.predictions() if self._accumulated else pictures[-1]
        return self._picture.rgb(frames[0].colorspace)

    def carry(self, displacement: np.ndarray, cell: int) -> None:
        """Moves on over a frame whose residual nobody wants but whose motion the accumulated form needs.

        Raises `ValueError` as a call does.
        """
        self._prepare([], displacement[None], cell)
        self._predict([], displacement[None])
        self._before = self.predictions()

    def plane_residuals(self, frame: av.VideoFrame, displacement: np.ndarray, cell: int) -> list[np.ndarray]:
        """The same before anything is cut: frame minus prediction in Y, U and V, int16 `[h, w]` each.

        Prediction plus residual is the frame, exactly. Does not move on to the frame.
        """
        planes = plane_views(frame)
        self._prepare([frame], displacement[None], cell)
        self._predict([planes], displacement[None])
        pairs = zip(planes, self.predictions(), strict=True)
        return [np.subtract(actual, predicted, dtype=np.int16) for actual, predicted in pairs]

    def predictions(self) -> list[np.ndarray]:
        """What Y, U and V of the last frame were predicted to be, uint8 `[h, w]` each."""
        return [plane for group in self._groups for plane in group.prediction()]

    def _prepare(self, frames: Sequence[av.VideoFrame], displacements: np.ndarray, cell: int) -> None:
        """Checks what follows; makes buffers for all frames together, or for as many as pay."""
        layout = self._common_layout(frames, cell)
        count, grid = len(displacements), (-(-layout.height // cell), -(-layout.width // cell))
        if displacements.shape[1:] != (*grid, 2) or count < len(frames):
            raise ValueError(
                f"displacements of {displacements.shape} for {len(frames)} frames of {grid} cells"
            )
        most = 1 if self._accumulated else min(count, max(1, BAND // (layout.height * layout.width)))
        if layout != self._layout or most > self._most:
            self._layout, self._most = layout, most
            self._groups, self._picture = _groups(layout, self._subpel, most), None
        if self._reference is not None:
            self._before, self._reference = plane_views(self._reference), None

    def _predict(self, pictures: list[list[np.ndarray]], displacements: np.ndarray) -> None:
        """Predicts pictures, given with their planes; without any the one that would follow."""
        for group in self._groups:
            group.predict([self._before, *pictures[:-1]], displacements)

    def _common_layout(self, frames: Sequence[av.VideoFrame], cell: int) -> "_Layout":
        """That of the frames; raises `ValueError` where they differ or do not follow the frame before."""
        before = self._layout if self._reference is None else _layout(self._reference, cell)
        if before is None:
            raise ValueError("the first frame has none before it: start with it")
        for frame in frames:
            if (layout := _layout(frame, cell)) != before:
                raise ValueError(f"a frame of {layout} follows one of {before}: start with it")
        if len({frame.colorspace for frame in frames}) > 1:
            raise ValueError("frames of a batch have one colour matrix")
        return before


def plane_views(frame: av.VideoFrame) -> list[np.ndarray]:
    """The planes of an 8-bit planar frame as arrays `[h, w]` on its own memory."""
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
        views.append(rows if plane.line_size > 0 else rows[::-1])  # flipped frames are stored upside down
    return views


class _Layout(NamedTuple):
    """What a pair of frames must have in common."""

    pixels: str
    height: int
    width: int
    cell: int
    color_range: int


def _layout(frame: av.VideoFrame, cell: int) -> _Layout:
    name = frame.format.name
    pixels = name.replace("yuvj", "yuv")
    if pixels not in SUBSAMPLING:
        raise ValueError(f"{name} is none of {', '.join(SUBSAMPLING)}; convert the frame first")
    if cell < 1 or any(cell % step for step in SUBSAMPLING[pixels]):
        raise ValueError(f"cells of {cell} pixels do not cover whole chroma samples of {pixels}")
    full = pixels != name or frame.color_range == FULL_RANGE
    return _Layout(pixels, frame.height, frame.width, cell, FULL_RANGE if full else LIMITED_RANGE)


def _groups(layout: _Layout, subpel: bool, most: int) -> "list[_Group]":
    """Planes of the same size are handled together."""
    luma, chroma = GREY_LUMA[layout.color_range], SUBSAMPLING[layout.pixels]
    if chroma == (1, 1):
        return [_Group(layout, (1, 1), slice(0, 3), (luma, 128, 128), subpel, most)]
    return [
        _Group(layout, (1, 1), slice(0, 1), (luma,), subpel, most),
        _Group(layout, chroma, slice(1, 3), (128, 128), subpel, most),
    ]


class _Group:
    """Planes of one size of up to `most` frames in a row: their predictions, and what is left of them.

    `greys` are the values that stand for no residual, one a plane.
    """

    def __init__(
        self,
        layout: _Layout,
        step: tuple[int, int],
        planes: slice,
        greys: tuple[int, ...],
        subpel: bool,
        most: int,
    ) -> None:
        self._height, self._width = -(-layout.height // step[0]), -(-layout.width // step[1])
        self._planes = planes
        block = (layout.cell // step[0], layout.cell // step[1])
        self._warp = BlockWarp((len(greys), self._height, self._width), block, subpel, most)
        # As large as a grid: multiplying pairs of numbers by a pair is slow.
        self._scale = np.zeros((*self._warp.grid, 2), np.float32) + np.float32([1 / step[1], 1 / step[0]])
        columns = self._warp.grid[1] * block[1]
        self._band = max(1, min(self._height, BAND // (most * len(greys) * columns)))
        shape = (most, len(greys), self._band, columns)
        self._actual, self._above, self._below = np.zeros((3, *shape), np.uint8)
        # Whole arrays, because NumPy's minimum with a single number is slower by an order of magnitude.
        self._grey = np.zeros(shape, np.uint8) + np.array(greys, np.uint8).reshape(-1, 1, 1)
        self._room = 255 - self._grey

    def predict(self, before: list[list[np.ndarray]], displacements: np.ndarray) -> None:
        """Predicts the pictures that follow those of `before`, given with all their planes."""
        self._warp.fill([planes[self._planes] for planes in before])
        self._predicted = self._warp.cells(displacements * self._scale)

    def prediction(self) -> np.ndarray:
        """That of the last picture."""
        return self._predicted[-1, :, : self._height, : self._width]

    def encode(self, pictures: list[list[np.ndarray]], targets: list[np.ndarray]) -> None:
        """Writes grey + actual - predicted, clipped to 0..255, a band of rows at a time.

        `pictures` are given with all their planes; `targets` `[n, h, w]` are those of all residuals.
        """
        for top in range(0, self._height, self._band):
            rows = slice(top, min(top + self._band, self._height))
            for copies, planes in zip(self._actual, pictures, strict=False):
                for copy, plane in zip(copies, planes[self._planes], strict=True):
                    copy[: rows.stop - top, : self._width] = plane[rows]
            encoded = self._encoded(self._predicted[:, :, rows])
            for number, target in enumerate(targets[self._planes]):
                target[:, rows] = encoded[:, number, :, : self._width]

    def _encoded(self, predicted: np.ndarray) -> np.ndarray:
        """A band that was copied to `_actual`, minus its prediction; in 8 bits, which is fastest."""
        used = np.s_[: len(predicted), :, : predicted.shape[2]]
        actual, above, below = self._actual[used], self._above[used], self._below[used]
        grey, room = self._grey[used], self._room[used]
        np.maximum(actual, predicted, out=above)
        np.subtract(above, actual, out=below)  # how far below the prediction, else 0
        np.subtract(above, predicted, out=above)
        np.minimum(above, room, out=above)
        np.minimum(below, grey, out=below)
        np.add(above, grey, out=above)
        np.subtract(above, below, out=above)
        return above


class _Picture:
    """A kept frame into which residuals are written, one below the other, for FFmpeg to convert to RGB."""

    def __init__(self, layout: _Layout, count: int) -> None:
        self.count = count
        self._shape = count, layout.height, layout.width
        # FFmpeg converts 4:4:4 ten times slower than the others, and lets extreme colours wrap around. As
        # 4:2:2 of twice the width, every chroma sample has a pixel of its own and one that is left out.
        self._every = 2 if layout.pixels == "yuv444p" else 1
        pixels = "yuv422p" if self._every == 2 else layout.pixels
        if layout.color_range == FULL_RANGE:
            pixels = pixels.replace("yuv", "yuvj")
        # Only even heights are converted fast; rows of whole vectors have no rest that is treated otherwise.
        tall, wide = -(-layout.height // 2) * 2, -(-layout.width * self._every // 32) * 32
        self._frame = av.VideoFrame(wide, count * tall, pixels)
        self._frame.color_range = layout.color_range
        luma, *chroma = (plane.reshape(count, -1, plane.shape[1]) for plane in plane_views(self._frame))
        down, across = SUBSAMPLING[layout.pixels]
        self.planes = [luma[:, : layout.height, : layout.width * self._every : self._every]]
        """Those of each residual, uint8 `[count, h, w]`."""
        self.planes += [
            plane[:, : -(-layout.height // down), : -(-layout.width // across)] for plane in chroma
        ]
        self._reformatter = VideoReformatter()

    def rgb(self, matrix: int) -> np.ndarray:
        """The residuals under a colour matrix, uint8 `[count, h, w, 3]`."""
        matrix = matrix if matrix in KNOWN_MATRICES else UNTOLD_MATRIX
        self._frame.colorspace = matrix
        # Releases of PyAV before 17 heed matrix and range only where source and target are told and differ.
        colours = {"src_colorspace": matrix, "dst_colorspace": UNTOLD_MATRIX}
        colours |= {"src_color_range": self._frame.color_range, "dst_color_range": FULL_RANGE}
        converted = self._reformatter.reformat(self._frame, format="rgb24", **colours, **ONE_THREAD)
        count, height, width = self._shape
        rows = np.frombuffer(converted.planes[0], np.uint8).reshape(count, converted.height // count, -1)
        if self._every == 2:
            strides = (*rows.strides[:2], 6, 3)
            return np.ndarray((*self._shape, 1), "V3", rows, strides=strides).copy().view(np.uint8)
        return rows[:, :height, : 3 * width].reshape(count, height, width, 3)
