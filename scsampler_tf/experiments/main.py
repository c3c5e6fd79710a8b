"""Tables 1 and 2 of the paper: random, uniform, empirical, dense, SCSampler and oracle."""

from scsampler_tf.config import to_dict
from scsampler_tf.experiments import published
from scsampler_tf.experiments.names import TITLES, TITLES_TRAINED_JOINTLY
from scsampler_tf.experiments.rows import (
    BAND_NOTE,
    COMPARISON_NOTE,
    accuracy_bars,
    base_notes,
    comparison_section,
    comparisons,
    cost_points,
    method_section,
    time_note,
)
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Table
from scsampler_tf.methods import main_table

COST_NOTE = "GFLOPs are 1e9 multiply-adds, sampler plus classifier."
LOCALISATION_NOTE = "Precision: share of chosen clips inside the action; recall: share of the action's clips."


def titles(used: dict) -> dict[str, str]:
    """What the rows are called: "joint" is trained together only where `used` lists such networks."""
    return TITLES_TRAINED_JOINTLY if "joint_networks" in used else TITLES


def results(run: Run) -> dict:
    """The content of results.json: rows by method, comparisons, what was used, the configuration.

    A run whose samplers were trained together and scored has a row "joint" of those.
    """
    seed, together = run.config.seed, run.together()
    rows = main_table(run.data, run.train, run.selection, run.costs, seed=seed, draws=run.draws)
    if together:
        oracle = rows.pop("oracle")
        rows |= {"joint": together.bench.scheme("joint", run.selection), "oracle": oracle}
    used = {**run.used, **({"joint_networks": together.used["networks"]} if together else {})}
    return {
        "main": {name: row.to_dict() for name, row in rows.items()},
        "comparisons": comparisons(rows, seed, titles(used)),
        "used": used,
        "config": to_dict(run.config),
    }


def notes_of(values: dict) -> list[str]:
    """What the rows stand on and what their columns are."""
    notes = base_notes(values["used"], values["config"]["selection"])
    notes += [COST_NOTE, time_note(values["used"])]
    if any("localisation" in row for row in values["main"].values()):
        notes.append(LOCALISATION_NOTE)
    return notes


def table_of(values: dict) -> Table:
    """The table from what `results` gives."""
    rows, selection = values["main"], values["config"]["selection"]
    names = titles(values["used"])
    return Table(
        name="main",
        title=f"Baselines, SCSampler and oracle, K={selection['K']}",
        sections=[method_section(rows, "Methods", names), comparison_section(values["comparisons"])],
        panels=[accuracy_bars(rows, names), cost_points(rows, names)],
        notes=[*notes_of(values), COMPARISON_NOTE, BAND_NOTE],
        published=published.main_tables(),
        used={**values["used"], "selection": selection},
        config=values["config"],
    )


def table(run: Run) -> Table:
    """Tables 1 and 2 on the run's data."""
    return table_of(results(run))
