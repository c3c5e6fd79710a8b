"""Rows of tables that compare samplers: their score tables in place of the run's own."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.errors import UserError
from pipelines.files import read_json
from scsampler_tf import methods
from scsampler_tf.cost import Sampler
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.paired import compare
from scsampler_tf.experiments.rows import (
    BAND_NOTE,
    COMPARISON_COLUMNS,
    COMPARISON_NOTE,
    accuracy_bars,
    base_notes,
    method_section,
)
from scsampler_tf.experiments.run import Run, measured_seconds
from scsampler_tf.experiments.table import Panel, Section, Table
from scsampler_tf.methods import Costs, Result
from scsampler_tf.model_folder import ABOUT_NAME
from scsampler_tf.tables import ScoreTable, load_table, padded
from scsampler_tf.variant_plan import PLANS, Row, Variant, variants_of

BASELINES = ("random", "uniform", "dense")
MEAN_NOTE = "Several samplers of sight choose by the mean of their scores."


@dataclass(frozen=True)
class Scored:
    """A sampler with its scores and what it costs."""

    table: ScoreTable
    cost: Sampler


def scored(run: Run, name: str, variants: Sequence[Variant]) -> dict[str, Scored]:
    """All variants by name. Raises `UserError` that lists those without scores and says how to make them."""
    lacking = [each.name for each in variants if not each.table(run.workdir).exists()]
    if lacking:
        raise UserError(
            f"{name}: no scores of {', '.join(lacking)}; make them with python -m scsampler_tf.variants "
            f"{name} --workdir {run.workdir.path}"
        )
    found = {}
    for each in variants:
        about = read_json(each.model(run.workdir) / ABOUT_NAME)
        cost = Sampler(about["cost"]["multiply_adds"], about["frames_per_clip"])
        found[each.name] = Scored(load_table(each.table(run.workdir)), cost)
    return found


def with_samplers(run: Run, samplers: dict[str, Scored]) -> Run:
    """The run with these samplers, by kind, in place of its own of the same sense (sight or sound).

    The visual score is the mean over those of sight. Where a video has no sound, an audio sampler leaves
    the choice to sight, that of the run if none is given.
    """
    ids = [video.video_id for video in run.data.videos]
    rows = {kind: padded(each.table.of(ids))[0] for kind, each in samplers.items()}
    data, kept = run.data, dict(run.costs.samplers)
    eyes = [np.nan_to_num(values) for kind, values in rows.items() if kind != "audio"]
    if eyes:
        # The activations are those of the run's own network.
        data = dataclasses.replace(data, visual=np.mean(eyes, axis=0, dtype=np.float32), features=None)
        kept = {kind: cost for kind, cost in kept.items() if kind == "audio"}
    if "audio" in rows:
        heard = data.mask & ~np.isnan(rows["audio"])
        data = dataclasses.replace(data, audio=np.nan_to_num(rows["audio"]), has_audio=heard)
    costs = {**kept, **{kind: each.cost for kind, each in samplers.items()}}
    tables = {kind: table for kind, table in run.tables.items() if kind == "classifier" or kind in costs}
    tables |= {kind: each.table for kind, each in samplers.items()}
    return dataclasses.replace(
        run,
        data=data,
        tables=tables,
        costs=Costs(run.costs.classifier, costs, measured_seconds(tables)),
    )


def scheme_result(run: Run, scheme: str) -> Result:
    """What `Bench.scheme` gives, also for samplers that no experiment trains by itself."""
    kinds = tuple(run.costs.samplers)
    without = {"visual": lambda kind: kind == "audio", "audio": lambda kind: kind != "audio"}.get(scheme)
    networks = tuple(kind for kind in kinds if not (without and without(kind)))
    return methods.scheme_result(run.data, run.costs, run.selection, scheme, networks, run.config.seed)


def row_results(run: Run, rows: Sequence[Row], found: dict[str, Scored]) -> dict[str, Result]:
    """Every row's result by its key."""
    return {
        row.key: scheme_result(
            with_samplers(run, {variant.kind: found[variant.name] for variant in row.variants}), row.scheme
        )
        for row in rows
    }


def baselines(run: Run) -> dict[str, Result]:
    """Random, uniform and dense, with their usual names."""
    bench, K = run.bench, run.selection.K
    return {"random": bench.random(K), "uniform": bench.uniform(K), "dense": bench.dense()}


def comparison(
    pairs: Sequence[tuple[str, str]], results: dict[str, Result], names: dict[str, str], seed: int
) -> Section:
    """Every pair (method, against), video by video."""
    rows = []
    for name, other in pairs:
        test = compare(results[name].correct, results[other].correct, seed)
        rows.append(
            {
                **dataclasses.asdict(test),
                "interval": list(test.interval),
                "name": name,
                "method": names[name],
                "against": names[other],
                "verdict": test.verdict,
            }
        )
    return Section("Video by video", COMPARISON_COLUMNS, rows)


def group_pairs(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Every row against the first of its group."""
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row.group, row.key)
    return [(row.key, first[row.group]) for row in rows if first[row.group] != row.key]


def planned_rows(run: Run, name: str) -> list[Row]:
    """The rows that this run's configuration and videos allow."""
    sound = any(video.has_audio for video in run.index.of_split("train"))
    return PLANS[name](run.config, sound)


def coloured(panel: Panel, rows: Sequence[Row]) -> Panel:
    """The panel with the colour of sight or sound for each row's series."""
    schemes = {row.key: row.scheme for row in rows}
    series = [dataclasses.replace(each, name=schemes.get(each.name, each.name)) for each in panel.series]
    return dataclasses.replace(panel, series=series)


def variant_table(
    run: Run,
    name: str,
    title: str,
    rows: Sequence[Row],
    published: Section,
    notes: Sequence[str],
    panels: Sequence[Panel] = (),
) -> Table:
    """A table of `rows` with the baselines, comparisons within groups, and the published numbers beside."""
    found = scored(run, name, variants_of(list(rows)))
    own = row_results(run, rows, found)
    results = {**own, **baselines(run)}
    names = {**TITLES, **{row.key: row.title for row in rows}}
    plain = {key: each.to_dict() for key, each in results.items()}
    pairs = group_pairs(rows)
    sections = [method_section(plain, "Samplers", names)]
    if pairs:
        sections.append(comparison(pairs, own, names, run.config.seed))
    about = run.about()
    about["used"]["variants"] = {key: each.table.made_by for key, each in found.items()}
    return Table(
        name=name,
        title=title,
        sections=sections,
        panels=list(panels) or [coloured(accuracy_bars(plain, names), rows)],
        notes=[
            *base_notes(about["used"], about["config"]["selection"]),
            *notes,
            MEAN_NOTE,
            COMPARISON_NOTE,
            BAND_NOTE,
        ],
        published=[published],
        **about,
    )
