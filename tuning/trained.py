"""The hyperparameters that cost a training: what a sampler learns, and how fast."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from scsampler_tf.config import OBJECTIVES, SamplerConfig

MARGINS = (0.0, 0.05, 0.1, 0.2, 0.4)
KTR_FRACTIONS = (0.125, 0.25, 0.5, 0.75)
RATES = (0.25, 0.5, 1.0, 2.0)  # times the run's own learning rate
ONLY_UNDER = {"margin": "sal_rank", "ktr_fraction": "sal_cl"}
EPOCHS = "tuner/epochs"  # Keras Tuner's name for what Hyperband gives a trial


@dataclass(frozen=True)
class Choice:
    """One hyperparameter; `under` is the objective under which alone it matters, None for all of them."""

    name: str
    values: tuple
    default: object
    under: str | None


@dataclass(frozen=True)
class Trainable:
    """What may change in one sampler. `own` is how the run's own was trained."""

    kind: str
    own: SamplerConfig

    def choices(self) -> list[Choice]:
        """The hyperparameters in Keras Tuner's order: a condition before what depends on it."""
        own = self.own
        rates = {float(f"{own.learning_rate * share:.6g}") for share in RATES} | {own.learning_rate}
        offered = {
            "objective": OBJECTIVES,
            "margin": sorted({*MARGINS, own.margin}),
            "ktr_fraction": sorted({*KTR_FRACTIONS, own.ktr_fraction}),
            "learning_rate": sorted(rates),
        }
        return [
            Choice(f"{self.kind}.{name}", tuple(values), getattr(own, name), ONLY_UNDER.get(name))
            for name, values in offered.items()
        ]

    def own_values(self) -> dict:
        """The run's own sampler as hyperparameters."""
        return {
            choice.name: choice.default
            for choice in self.choices()
            if choice.under in (None, self.own.objective)
        }

    def config(self, values: dict, epochs: int | None = None) -> SamplerConfig:
        """The sampler of these hyperparameters; what does not matter stays the run's own."""
        found = {choice.name: values.get(choice.name, choice.default) for choice in self.choices()}
        changed = {
            choice.name.partition(".")[2]: found[choice.name]
            for choice in self.choices()
            if choice.under in (None, found[f"{self.kind}.objective"])
        }
        if epochs is not None and epochs < self.own.epochs:
            # A warm-up as long as the training would leave no rate to fall from.
            changed |= {"epochs": epochs, "warmup_epochs": min(self.own.warmup_epochs, epochs - 1)}
        return dataclasses.replace(self.own, **changed)

    def grid(self) -> list[dict]:
        """Every set of hyperparameters once, the run's own first."""
        objective, *others = self.choices()
        found = [self.own_values()]
        for word in objective.values:
            active = [choice for choice in others if choice.under in (None, word)]
            for values in itertools.product(*(choice.values for choice in active)):
                named = dict(zip((choice.name for choice in active), values, strict=True))
                found.append({objective.name: word, **named})
        return [values for place, values in enumerate(found) if values not in found[:place]]


@dataclass(frozen=True)
class TrainedSpace:
    """The samplers that may be trained again, one part each; without parts nothing is trained."""

    parts: tuple[Trainable, ...]

    @property
    def epochs(self) -> int:
        """The longest training, Hyperband's full resource."""
        return max((part.own.epochs for part in self.parts), default=1)

    def own_values(self) -> dict:
        """The run's own samplers as one set of hyperparameters."""
        return {name: value for part in self.parts for name, value in part.own_values().items()}

    def configs(self, values: dict) -> dict[str, SamplerConfig]:
        """The samplers of a trial by kind; with `tuner/epochs` each has that share of its own epochs."""
        given = values.get(EPOCHS)
        share = 1.0 if given is None else given / self.epochs
        return {
            part.kind: part.config(values, max(1, math.ceil(part.own.epochs * share - 1e-9)))
            for part in self.parts
        }

    def size(self) -> int:
        """How many sets of hyperparameters there are."""
        return math.prod(len(part.grid()) for part in self.parts)

    def grid(self) -> Iterator[dict]:
        """All sets, the run's own first, one sampler changed at a time before two are."""
        grids = [part.grid() for part in self.parts]
        for changed in range(len(grids) + 1):
            for which in itertools.combinations(range(len(grids)), changed):
                offered = [grid[1:] if place in which else grid[:1] for place, grid in enumerate(grids)]
                for values in itertools.product(*offered):
                    yield {name: value for each in values for name, value in each.items()}
