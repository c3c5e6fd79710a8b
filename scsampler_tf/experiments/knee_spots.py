"""The points of the knee with what they bring and cost on a run's videos."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scsampler_tf.cost import GIGA, sampling_gflops
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.variant_rows import scheme_result, scored, with_samplers
from scsampler_tf.knee_plan import NAME, Row, samplers_of
from scsampler_tf.methods import Costs, Result

MEGA = 1e6


@dataclass(frozen=True)
class Spot:
    """A row of the plan with its result. Seconds are None where they were not measured."""

    row: Row
    result: Result
    sampler_mflops: float
    feature_seconds: float | None
    network_seconds: float | None
    seconds: float | None

    def cost(self, axis: str) -> float | None:
        """GFLOPs or seconds a video."""
        return self.result.gflops_per_video if axis == "gflops" else self.seconds


def without_samplers(run: Run) -> Run:
    """The run without any sampler: what points are put into."""
    silent = dataclasses.replace(
        run.data, visual=None, audio=None, has_audio=np.zeros_like(run.data.has_audio)
    )
    tables = {"classifier": run.tables["classifier"]}
    return dataclasses.replace(run, data=silent, tables=tables, costs=_classifier_costs(run))


def _classifier_costs(run: Run) -> Costs:
    timing = run.tables["classifier"].timing
    seconds = {"classifier": timing["seconds_per_clip"]} if timing else {}
    return Costs(run.costs.classifier, {}, seconds)


def spots_of(run: Run, rows: Sequence[Row], extraction: dict | None) -> list[Spot]:
    """Every row's spot. `extraction` is what `knee_extraction.measured` gave, None if it was not measured."""
    found = scored(run, NAME, samplers_of(rows))
    bare, spots = without_samplers(run), []
    clips = float(run.data.mask.sum(axis=1).mean())
    for row in rows:
        own = with_samplers(bare, {each.kind: found[each.name] for each in row.samplers})
        result = scheme_result(own, "visual")
        kinds = [each.kind for each in row.samplers]
        reading = (extraction or {}).get("seconds_per_clip", {}).get(row.features.digest())
        seconds = None
        if reading is not None and result.seconds_per_video is not None:
            seconds = clips * reading + result.seconds_per_video
        spots.append(
            Spot(
                row,
                result,
                sampling_gflops(1, list(own.costs.samplers.values())) * GIGA / MEGA,
                reading,
                sum(own.costs.seconds[kind] for kind in kinds) if own.costs.seconds else None,
                seconds,
            )
        )
    return spots
