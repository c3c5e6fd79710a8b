"""Figures as Markdown tables, which read well as plain text too."""

from collections.abc import Iterable, Sequence


def header(machine: dict) -> str:
    """What `benchmarks.machine` tells, in one line."""
    return " - ".join(f"{key} {value}" for key, value in machine.items())


def cell(value: object) -> str:
    """A number with four digits, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table and an empty one."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]
