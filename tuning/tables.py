"""Rows of a search as CSV and Markdown."""

import csv
import dataclasses
import io
from collections.abc import Sequence

from scsampler_tf.config import SamplerConfig, SelectionConfig
from tuning.assess import Assessment
from tuning.rows import OWN, TRAINED_FIELDS, Row, trained_values

TOP = 10
SELECTION = tuple(field.name for field in dataclasses.fields(SelectionConfig))
NUMBERS = tuple(field.name for field in dataclasses.fields(Assessment))


def columns(kinds: Sequence[str]) -> list[str]:
    """The names of `values`, for samplers of these kinds."""
    trained = [f"{kind}.{name}" for kind in kinds for name in TRAINED_FIELDS]
    return [*SELECTION, *trained, "objective", *NUMBERS]


def values(row: Row, kinds: Sequence[str]) -> list:
    """One row as cells of a CSV; empty where a hyperparameter does not matter."""
    trained = [trained_values(row.samplers[kind]) for kind in kinds]
    return [
        *(getattr(row.selection, name) for name in SELECTION),
        *(known.get(name, "") for known in trained for name in TRAINED_FIELDS),
        row.objective,
        *(getattr(row.assessment, name) for name in NUMBERS),
    ]


def as_csv(rows: Sequence[Row], kinds: Sequence[str]) -> str:
    """All trials in their order, one a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *columns(kinds)])
    writer.writerows([row.trial, *values(row, kinds)] for row in rows)
    return text.getvalue()


def cells(row: Row, own: dict[str, SamplerConfig]) -> list[str]:
    """One row as cells of a Markdown table: trial, settings, accuracy, true-class score, GFLOPs."""
    found = row.assessment
    return [
        row.trial,
        row.describe(own),
        f"{found.accuracy:.1%}",
        f"{found.true_score:.3f}",
        f"{found.gflops_per_video:.3f}",
    ]


def as_markdown(rows: Sequence[Row], own: dict[str, SamplerConfig], note: str) -> str:
    """The best ten rows, and the run's own settings for comparison."""
    ranked = sorted(rows, key=lambda row: -row.objective)
    shown = ranked[:TOP] + [row for row in ranked[TOP:] if row.trial == OWN]
    lines = [
        "| Place | Trial | Best settings of the trial | Val accuracy | True-class score | GFLOPs / video |",
        "|---:|---|---|---:|---:|---:|",
    ]
    for row in shown:
        lines.append(f"| {' | '.join([str(ranked.index(row) + 1), *cells(row, own)])} |")
    return "\n".join(lines) + f"\n\n{note}\n"


def line(row: Row, own: dict[str, SamplerConfig]) -> str:
    """One row on one line."""
    found = row.assessment
    return (
        f"{row.describe(own)}: accuracy {found.accuracy:.1%}, true class {found.true_score:.3f}, "
        f"{found.gflops_per_video:.3f} GFLOPs"
    )
