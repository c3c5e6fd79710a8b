"""A picture of what the features see: frames, their motion as arrows, and their residuals."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.files import written_whole

INK, ARROW = "#30343b", "#e4572e"
WIDTH_IN = 4.2  # of one picture, in inches
MOST_ARROWS = 24  # side by side; more cannot be told apart
STILL = 0.25  # pixels; shorter arrows would be dots


@dataclass(frozen=True)
class Shown:
    """One frame: picture `[H, W, 3]` uint8, motion `[h, w, 2]` in pixels of `size` (height, width), residual
    `[h, w, 3]` uint8 around 128."""

    number: int
    second: float
    frame_type: str
    picture: np.ndarray
    md: np.ndarray
    size: tuple[int, int]
    rgb_r: np.ndarray


def draw(path: str | PathLike, title: str, frames: Sequence[Shown]) -> None:
    """Writes a PNG: a row for each frame, the picture with motion arrows left, its residual right."""
    height, width = frames[0].picture.shape[:2]
    row = WIDTH_IN * height / width + 0.35
    figure = Figure(figsize=(2 * WIDTH_IN + 0.3, row * len(frames) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(frames), 2, squeeze=False)
    for (left, right), frame in zip(axes, frames, strict=True):
        left.imshow(frame.picture)
        _arrows(left, frame)
        left.set_title(
            f"frame {frame.number}, {frame.second:.2f} s, {frame.frame_type}",
            fontsize=9,
            color=INK,
            loc="left",
        )
        right.imshow(frame.rgb_r)
        moved = np.linalg.norm(frame.md, axis=-1).mean()
        error = np.abs(frame.rgb_r.astype(int) - 128).mean()
        right.set_title(
            f"residual, mean {error:.1f}; motion, mean {moved:.2f} px", fontsize=9, color=INK, loc="left"
        )
        left.set_axis_off()
        right.set_axis_off()
    figure.suptitle(title, color=INK, fontsize=11, parse_math=False)  # names may hold dollar signs
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=100)


def _arrows(axis, frame: Shown) -> None:
    """Arrows as long as the displacement of a few frames, in the picture's pixels."""
    rows, columns = frame.md.shape[:2]
    stretch = np.array(frame.picture.shape[1::-1]) / np.array(frame.size[::-1])
    step = max(1, -(-columns // MOST_ARROWS))
    y, x = np.mgrid[0:rows:step, 0:columns:step]
    moved = frame.md[y, x] * stretch
    seen = np.linalg.norm(moved, axis=-1) >= STILL
    start = (np.stack((x, y), axis=-1) * 16 + 8) * stretch
    axis.quiver(
        *start[seen].T, *(3 * moved[seen]).T, color=ARROW, angles="xy", scale_units="xy", scale=1, width=0.004
    )
