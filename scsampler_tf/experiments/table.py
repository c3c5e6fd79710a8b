"""The one shape of all results: sections of rows, panels of curves, notes, what was published."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

FORMATS = ("text", "percent", "points", "number", "tenths", "hundredths", "integer", "probability")


@dataclass(frozen=True)
class Column:
    """A column: key in the rows, its title with the unit, and one of `FORMATS`.

    Shares in [0, 1] are shown as percent, their differences as points. A pair of numbers is an interval.
    """

    key: str
    title: str
    format: str = "text"

    def __post_init__(self):
        if self.format not in FORMATS:
            raise ValueError(f"column '{self.key}': format '{self.format}' is none of {', '.join(FORMATS)}")


@dataclass(frozen=True)
class Section:
    """Rows under a heading; `source` says where published numbers stand, "" for our own."""

    title: str
    columns: list[Column]
    rows: list[dict[str, Any]]
    source: str = ""


@dataclass(frozen=True)
class Series:
    """Points (x, y) of one method; low and high are the ends of 95 % intervals, None without.

    name chooses its colour (`figure.STYLES`), label stands in the legend. A single x stands for a level
    that holds everywhere. Bars and steps: x are the categories or the edges (one more than y).
    """

    name: str
    label: str
    x: list
    y: list[float]
    low: list[float] | None = None
    high: list[float] | None = None


@dataclass(frozen=True)
class Panel:
    """One set of axes. kind: "lines", "bars" or "steps"; percent: y is a share, shown in percent."""

    title: str
    x_label: str
    y_label: str
    series: list[Series]
    kind: str = "lines"
    percent: bool = True


@dataclass(frozen=True)
class Table:
    """A table or figure of this run: name as on the command line, own sections, panels, notes, the
    published numbers (never mixed with the run's), what it stands on, and the run's configuration."""

    name: str
    title: str
    sections: list[Section]
    panels: list[Panel]
    notes: list[str]
    published: list[Section] = field(default_factory=list)
    used: dict = field(default_factory=dict)
    config: dict = field(default_factory=dict)

    def to_dict(self) -> dict:
        """Plain data, ready for JSON."""
        return dataclasses.asdict(self)
