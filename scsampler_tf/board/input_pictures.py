"""A picture of what samplers see: a column a clip, a row a kind of input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

from scsampler_tf.board.png import as_png
from scsampler_tf.report import INK, TRUE

SIDE_IN, LEFT_IN, TOP_IN = 1.5, 0.95, 0.75
NAMES = {"iframe": "I-frame", "md": "motion", "rgb_r": "residual", "log_mel": "log-mel"}
STILL = 0.02  # of the longest displacement; shorter arrows would be dots
MOST_ARROWS = 14  # in a row


@dataclass(frozen=True)
class ClipInputs:
    """One clip: its frame for each record field, None where there is none.

    iframe, rgb_r `[h, w, 3]` in [0, 255]; md `[g, g, 2]` in pixels; log_mel `[40, 200, 1]`.
    """

    start_s: float
    in_action: bool
    frames: dict[str, np.ndarray | None]


@dataclass(frozen=True)
class InputsJob:
    """What a picture is made of; `canvas` is the side in pixels of the square that motion is measured on."""

    title: str
    clips: Sequence[ClipInputs]
    canvas: int


def paint_inputs(job: InputsJob) -> tuple[int, int, bytes]:
    """Width, height and PNG of these clips' picture."""
    return as_png(draw_inputs(job.title, job.clips, job.canvas))


def draw_inputs(title: str, clips: Sequence[ClipInputs], canvas: int) -> Figure:
    """A figure of these clips; see `InputsJob`."""
    fields = list(clips[0].frames)
    width, height = LEFT_IN + SIDE_IN * len(clips), TOP_IN + SIDE_IN * len(fields)
    figure = Figure(figsize=(max(width, 5.0), height))
    FigureCanvasAgg(figure)
    width = max(width, 5.0)
    longest = longest_motion([clip.frames.get("md") for clip in clips])
    for column, clip in enumerate(clips):
        for row, field in enumerate(fields):
            left, bottom = LEFT_IN + SIDE_IN * column, height - TOP_IN - SIDE_IN * (row + 1)
            side = SIDE_IN - 0.06
            axis = figure.add_axes([left / width, bottom / height, side / width, side / height])
            axis.set_axis_off()
            _show(axis, field, clip.frames[field], longest)
            if not row:
                known = "\nin the action" if clip.in_action else ""
                axis.set_title(f"{clip.start_s:.1f} s{known}", fontsize=8, color=TRUE if known else INK)
    for row, field in enumerate(fields):
        middle = (height - TOP_IN - SIDE_IN * (row + 0.5)) / height
        about = NAMES[field] if field != "md" else f"motion,\nup to\n{longest:.1f} of\n{canvas} px"
        figure.text(0.06 / width, middle, about, fontsize=8, color=INK, va="center")
        if field == "md":
            _wheel(figure, width, height, row)
    figure.text(0.06 / width, 1 - 0.2 / height, title, fontsize=10, color=INK, va="center", parse_math=False)
    return figure


def longest_motion(fields: Sequence[np.ndarray | None]) -> float:
    """The displacement in pixels that gets the fullest colour; single wild vectors do not count."""
    lengths = [np.linalg.norm(field, axis=-1).ravel() for field in fields if field is not None]
    return max(float(np.quantile(np.concatenate(lengths), 0.99)), 0.25) if lengths else 0.25


def motion_colours(field: np.ndarray, longest: float) -> np.ndarray:
    """Displacements `[..., 2]` (x right, y down) as colours `[..., 3]` in [0, 1]: the direction is the hue
    (right red, down yellow-green, left cyan, up violet), the length the saturation; white is still."""
    hue = np.arctan2(field[..., 1], field[..., 0]) / (2 * np.pi) % 1.0
    strength = np.clip(np.linalg.norm(field, axis=-1) / longest, 0, 1)
    return hsv_to_rgb(np.stack([hue, strength, np.ones_like(hue)], axis=-1))


def _show(axis, field: str, frame: np.ndarray | None, longest: float) -> None:
    if frame is None:
        axis.text(0.5, 0.5, "nothing", ha="center", va="center", fontsize=8, color=INK)
    elif field == "md":
        _motion(axis, frame, longest)
    elif field == "log_mel":
        axis.imshow(frame[..., 0], cmap="magma", origin="lower", aspect="auto")
    else:
        axis.imshow(np.clip(frame, 0, 255).astype(np.uint8))


def _motion(axis, field: np.ndarray, longest: float) -> None:
    axis.imshow(motion_colours(field, longest), interpolation="nearest")
    step = max(1, -(-field.shape[1] // MOST_ARROWS))
    y, x = np.mgrid[0 : field.shape[0] : step, 0 : field.shape[1] : step]
    moved = field[y, x]
    seen = np.linalg.norm(moved, axis=-1) > STILL * longest
    # The longest arrow reaches the next one.
    arrows = moved[seen] * step / longest
    axis.quiver(x[seen], y[seen], *arrows.T, angles="xy", scale_units="xy", scale=1, color=INK, width=0.008)


def _wheel(figure: Figure, width: float, height: float, row: int) -> None:
    """The colours of all directions, below the row's name."""
    y, x = np.mgrid[-1:1:41j, -1:1:41j]
    round_ = np.where(np.hypot(x, y)[..., None] <= 1, motion_colours(np.stack([x, y], axis=-1), 1.0), 1.0)
    bottom = height - TOP_IN - SIDE_IN * (row + 1) + 0.08
    axis = figure.add_axes([0.06 / width, bottom / height, 0.34 / width, 0.34 / height])
    axis.imshow(round_)
    axis.set_axis_off()
