"""Pictures: the saliency timeline of a video."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipelines.files import written_whole

INK, CHOSEN, VISUAL, AUDIO = "#30343b", "#e4572e", "#17768f", "#9a6fb0"
TRUE, FAINT, MISSING = "#3f8f55", "#c9ccd1", "#eceef0"
SHOWN = 10  # thumbnails beside each other stay readable up to about this many
# Places in inches. A layout engine would draw everything twice, and pictures are drawn during trainings.
WIDTH, HEIGHT, LEFT, RIGHT = 11.0, 4.6, 0.85, 10.85
PICTURES, LARGEST, GAP = (2.72, 4.2), 1.08, 0.08
CURVES_TOP, CURVES_BOTTOM, STRIP = 2.45, 0.55, 0.2


@dataclass(frozen=True)
class Curve:
    """A value `[L]` for every clip; NaN where there is none."""

    name: str
    values: np.ndarray
    colour: str
    width: float = 1.8


@dataclass(frozen=True)
class ChosenClip:
    """A clip to be marked, in seconds, with what stands above its picture `[h, w, 3]` uint8 (or none)."""

    start_s: float
    end_s: float
    caption: str
    picture: np.ndarray | None


@dataclass(frozen=True)
class Timeline:
    """What is drawn of a video: curves over its clips, chosen clips, and what is true of it, if known."""

    title: str
    bounds_s: Sequence[tuple[float, float]]
    """(start, end) of every clip."""
    curves: Sequence[Curve]
    chosen: Sequence[ChosenClip]
    segments: Sequence[tuple[float, float]] = ()
    """(start, end) of the true action."""
    scores: np.ndarray | None = None
    """The classifier's score of the true class `[L]`, in [0, 1]."""


def write_timeline(prediction, path: str | Path) -> Path:
    """Saliency of every clip over time, the K chosen clips marked and shown; returns the PNG's path.

    `prediction` is a `predict.Prediction`. Thumbnails stand in order of time, each joined to its clip.
    """
    percent = f"{prediction.probabilities[prediction.label]:.0%}"
    curves = [Curve("visual saliency", prediction.visual, VISUAL)]
    if prediction.audio is not None:
        curves.append(Curve("audio saliency", prediction.audio, AUDIO, 1.2))
    chosen = [
        ChosenClip(
            moment.start_s,
            moment.end_s,
            f"{moment.start_s:.1f} s\n{moment.label} {moment.probability:.0%}",
            picture,
        )
        for moment, picture in zip(prediction.moments, prediction.thumbnails, strict=True)
    ]
    title = f"{Path(prediction.path).name}: {prediction.label} ({percent})"
    figure = draw_timeline(Timeline(title, prediction.bounds_s, curves, chosen))
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return Path(path)


def draw_timeline(timeline: Timeline) -> Figure:
    """A figure of 11 by 4.6 inches; at most `SHOWN` of the chosen clips have a picture."""
    figure = Figure(figsize=(WIDTH, HEIGHT))
    FigureCanvasAgg(figure)
    span = timeline.bounds_s[0][0], timeline.bounds_s[-1][1]
    in_order = sorted(timeline.chosen, key=lambda clip: clip.start_s)
    places = np.linspace(0, len(in_order) - 1, min(SHOWN, len(in_order))).round().astype(int)
    _pictures(figure, [in_order[place] for place in places], span)
    strips = bool(timeline.segments) + (timeline.scores is not None)
    bottom = CURVES_BOTTOM + strips * STRIP
    axis = figure.add_axes(_box(LEFT, bottom, RIGHT, CURVES_TOP))
    _curves(axis, timeline, span)
    lowest = axis
    if strips:
        axis.tick_params(labelbottom=False)
        lowest = figure.add_axes(_box(LEFT, CURVES_BOTTOM, RIGHT, bottom))
        _strips(lowest, timeline, span)
    lowest.set_xlabel("seconds")
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="lower right", fontsize=8, ncols=4, frameon=False)
    # Names may hold dollar signs.
    figure.suptitle(timeline.title, color=INK, fontsize=12, y=0.985, parse_math=False)
    return figure


def _box(left: float, bottom: float, right: float, top: float) -> list[float]:
    return [left / WIDTH, bottom / HEIGHT, (right - left) / WIDTH, (top - bottom) / HEIGHT]


def _pictures(figure: Figure, clips: list[ChosenClip], span: tuple[float, float]) -> None:
    """The pictures in a row, each joined to the middle of its clip. One axis in inches holds all of them."""
    low, high = CURVES_TOP, PICTURES[1]
    axis = figure.add_axes(_box(0, low, WIDTH, high))
    side = min(LARGEST, (RIGHT - GAP) / max(len(clips), 1) - GAP)
    first = (WIDTH - len(clips) * (side + GAP) + GAP) / 2
    joints = []
    for number, clip in enumerate(clips):
        left, bottom = first + number * (side + GAP), PICTURES[0]
        corner = (left, left + side, bottom, bottom + side)
        if clip.picture is not None:
            axis.imshow(clip.picture, extent=corner, aspect="auto")
        fill = MISSING if clip.picture is None else "none"
        axis.add_patch(Rectangle((left, bottom), side, side, facecolor=fill, edgecolor=CHOSEN, linewidth=2))
        middle = left + side / 2
        above = bottom + side + 0.06
        axis.text(middle, above, clip.caption, ha="center", fontsize=8, color=INK, parse_math=False)
        share = ((clip.start_s + clip.end_s) / 2 - span[0]) / max(span[1] - span[0], 1e-9)
        joints.append([(middle, bottom), (LEFT + share * (RIGHT - LEFT), low)])
    axis.add_collection(LineCollection(joints, colors=CHOSEN, linewidths=0.7, alpha=0.6))
    axis.set(xlim=(0, WIDTH), ylim=(low, high))
    axis.set_axis_off()


def _curves(axis, timeline: Timeline, span: tuple[float, float]) -> None:
    edges = np.array([start for start, _ in timeline.bounds_s] + [span[1]])
    for place, clip in enumerate(timeline.chosen):
        name = None if place else "chosen clips"
        axis.axvspan(clip.start_s, clip.end_s, color=CHOSEN, alpha=0.25, linewidth=0, label=name)
    for curve in timeline.curves:
        axis.stairs(
            curve.values, edges, baseline=None, color=curve.colour, linewidth=curve.width, label=curve.name
        )
    axis.set_xlim(span)
    axis.set_ylabel("saliency")
    axis.yaxis.set_label_coords((0.16 - LEFT) / (RIGHT - LEFT), 0.5)  # whatever the numbers' length
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _strips(axis, timeline: Timeline, span: tuple[float, float]) -> None:
    """Below the curves: where the true action is, and how sure the classifier is of the true class."""
    names = []
    if timeline.scores is not None:
        edges = np.array([start for start, _ in timeline.bounds_s] + [span[1]])
        axis.pcolormesh(edges, [0, 1], np.asarray(timeline.scores)[None], cmap="Greys", vmin=0, vmax=1)
        names.append("classifier")
    if timeline.segments:
        bars = [(start, end - start) for start, end in timeline.segments]
        axis.broken_barh(bars, (len(names) + 0.12, 0.76), facecolor=TRUE)
        names.append("true action")
    axis.set(xlim=span, ylim=(0, len(names)))
    axis.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=7)
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axis.spines[side].set_color(FAINT)
