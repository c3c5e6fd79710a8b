"""Table 3 of the paper: clips chosen by samplers that were trained in another run."""

from pipelines.errors import UserError
from scsampler_tf.cost import Sampler
from scsampler_tf.experiments import published
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.rows import (
    BAND_NOTE,
    COMPARISON_NOTE,
    accuracy_bars,
    base_notes,
    method_section,
)
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Column, Section, Table
from scsampler_tf.experiments.variant_rows import (
    Scored,
    baselines,
    comparison,
    scheme_result,
    with_samplers,
)
from scsampler_tf.methods import Result
from scsampler_tf.tables import load_table
from scsampler_tf.transfer_scores import TRANSFER, notes_of_others, transfer_table

NAME = TRANSFER
SCHEMES = ("visual", "audio", "union_list")
SOURCES = [
    Column("run", "Samplers of"),
    Column("classifier", "Trained for classifier"),
    Column("same_classifier", "The classifier here"),
    Column("same_videos", "Trained on the videos here"),
    Column("objectives", "Objectives"),
]
NOTE = (
    "A sampler trained with AC learns from no classifier, whatever its run has. Each is compared with the "
    "run's own sampler of the same kind and with uniform."
)


def others_of(run: Run) -> list[dict]:
    """What `variants transfer` noted of every other run. Raises `UserError` without any."""
    notes = notes_of_others(run.workdir)
    if not notes:
        raise UserError(
            f"{NAME}: no samplers of another run have been scored here; do it with python -m "
            f"scsampler_tf.variants {NAME} --other OTHER_RUN --workdir {run.workdir.path}"
        )
    return list(notes.values())


def with_other(run: Run, other: dict) -> Run:
    """The run with the samplers of another one in place of its own."""
    samplers = {
        kind: Scored(
            load_table(transfer_table(other["run"], kind, run.workdir)),
            Sampler(note["multiply_adds"], note["frames_per_clip"]),
        )
        for kind, note in other["samplers"].items()
    }
    return with_samplers(run, samplers)


def schemes(run: Run, kinds) -> list[str]:
    """What can be chosen with: sight, sound and both, as far as there are samplers of these `kinds`."""
    senses = {"audio" if kind == "audio" else "visual" for kind in kinds}
    senses |= {"union_list"} if len(senses) == 2 else set()
    return [name for name in SCHEMES if name in senses]


def table(run: Run) -> Table:
    """Table 3 on the run's data, with every other run whose samplers were scored here."""
    others = others_of(run)
    names = dict(TITLES)
    results: dict[str, Result] = {
        scheme: scheme_result(run, scheme) for scheme in schemes(run, run.costs.samplers)
    }
    pairs = []
    for other in others:
        theirs = with_other(run, other)
        for scheme in schemes(theirs, other["samplers"]):
            key = f"{other['run']}-{scheme}"
            names[key] = f"{TITLES[scheme]}, of {other['run']}"
            results[key] = scheme_result(theirs, scheme)
            pairs += [(key, scheme)] if scheme in results else []
            pairs.append((key, "uniform"))
    results |= baselines(run)
    plain = {key: each.to_dict() for key, each in results.items()}
    about = run.about()
    about["used"]["others"] = others
    return Table(
        name=NAME,
        title=f"Samplers trained in another run, K={run.selection.K}",
        sections=[
            method_section(plain, "Samplers", names),
            comparison(pairs, results, names, run.config.seed),
            Section("Where the samplers come from", SOURCES, [_source(other) for other in others]),
        ],
        panels=[accuracy_bars(plain, names)],
        notes=[
            *base_notes(about["used"], about["config"]["selection"]),
            NOTE,
            COMPARISON_NOTE,
            BAND_NOTE,
        ],
        published=[published.transfer()],
        **about,
    )


def _source(other: dict) -> dict:
    return {
        "run": other["run"],
        "classifier": other["classifier"],
        "same_classifier": "yes" if other["same_classifier"] else "no",
        "same_videos": "yes" if other["same_videos"] else "no",
        "objectives": ", ".join(f"{kind} {note['objective']}" for kind, note in other["samplers"].items()),
    }
