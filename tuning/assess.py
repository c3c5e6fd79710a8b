"""How good settings are on the validation videos: plain numbers, and the one number that is searched."""

from dataclasses import dataclass

import numpy as np

from scsampler_tf import selection as choose
from scsampler_tf.answers import chosen_clips, saliency_choice, scheme_is_right
from scsampler_tf.config import SelectionConfig
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.methods import Costs, gflops_per_video, scheme_networks

TRUE_SCORE_STEP = 1e-3
"""True-class scores nearer than this count as equal; then the cheaper settings win."""


@dataclass(frozen=True)
class Assessment:
    """accuracy and true_score in [0, 1], the latter f's mean score of the true class on the chosen clips;
    gflops_per_video in 1e9 multiply-adds; objective is what a search maximises."""

    objective: float
    accuracy: float
    true_score: float
    gflops_per_video: float


def assess(data: EvaluationSet, selection: SelectionConfig, costs: Costs) -> Assessment:
    """What these settings give on these videos, from their score tables alone."""
    chosen = chosen_clips(data, saliency_choice(data, selection, selection.fusion))
    accuracy = float(scheme_is_right(data, chosen, selection, selection.fusion).mean())
    scores = np.asarray(choose.true_class_scores(data.probabilities, data.labels))
    of_video = np.where(chosen, scores, 0).sum(axis=1) / np.maximum(chosen.sum(axis=1), 1)
    true_score = float(of_video.mean())
    networks = scheme_networks(selection.fusion, costs, selection.diversity)
    gflops = gflops_per_video(data, costs, networks, chosen.sum(axis=1), selection.stride)
    # Every network on every clip: nothing can cost more.
    most = gflops_per_video(data, costs, tuple(costs.samplers), None)
    value = objective(accuracy, true_score, gflops / most if most else 0.0, len(data.videos))
    return Assessment(value, accuracy, true_score, gflops)


def objective(accuracy: float, true_score: float, cost: float, videos: int) -> float:
    """Accuracy first, then the true-class score to three decimals, then the lower cost.

    accuracy, true_score and cost (a share of the dearest settings) lie in [0, 1]. One video more that is
    right outweighs all of the second, one step of the second all of the third:
    accuracy + (0.9 true + 0.0008 (1 - cost)) / videos.
    """
    true = round(true_score / TRUE_SCORE_STEP) * TRUE_SCORE_STEP
    return accuracy + (0.9 * true + 0.8 * TRUE_SCORE_STEP * (1 - cost)) / videos
