"""Which frames of a clip feed the samplers, and what is kept of them."""

from dataclasses import dataclass

import av
import numpy as np

from pipelines.canvas import CanvasGrids
from pipelines.clips import cells
from pipelines.geometry import Geometry
from pipelines.motion import VectorField, quantised
from pipelines.motion_source import MotionFrame
from pipelines.pictures import SquarePictures
from pipelines.residual import Residuals
from pipelines.settings import FeatureSettings


class ClipBuilder:
    """Collects the features of one clip after the other; holds what one clip needs and two decoded frames.

    Motion is rasterised and residuals are made when the clip is complete, all of its frames together.
    """

    def __init__(self, settings: FeatureSettings, geometry: Geometry) -> None:
        self._settings = settings
        self._md_cells = _Cells(cells(settings.span, settings.md_frames))
        self._residual_cells = _Cells(cells(settings.span, settings.residual_frames))
        self._small = SquarePictures(settings.residual_size, geometry, "yuv444p")
        self._still = SquarePictures(settings.iframe_size, geometry)
        self._grids = CanvasGrids(settings.canvas, geometry)
        self._residuals = _SmallResiduals(settings)
        self._taken: list[_Taken] = []
        self._previous: av.VideoFrame | None = None
        self._previous_small: av.VideoFrame | None = None
        self._latest_i: av.VideoFrame | None = None
        self._clip_i: av.VideoFrame | None = None

    def add(self, offset: int, motion: MotionFrame) -> None:
        """Takes what the frame at `offset` of the clip contributes."""
        small = None
        if motion.intra or self._previous is None:
            self._latest_i = motion.frame  # a damaged start may have no I-frame
            if motion.intra:
                self._clip_i = self._clip_i or motion.frame
            if self._settings.residual == "accumulated":
                small = self._small.frame(motion.frame)
                self._taken.append(_Taken(start=small))
        else:
            small = self._add_motion(offset, motion)
        self._previous, self._previous_small = motion.frame, small

    def _add_motion(self, offset: int, motion: MotionFrame) -> av.VideoFrame | None:
        wants_md, wants_residual = self._md_cells.claims(offset), self._residual_cells.claims(offset)
        accumulated = self._settings.residual == "accumulated"
        if not (wants_md or wants_residual or accumulated):
            return None
        taken = _Taken(motion.field(), wants_md)
        if wants_residual:
            taken.residual_of = self._small.frame(motion.frame)
            if not accumulated:
                taken.start = self._previous_small or self._small.frame(self._previous)
        self._taken.append(taken)
        return taken.residual_of

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """MD, RGB-R and I-frame of the clip, as `ClipFeatures` has them; the next clip begins."""
        settings = self._settings
        fields = [taken.field for taken in self._taken if taken.field]
        grids = iter(self._grids(fields))
        md, rgb_r = [], []
        for taken in self._taken:
            grid = next(grids) if taken.field else None
            if taken.wants_md:
                md.append(quantised(grid))
            residual = self._residuals(taken, grid)
            if residual is not None:
                rgb_r.append(residual)
        iframe = self._still.array(self._clip_i or self._latest_i)
        self._taken, self._clip_i = [], None
        self._md_cells.restart()
        self._residual_cells.restart()
        size = settings.residual_size
        return (
            np.array(md, np.int16).reshape(-1, settings.grid, settings.grid, 2),
            np.array(rgb_r, np.uint8).reshape(-1, size, size, 3),
            iframe,
        )


@dataclass
class _Taken:
    """What is kept of a frame until its clip is complete."""

    field: VectorField | None = None
    wants_md: bool = False
    start: av.VideoFrame | None = None  # small picture to which the residual refers
    residual_of: av.VideoFrame | None = None  # small picture whose residual is wanted


class _SmallResiduals:
    """Residuals of small square pictures by motion on the canvas."""

    def __init__(self, settings: FeatureSettings) -> None:
        self._scale = np.float32(settings.residual_size / settings.canvas)
        self._block = settings.residual_block
        self._make = Residuals(subpel=True, accumulated=settings.residual == "accumulated")
        self._accumulated = settings.residual == "accumulated"

    def __call__(self, taken: _Taken, grid: np.ndarray | None) -> np.ndarray | None:
        if taken.start is not None:
            self._make.start(taken.start)
        if taken.residual_of is not None:
            return self._make(taken.residual_of, grid * self._scale, self._block)
        if self._accumulated and grid is not None:
            self._make.carry(grid * self._scale, self._block)
        return None


class _Cells:
    """Which frames of a clip are taken: the first P-frame of each cell."""

    def __init__(self, bounds: np.ndarray) -> None:
        self._bounds = bounds
        self._last = -1

    def claims(self, offset: int) -> bool:
        """Whether the P-frame at `offset` is the first of its cell; then the cell counts as filled."""
        cell = int(np.searchsorted(self._bounds, offset, side="right")) - 1
        if cell == self._last:
            return False
        self._last = cell
        return True

    def restart(self) -> None:
        """Begins the next clip."""
        self._last = -1
