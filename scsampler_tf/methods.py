"""The rows of the paper's tables: how each method chooses its clips, how right it is and what it costs."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from scsampler_tf import selection as choose
from scsampler_tf.aggregate import bootstrap_interval, correct, video_probabilities
from scsampler_tf.config import SAMPLER_KINDS, SelectionConfig
from scsampler_tf.cost import GIGA, Sampler, video_gflops
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.fusion import fuse

HELD_NUMBERS = 1 << 27  # of int32, half a gigabyte


@dataclass(frozen=True)
class Costs:
    """Multiply-adds: of f on one clip, and of each sampler network.

    `seconds` holds how long the same networks were timed to take for one clip, by name with "classifier";
    empty unless all of them were timed on the same device.
    """

    classifier: float
    samplers: dict[str, Sampler]
    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self) -> "Costs | None":
        """The same with 1e9 seconds in place of multiply-adds, so that what is counted in GFLOPs comes out
        in seconds; None where times are not known."""
        if not self.seconds:
            return None
        samplers = {name: Sampler(self.seconds[name] * GIGA) for name in self.samplers}
        return Costs(self.seconds["classifier"] * GIGA, samplers)


@dataclass(frozen=True)
class Result:
    """One row. accuracy in [0, 1] with a 95 % bootstrap interval over videos; precision and recall against
    the true segments (None without annotation); seconds_per_video of the networks (None if not timed)."""

    accuracy: float
    accuracy_ci: tuple[float, float]
    clips_per_video: float
    gflops_per_video: float
    precision: float | None
    recall: float | None
    seconds_per_video: float | None
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
        if self.seconds_per_video is not None:
            values["seconds_per_video"] = self.seconds_per_video
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
    choices: Iterable[np.ndarray],
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
    times = costs.timed()
    return Result(
        accuracy=float(often.mean()),
        accuracy_ci=bootstrap_interval(often, seed),
        clips_per_video=float(np.mean(counts)),
        gflops_per_video=gflops_per_video(data, costs, samplers, K, stride),
        precision=float(np.mean(precisions)) if precisions else None,
        recall=float(np.mean(recalls)) if recalls else None,
        seconds_per_video=times and gflops_per_video(data, times, samplers, K, stride),
        correct=often,
    )


def gflops_per_video(
    data: EvaluationSet, costs: Costs, samplers: tuple[str, ...], K: int | None, stride: int = 1
) -> float:
    """Mean cost of sampling with these networks and classifying K clips (None: all) in 1e9 multiply-adds.

    A video without any sound is ranked by sight, so there the visual networks run in place of the audio one.
    """
    eyes = tuple(name for name in costs.samplers if name != "audio")
    spent = []
    for length, heard in zip(data.mask.sum(axis=1), data.has_audio.any(axis=1), strict=True):
        names = samplers if heard or "audio" not in samplers else eyes
        networks = [costs.samplers[name] for name in names]
        spent.append(
            video_gflops(int(length), classifier=costs.classifier, chosen=K, samplers=networks, stride=stride)
        )
    return float(np.mean(spent))


@dataclass(frozen=True)
class Bench:
    """Makes rows on the videos of `data`; each method gives a `Result`.

    `train` gives the empirical baseline its histogram of oracle positions; random and empirical are
    averaged over `draws` seeds from `seed` on.
    """

    data: EvaluationSet
    train: EvaluationSet | None
    costs: Costs
    seed: int
    draws: int

    def _row(self, choices, K, samplers=(), stride=1) -> Result:
        masks = (chosen_clips(self.data, indices) for indices in choices)
        return result(self.data, masks, self.costs, K, samplers, self.seed, stride)

    @property
    def _seeds(self) -> range:
        return range(self.seed, self.seed + self.draws)

    def random(self, K: int) -> Result:
        """K clips by chance."""
        # Fewer clips from the same seed are the first of more, so one drawing serves every K of a sweep.
        held = self.draws * self.data.mask.size <= HELD_NUMBERS
        return self._row((order[:, :K] for order in (self._held if held else self._drawn())), K)

    def _drawn(self) -> Iterator[np.ndarray]:
        mask = self.data.mask
        return (choose.random_clips(mask, mask.shape[1], each) for each in self._seeds)

    @functools.cached_property
    def _held(self) -> list[np.ndarray]:
        return list(self._drawn())

    def uniform(self, K: int) -> Result:
        """K evenly spaced clips."""
        return self._row([choose.uniform_clips(self.data.mask, K)], K)

    def empirical(self, K: int) -> Result | None:
        """K clips from where the oracle's lie in training videos; None without those."""
        if self.train is None:
            return None
        scores = np.asarray(choose.true_class_scores(self.train.probabilities, self.train.labels))
        histogram = choose.fit_empirical(scores, self.train.mask, K)
        drawn = (choose.empirical_clips(histogram, self.data.mask, K, each) for each in self._seeds)
        return self._row(drawn, K)

    def dense(self) -> Result:
        """All clips."""
        return result(self.data, [self.data.mask], self.costs, None, (), self.seed)

    def scheme(self, name: str, config: SelectionConfig) -> Result:
        """SCSampler with a fusion scheme."""
        chosen = saliency_choice(self.data, config, name)
        return self._row([chosen], config.K, scheme_networks(name, self.costs), config.stride)

    def oracle(self, K: int) -> Result:
        """The K clips that f itself gives the highest scores for the true class.

        It needs f on every clip, so it costs what dense evaluation costs.
        """
        chosen = choose.oracle_clips(self.data.probabilities, self.data.labels, self.data.mask, K)
        return self._row([chosen], None)


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

    See `Bench`. Methods whose sampler was not trained are left out; a configured fusion scheme that the
    paper's table does not have gets a row of its own.
    """
    bench = Bench(data, train, costs, seed, draws)
    rows = {
        "random": bench.random(config.K),
        "uniform": bench.uniform(config.K),
        "empirical": bench.empirical(config.K),
        "dense": bench.dense(),
        **{name: bench.scheme(name, config) for name in table_schemes(data, config.fusion)},
        "oracle": bench.oracle(config.K),
    }
    return {name: row for name, row in rows.items() if row is not None}


def table_schemes(data: EvaluationSet, fusion: str) -> list[str]:
    """The SCSampler rows that the trained samplers allow, with one for the configured scheme `fusion`."""
    allowed = [name for name, there in (("visual", data.visual), ("audio", data.audio)) if there is not None]
    if len(allowed) == 2:
        allowed += ["union_list"] if fusion in (*allowed, "union_list") else ["union_list", fusion]
    return allowed


def scheme_networks(scheme: str, costs: Costs) -> tuple[str, ...]:
    """The sampler networks that a fusion scheme runs, of those that are trained."""
    senses = {"visual": (False,), "audio": (True,)}.get(scheme, (False, True))
    return tuple(kind for kind in SAMPLER_KINDS if kind in costs.samplers and (kind == "audio") in senses)
