"""What was found: the best of every set of samplers, and the Pareto front of all settings together."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scsampler_tf.config import SamplerConfig, SelectionConfig
from tuning.assess import Assessment, Measure, smoothed
from tuning.exhaustive import Assessed
from tuning.free import describe
from tuning.trained import ONLY_UNDER

OWN = "own"
TRAINED_FIELDS = ("objective", "margin", "ktr_fraction", "learning_rate", "epochs")


@dataclass(frozen=True)
class Row:
    """Settings with the samplers they were found with; the run's own settings are trial `own`.

    samplers: those that the search may train, by kind.
    """

    trial: str
    samplers: dict[str, SamplerConfig]
    selection: SelectionConfig
    assessment: Assessment
    objective: float

    def describe(self, own: dict[str, SamplerConfig]) -> str:
        """The free settings, and of the samplers what is unlike the run's `own`."""
        parts = [describe(self.selection)]
        for kind, sampler in self.samplers.items():
            if sampler != own[kind]:
                changed = trained_values(sampler)
                if sampler.epochs == own[kind].epochs:
                    del changed["epochs"]
                parts.append(f"{kind}(" + " ".join(f"{n}={_short(v)}" for n, v in changed.items()) + ")")
        return " ".join(parts)


def trained_values(sampler: SamplerConfig) -> dict:
    """The hyperparameters of a sampler that matter under its objective."""
    return {
        name: getattr(sampler, name)
        for name in TRAINED_FIELDS
        if ONLY_UNDER.get(name) in (None, sampler.objective)
    }


def _short(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Explored:
    """One set of samplers with what all free settings give."""

    trial: str
    samplers: dict[str, SamplerConfig]
    settings: Sequence[SelectionConfig]
    found: Assessed
    measure: Measure
    max_gflops: float | None
    near: np.ndarray | None = None
    """The settings around each, by which accuracy is smoothed; None: it is not."""

    @functools.cached_property
    def objectives(self) -> np.ndarray:
        """What is maximised, of every setting `[S]`."""
        found = self.found
        if self.near is not None:
            found = dataclasses.replace(found, accuracy=smoothed(found.accuracy, self.near))
        return np.array(self.measure.value(found), float)

    def row(self, place: int) -> Row:
        """One of the settings."""
        numbers = {name: float(values[place]) for name, values in vars(self.found).items()}
        assessment, value = Assessment(**numbers), float(self.objectives[place])
        return Row(self.trial, self.samplers, self.settings[place], assessment, value)

    def best(self) -> Row | None:
        """The settings with the highest objective, of equals the first; None if all are too dear."""
        values = self.objectives.copy()
        if self.max_gflops is not None:
            values[self.found.gflops_per_video > self.max_gflops] = -np.inf
        place = int(np.argmax(values))
        return self.row(place) if np.isfinite(values[place]) else None


@dataclass(frozen=True)
class Report:
    """What a search has come to: `rows` begin with the run's own settings; `text` says what they stand on."""

    rows: list[Row]
    best: Row
    knee: Row
    front: list[Row]
    text: str


def best_of(rows: Sequence[Row]) -> Row:
    """The row with the highest objective, of equals the first."""
    return max(rows, key=lambda row: row.objective)


def front_of(explored: Sequence[Explored]) -> list[Row]:
    """The Pareto front of all settings, cheapest first: nothing is as cheap and as accurate as a point and
    better in one of the two. Of equals the one with the higher true-class score, then the first."""
    columns = [dataclasses.astuple(each.found) for each in explored]
    accuracy, _, true, gflops = (np.concatenate(values) for values in zip(*columns, strict=True))
    # Sums in another order differ in the last digits; such costs are the same.
    gflops, true = np.round(gflops, 9), np.round(true, 6)
    order = np.lexsort((-true, -accuracy, gflops))
    highest = np.maximum.accumulate(accuracy[order])
    kept = order[np.concatenate([[True], highest[1:] > highest[:-1]])]
    ends = np.cumsum([len(each.settings) for each in explored])
    owners = np.searchsorted(ends, kept, side="right")
    return [
        explored[owner].row(int(place - (ends[owner] - len(explored[owner].settings))))
        for owner, place in zip(owners, kept, strict=True)
    ]
