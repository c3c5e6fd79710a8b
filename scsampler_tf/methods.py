"""The rows of the paper's tables: how each method chooses its clips, how right it is and what it costs."""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from scsampler_tf import selection as choose
from scsampler_tf.aggregate import bootstrap_interval
from scsampler_tf.answers import chosen_clips, is_right, saliency_choice, scheme_is_right
from scsampler_tf.config import SAMPLER_KINDS, SelectionConfig
from scsampler_tf.cost import GIGA, Sampler, video_gflops
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.selection_config import seer

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


def result(
    data: EvaluationSet,
    choices: Iterable[np.ndarray],
    costs: Costs,
    K: int | np.ndarray | None,
    samplers: tuple[str, ...],
    seed: int,
    stride: int = 1,
    judge: Callable[[EvaluationSet, np.ndarray], np.ndarray] = is_right,
) -> Result:
    """One row from the clips `[V, L]` bool of one or more draws; `samplers` are the networks that it runs.

    K is as in `gflops_per_video`; `judge` says of the data and the clips of a draw which videos are right.
    """
    rights, precisions, recalls, counts = [], [], [], []
    for chosen in choices:
        rights.append(judge(data, chosen))
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


def scheme_result(
    data: EvaluationSet,
    costs: Costs,
    config: SelectionConfig,
    scheme: str,
    networks: tuple[str, ...],
    seed: int,
) -> Result:
    """The row of SCSampler with a fusion scheme, for which it runs the sampler `networks`."""
    chosen = chosen_clips(data, saliency_choice(data, config, scheme))
    judge = functools.partial(scheme_is_right, config=config, scheme=scheme)
    return result(data, [chosen], costs, chosen.sum(axis=1), networks, seed, config.stride, judge)


def gflops_per_video(
    data: EvaluationSet,
    costs: Costs,
    samplers: tuple[str, ...],
    K: int | np.ndarray | None,
    stride: int = 1,
) -> float:
    """Mean cost of sampling with these networks and classifying K clips in 1e9 multiply-adds.

    K: a number for all videos, one for each `[V]`, or None for all clips. A video without any sound is
    ranked by sight, so there the visual networks run in place of the audio one.
    """
    eyes = tuple(name for name in costs.samplers if name != "audio")
    lengths = data.mask.sum(axis=1)
    Ks = np.broadcast_to(lengths if K is None else K, lengths.shape)
    spent = []
    for length, chosen, heard in zip(lengths, Ks, data.has_audio.any(axis=1), strict=True):
        names = samplers if heard or "audio" not in samplers else eyes
        networks = [costs.samplers[name] for name in names]
        spent.append(
            video_gflops(
                int(length),
                classifier=costs.classifier,
                chosen=int(chosen),
                samplers=networks,
                stride=stride,
            )
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

    def _row(self, choices, K) -> Result:
        masks = (chosen_clips(self.data, indices) for indices in choices)
        return result(self.data, masks, self.costs, K, (), self.seed)

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
        networks = scheme_networks(name, self.costs, config.diversity)
        return scheme_result(self.data, self.costs, config, name, networks, self.seed)

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


def scheme_networks(scheme: str, costs: Costs, diversity: float = 0.0) -> tuple[str, ...]:
    """The sampler networks that a fusion scheme runs, of those that are trained; with a diversity also the
    one by whose activations clips are compared."""
    senses = {"visual": (False,), "audio": (True,)}.get(scheme, (False, True))
    seeing = seer(costs.samplers) if diversity else None
    return tuple(
        kind
        for kind in SAMPLER_KINDS
        if kind in costs.samplers and ((kind == "audio") in senses or kind == seeing)
    )
