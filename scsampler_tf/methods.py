"""The rows of the paper's tables: how each method chooses its clips, how right it is and what it costs."""

from dataclasses import dataclass

import numpy as np

from scsampler_tf import selection as choose
from scsampler_tf.aggregate import bootstrap_interval, correct, video_probabilities
from scsampler_tf.config import SAMPLERS, SelectionConfig
from scsampler_tf.cost import Sampler, video_gflops
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.fusion import fuse


@dataclass(frozen=True)
class Costs:
    """Multiply-adds: of f on one clip, and of each sampler network."""

    classifier: float
    samplers: dict[str, Sampler]


@dataclass(frozen=True)
class Result:
    """One row. accuracy in [0, 1] with a 95 % bootstrap interval over videos; precision and recall against
    the true segments (None without annotation)."""

    accuracy: float
    accuracy_ci: tuple[float, float]
    clips_per_video: float
    gflops_per_video: float
    precision: float | None
    recall: float | None
    correct: np.ndarray
    """How often each video `[V]` was right, over the draws of a random method."""

    def to_dict(self) -> dict:
        """Plain data for results.json."""
        values = {
            "accuracy": self.accuracy,
            "accuracy_ci": list(self.accuracy_ci),
            "clips_per_video": self.clips_per_video,
            "gflops_per_video": self.gflops_per_video,
        }
        if self.precision is not None:
            values["localisation"] = {"precision": self.precision, "recall": self.recall}
        return values


def fused_scores(data: EvaluationSet, mask: np.ndarray, config: SelectionConfig, scheme: str) -> np.ndarray:
    """The ranking score `[V, L]` of a scheme among the clips of `mask`; a missing sampler is silent."""
    nothing = np.zeros(data.mask.shape, np.float32)
    visual = nothing if data.visual is None else data.visual
    audio = nothing if data.audio is None else data.audio
    fused = fuse(scheme, visual, audio, mask, data.has_audio, alpha=config.alpha, k_prime=config.K_prime)
    return np.asarray(fused)


def saliency_choice(data: EvaluationSet, config: SelectionConfig, scheme: str) -> np.ndarray:
    """The K clips `[V, K]` that SCSampler chooses with a fusion scheme, among every `stride`-th clip."""
    looked_at = np.asarray(choose.strided(data.mask, config.stride))
    return np.asarray(choose.top_k(fused_scores(data, looked_at, config, scheme), looked_at, config.K))


def is_right(data: EvaluationSet, chosen: np.ndarray) -> np.ndarray:
    """Whether each video `[V]` gets its label from the mean over its chosen clips `[V, L]` bool."""
    return np.asarray(correct(video_probabilities(data.probabilities, chosen), data.labels))


def chosen_clips(data: EvaluationSet, indices: np.ndarray) -> np.ndarray:
    """Indices `[V, K]` (-1 for none) as a mask over clips `[V, L]`."""
    return np.asarray(choose.chosen_mask(indices, data.mask.shape[1])) & data.mask


def result(
    data: EvaluationSet,
    choices: list[np.ndarray],
    costs: Costs,
    K: int | None,
    samplers: tuple[str, ...],
    seed: int,
    stride: int = 1,
) -> Result:
    """One row from the clips `[V, L]` bool of one or more draws; `samplers` are the networks that it runs."""
    rights, precisions, recalls, counts = [], [], [], []
    for chosen in choices:
        rights.append(is_right(data, chosen))
        counts.append(chosen.sum(axis=1).mean())
        if data.in_action is not None and data.in_action.any():
            found = chosen & data.in_action
            precisions.append((found.sum(axis=1) / np.maximum(chosen.sum(axis=1), 1)).mean())
            # An action shorter than half a clip has no clip of its own that could be found.
            there = data.in_action.any(axis=1)
            recalls.append((found.sum(axis=1)[there] / data.in_action.sum(axis=1)[there]).mean())
    often = np.mean(rights, axis=0)
    return Result(
        accuracy=float(often.mean()),
        accuracy_ci=bootstrap_interval(often, seed),
        clips_per_video=float(np.mean(counts)),
        gflops_per_video=gflops_per_video(data, costs, samplers, K, stride),
        precision=float(np.mean(precisions)) if precisions else None,
        recall=float(np.mean(recalls)) if recalls else None,
        correct=often,
    )


def gflops_per_video(
    data: EvaluationSet, costs: Costs, samplers: tuple[str, ...], K: int | None, stride: int = 1
) -> float:
    """Mean cost of sampling with these networks and classifying K clips (None: all) in 1e9 multiply-adds.

    A video without any sound is ranked by sight, so there the visual networks run in place of the audio one.
    """
    eyes = tuple(name for name in ("md", "rgb_r") if name in costs.samplers)
    spent = []
    for length, heard in zip(data.mask.sum(axis=1), data.has_audio.any(axis=1), strict=True):
        names = samplers if heard or "audio" not in samplers else eyes
        networks = [costs.samplers[name] for name in names]
        spent.append(
            video_gflops(int(length), classifier=costs.classifier, chosen=K, samplers=networks, stride=stride)
        )
    return float(np.mean(spent))


def main_table(
    data: EvaluationSet,
    train: EvaluationSet | None,
    config: SelectionConfig,
    costs: Costs,
    *,
    seed: int,
    draws: int,
) -> dict[str, Result]:
    """Tables 1 and 2 of the paper: baselines, SCSampler, oracle.

    `train` gives the empirical baseline its histogram of oracle positions; random and empirical are
    averaged over `draws` seeds. Methods whose sampler was not trained are left out; a configured fusion
    scheme that the paper's table does not have gets a row of its own.
    """
    K, mask = config.K, data.mask
    seeds = [seed + draw for draw in range(draws)]

    def row(choices, chosen=K, samplers=(), stride=1) -> Result:
        masks = [chosen_clips(data, indices) for indices in choices]
        return result(data, masks, costs, chosen, samplers, seed, stride)

    rows = {
        "random": row([choose.random_clips(mask, K, each) for each in seeds]),
        "uniform": row([choose.uniform_clips(mask, K)]),
    }
    if train is not None:
        scores = np.asarray(choose.true_class_scores(train.probabilities, train.labels))
        histogram = choose.fit_empirical(scores, train.mask, K)
        rows["empirical"] = row([choose.empirical_clips(histogram, mask, K, each) for each in seeds])
    rows["dense"] = result(data, [mask], costs, None, (), seed)
    for name in table_schemes(data, config.fusion):
        networks = scheme_networks(name, costs)
        rows[name] = row([saliency_choice(data, config, name)], samplers=networks, stride=config.stride)
    # The oracle needs f on every clip, so it costs what dense evaluation costs.
    oracle = choose.oracle_clips(data.probabilities, data.labels, mask, K)
    rows["oracle"] = row([oracle], chosen=None)
    return rows


def table_schemes(data: EvaluationSet, fusion: str) -> list[str]:
    """The SCSampler rows that the trained samplers allow, with one for the configured scheme `fusion`."""
    allowed = [name for name, there in (("visual", data.visual), ("audio", data.audio)) if there is not None]
    if len(allowed) == 2:
        allowed += ["union_list"] if fusion in (*allowed, "union_list") else ["union_list", fusion]
    return allowed


def scheme_networks(scheme: str, costs: Costs) -> tuple[str, ...]:
    """The sampler networks that a fusion scheme runs, of those that are trained."""
    without = {"visual": ("audio",), "audio": ("md", "rgb_r")}.get(scheme, ())
    return tuple(kind for kind in SAMPLERS if kind in costs.samplers and kind not in without)
