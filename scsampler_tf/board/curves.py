"""How many validation videos are right with the K most salient clips, for every K."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from scsampler_tf.board.panel import ORACLE, VALIDATION, Panel
from scsampler_tf.board.png import as_png
from scsampler_tf.report import CHOSEN, INK, TRUE

if TYPE_CHECKING:
    from scsampler_tf.board.log import Log

DRAWS = 10  # of the random baseline
STYLES = {
    "sampler": (CHOSEN, "-o"),
    "oracle": (TRUE, "--"),
    "dense": (INK, "-."),
    "random": ("#a3a7ae", "-"),
}


@dataclass(frozen=True)
class CurvesJob:
    """Accuracies `[K_max]` by name after an epoch, and the K that the sampler is trained for."""

    lines: dict[str, np.ndarray]
    K: int
    epoch: int


class AccuracyCurve(Panel):
    """Accuracy against K after each of the `drawn` epochs, and with `K` clips as a chart after every one.

    `validation.right_at_K` says of its last measurement which videos are right with their 1, 2, ... most
    salient clips `[V, K_max]` bool; `probabilities` and `labels` are what the classifier says about the
    clips of the same videos, `[L, C]` each, and their classes `[V]`.
    """

    name = "accuracy against K"

    def __init__(self, validation, probabilities: list[np.ndarray], labels: list[int], K: int, drawn):
        self._validation, self._probabilities, self._labels = validation, probabilities, labels
        self._K, self._drawn = K, drawn
        self._known: dict[int, dict[str, np.ndarray]] = {}

    def after_epoch(self, log: Log, epoch: int, logs: dict[str, float]) -> None:
        if self._validation.latest is None:
            return
        right = np.mean(self._validation.right_at_K, axis=0)
        lines = self._reference(len(right))
        at = min(self._K, len(right)) - 1
        log.scalar(VALIDATION, "quality/videos_right_with_K_clips", float(right[at]), epoch)
        log.scalar(ORACLE, "quality/videos_right_with_K_clips", float(lines["oracle"][at]), epoch)
        if epoch in self._drawn:
            job = CurvesJob({"sampler": right, **lines}, self._K, epoch)
            log.picture(VALIDATION, "accuracy against K/val videos", epoch, paint_curves, job)

    def _reference(self, most: int) -> dict[str, np.ndarray]:
        """The same lines in every picture, so they are computed once."""
        if most not in self._known:
            self._known[most] = reference_curves(self._probabilities, self._labels, most)
        return self._known[most]


def right_in_order(probabilities: np.ndarray, label: int, order: np.ndarray, most: int) -> np.ndarray:
    """Is the mean over the first 1, 2, ... `most` clips of `order` right? `[L, C]` -> `[most]` bool.

    A video with fewer clips has all of them from there on.
    """
    order = order[:most]
    sums = np.cumsum(probabilities[order], axis=0, dtype=np.float64)
    right = sums.argmax(axis=1) == label
    return np.concatenate([right, np.repeat(right[-1:], most - len(right))])


def reference_curves(probabilities: list[np.ndarray], labels: list[int], most: int) -> dict[str, np.ndarray]:
    """Accuracy `[most]` with K = 1, 2, ... clips: those that the classifier itself gives the highest scores
    for the true class (oracle), all clips (dense), and clips by chance (random)."""
    found = {"oracle": np.zeros(most), "dense": np.zeros(most), "random": np.zeros(most)}
    for row, (each, label) in enumerate(zip(probabilities, labels, strict=True)):
        best = np.argsort(-each[:, label], kind="stable")
        found["oracle"] += right_in_order(each, label, best, most)
        found["dense"] += each.mean(axis=0, dtype=np.float64).argmax() == label
        for draw in range(DRAWS):
            # As `selection.random_clips` draws, so that evaluation's random row is on this line.
            order = np.random.default_rng([draw, row]).permutation(len(each))
            found["random"] += right_in_order(each, label, order, most) / DRAWS
    return {name: total / max(len(labels), 1) for name, total in found.items()}


def paint_curves(job: CurvesJob) -> tuple[int, int, bytes]:
    """Width, height and PNG of the curves."""
    return as_png(draw_curves(job))


def draw_curves(job: CurvesJob) -> Figure:
    """A figure of the curves; always over the same range, so that epochs compare."""
    figure = Figure(figsize=(6.4, 4.0))
    FigureCanvasAgg(figure)
    axis = figure.add_axes([0.13, 0.13, 0.84, 0.77])
    for name, values in job.lines.items():
        colour, style = STYLES[name]
        axis.plot(
            np.arange(len(values)) + 1, values, style, color=colour, label=name, markersize=4, linewidth=1.6
        )
    axis.axvline(job.K, color="#c9ccd1", linewidth=1, zorder=0)
    axis.set(ylim=(0, 1.02), xlabel="K, clips classified", ylabel="videos right")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(loc="lower right", fontsize=8, frameon=False)
    axis.set_title(f"accuracy on the val videos after epoch {job.epoch}", color=INK, fontsize=10)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    return figure
