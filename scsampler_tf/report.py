"""Pictures: the saliency timeline of a video."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipelines.files import written_whole

INK, CHOSEN, VISUAL, AUDIO = "#30343b", "#e4572e", "#17768f", "#9a6fb0"
SHOWN = 10  # thumbnails beside each other stay readable up to about this many


def write_timeline(prediction, path: str | Path) -> Path:
    """Saliency of every clip over time, the K chosen clips marked and shown; returns the PNG's path.

    `prediction` is a `predict.Prediction`. Thumbnails stand in order of time, each joined to its clip.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    order = np.argsort([moment.start_s for moment in prediction.moments])
    shown = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int)]
    rows = figure.subfigures(2, 1, height_ratios=[1, 1.9])
    _thumbnails(rows[0], prediction, shown)
    _curves(rows[1].subplots(), prediction)
    percent = f"{prediction.probabilities[prediction.label]:.0%}"
    title = f"{Path(prediction.path).name}: {prediction.label} ({percent})"
    figure.suptitle(title, color=INK, fontsize=12, parse_math=False)  # names may hold dollar signs
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return Path(path)


def _thumbnails(figure, prediction, shown: np.ndarray) -> None:
    for axis, place in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown, strict=True):
        moment = prediction.moments[place]
        axis.imshow(prediction.thumbnails[place])
        axis.set_title(
            f"{moment.start_s:.1f} s\n{moment.label} {moment.probability:.0%}",
            fontsize=8,
            color=INK,
            parse_math=False,
        )
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_color(CHOSEN)
            spine.set_linewidth(2)


def _curves(axis, prediction) -> None:
    edges = np.array([start for start, _ in prediction.bounds_s] + [prediction.bounds_s[-1][1]])
    for place, moment in enumerate(prediction.moments):
        axis.axvspan(
            moment.start_s,
            moment.end_s,
            color=CHOSEN,
            alpha=0.25,
            linewidth=0,
            label=None if place else "chosen clips",
        )
    axis.stairs(prediction.visual, edges, baseline=None, color=VISUAL, linewidth=1.8, label="visual saliency")
    if prediction.audio is not None:
        axis.stairs(
            prediction.audio, edges, baseline=None, color=AUDIO, linewidth=1.2, label="audio saliency"
        )
    axis.set_xlim(edges[0], edges[-1])
    axis.set_xlabel("seconds")
    axis.set_ylabel("saliency")
    axis.legend(
        loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, ncols=3, frameon=False, borderaxespad=0.2
    )
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
