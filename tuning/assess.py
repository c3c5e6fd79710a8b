"""How good settings are on videos that have score tables: plain numbers, and the one that is searched."""

from dataclasses import dataclass

import numpy as np

from scsampler_tf import selection as choose
from scsampler_tf.answers import chosen_clips, saliency_choice, scheme_is_right
from scsampler_tf.config import SelectionConfig
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.methods import Costs, gflops_per_video, scheme_networks
from tuning.options import SMOOTH

STEP = 1e-3
"""Scores nearer than this count as equal; then the cheaper settings win."""


@dataclass(frozen=True)
class Assessment:
    """Shares in [0, 1]: of videos that are right, the same averaged over classes, and f's mean score of the
    true class on the chosen clips. gflops_per_video in 1e9 multiply-adds."""

    accuracy: float
    mean_class_accuracy: float
    true_score: float
    gflops_per_video: float


@dataclass(frozen=True)
class Measure:
    """What a search maximises on `videos` videos; `dearest` GFLOPs per video are what all networks on all
    clips cost."""

    objective: str
    videos: int
    dearest: float

    def value(self, found):
        """The objective of an `Assessment`, or of arrays of the same names.

        What comes first in it outweighs all that follows: accuracy, then the true-class score to three
        decimals, then the lower cost.
        """
        cost = found.gflops_per_video / self.dearest if self.dearest else 0.0
        true = _rounded(found.true_score)
        cheap = 0.8 * STEP * (1 - cost)
        if self.objective == "val_true_score":
            return true + cheap
        if self.objective == SMOOTH:  # whoever asks has put that in place of accuracy
            return _rounded(found.accuracy) + STEP * (0.9 * true + cheap)
        if self.objective == "val_mean_class_accuracy":
            return _rounded(found.mean_class_accuracy) + STEP * (0.9 * true + cheap)
        return found.accuracy + (0.9 * true + cheap) / self.videos


def smoothed(values: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The mean of every setting's value and its neighbours': `[S]` and places `[S, N]` (-1: none) -> `[S]`.

    What a single setting gains by luck on few videos its neighbours, which choose almost the same clips,
    don't gain.
    """
    there = near >= 0
    return np.where(there, values[near], 0.0).sum(axis=1) / there.sum(axis=1)


def _rounded(value):
    return np.round(np.asarray(value) / STEP) * STEP


def make_measure(objective: str, data: EvaluationSet, costs: Costs) -> Measure:
    """The measure for these videos and networks."""
    # Every network on every clip: nothing can cost more.
    dearest = gflops_per_video(data, costs, tuple(costs.samplers), None)
    return Measure(objective, len(data.videos), dearest)


def assess(data: EvaluationSet, selection: SelectionConfig, costs: Costs) -> Assessment:
    """What these settings give on these videos, from their score tables alone."""
    return assess_each(data, selection, costs)[0]


def assess_each(
    data: EvaluationSet, selection: SelectionConfig, costs: Costs
) -> tuple[Assessment, np.ndarray]:
    """`assess`, and which videos `[V]` bool are right."""
    chosen = chosen_clips(data, saliency_choice(data, selection, selection.fusion))
    right = np.asarray(scheme_is_right(data, chosen, selection, selection.fusion))
    scores = np.asarray(choose.true_class_scores(data.probabilities, data.labels))
    of_video = np.where(chosen, scores, 0).sum(axis=1) / np.maximum(chosen.sum(axis=1), 1)
    networks = scheme_networks(selection.fusion, costs, selection.diversity)
    gflops = gflops_per_video(data, costs, networks, chosen.sum(axis=1), selection.stride)
    by_class = float(class_means(right[None], data.labels)[0])
    return Assessment(float(right.mean()), by_class, float(of_video.mean()), gflops), right


def class_means(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Accuracy averaged over the classes that occur: right `[..., V]` bool, labels `[V]` -> `[...]`."""
    return np.mean([right[..., labels == label].mean(axis=-1) for label in np.unique(labels)], axis=0)
