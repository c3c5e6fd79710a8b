"""Which classes the classifier takes for which, on the validation videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scsampler_tf.board.panel import VALIDATION, Panel
from scsampler_tf.board.png import as_png
from scsampler_tf.report import INK

if TYPE_CHECKING:
    from scsampler_tf.board.log import Log

NAMED, COUNTED = 40, 20  # classes up to which names, and numbers, can be read


@dataclass(frozen=True)
class ConfusionJob:
    """How many videos of each class (row) got each answer (column), `[C, C]`, after an epoch."""

    counts: np.ndarray
    labels: Sequence[str]
    epoch: int


class ConfusionMatrix(Panel):
    """Drawn after each of the `drawn` epochs. `validation` has the probabilities of the val videos `[V, C]`
    of its last measurement (`probabilities`) and their classes `[V]` (`labels_of_videos`)."""

    name = "confusion matrix"

    def __init__(self, validation, labels: Sequence[str], drawn: frozenset[int]):
        self._validation, self._labels, self._drawn = validation, list(labels), drawn

    def after_epoch(self, log: Log, epoch: int, logs: dict[str, float]) -> None:
        if epoch not in self._drawn or self._validation.latest is None:
            return
        counts = confusion(self._validation.probabilities, self._validation.labels_of_videos)
        job = ConfusionJob(counts, self._labels, epoch)
        log.picture(VALIDATION, "confusion/val videos", epoch, paint_confusion, job)


def confusion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many videos of each class (row) got each answer (column): `[V, C]`, `[V]` -> `[C, C]` int64.

    Videos without an answer, of which nothing could be decoded, are left out.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    there = np.nansum(probabilities, axis=1) > 0
    classes = probabilities.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels[there], probabilities[there].argmax(axis=1)), 1)
    return counts


def paint_confusion(job: ConfusionJob) -> tuple[int, int, bytes]:
    """Width, height and PNG of a matrix."""
    return as_png(draw_confusion(job))


def draw_confusion(job: ConfusionJob) -> Figure:
    """A figure of the matrix, coloured by the share of a row's videos."""
    counts, labels = job.counts, job.labels
    classes = len(counts)
    side = float(np.clip(2.4 + 0.34 * classes, 5.0, 9.0))
    figure = Figure(figsize=(side, side), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    named = labels if classes <= NAMED else ()
    axis.set_xticks(range(len(named)), [_plain(name) for name in named], rotation=90, fontsize=8)
    axis.set_yticks(range(len(named)), [_plain(name) for name in named], fontsize=8)
    axis.set_xlabel("answer")
    axis.set_ylabel("true class")
    if classes <= COUNTED:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else INK
            number = str(counts[row, column])
            axis.text(column, row, number, ha="center", va="center", color=colour, fontsize=8)
    right, total = int(np.trace(counts)), int(counts.sum())
    axis.set_title(f"epoch {job.epoch}: {right} of {total} val videos right", color=INK, fontsize=10)
    return figure


def _plain(name: str) -> str:
    return name[:24].replace("$", r"\$")
