"""Tables as Markdown."""

from typing import Any

from scsampler_tf.experiments.table import Column, Section, Table

SMALLEST_P = 1e-4


def markdown(table: Table, published: bool = True) -> str:
    """The whole table: title, own sections, notes, and below them the published numbers."""
    parts = [f"# {table.title}"]
    for number, section in enumerate(table.sections):
        parts += [f"## {section.title}"] if number else []
        parts.append(section_markdown(section))
    parts += table.notes
    if published and table.published:
        parts.append("## Published numbers, on the authors' data sets, classifiers and machines")
        for section in table.published:
            parts += [f"### {section.title}", section_markdown(section)]
    return "\n\n".join(parts) + "\n"


def section_markdown(section: Section) -> str:
    """Rows as a Markdown table; columns that no row has a value for stay, with dashes."""
    lines = ["| " + " | ".join(column.title for column in section.columns) + " |"]
    lines.append(
        "|" + "|".join("---" if column.format == "text" else "---:" for column in section.columns) + "|"
    )
    for row in section.rows:
        lines.append(
            "| " + " | ".join(cell(row.get(column.key), column) for column in section.columns) + " |"
        )
    return "\n".join(lines)


def cell(value: Any, column: Column) -> str:
    """One value as text; "-" for None."""
    if value is None:
        return "-"
    if isinstance(value, (list, tuple)):
        return " - ".join(cell(each, column) for each in value)
    if column.format == "text":
        return str(value).replace("|", "\\|")
    if column.format == "probability" and value < SMALLEST_P:
        return f"< {SMALLEST_P}"
    if column.format == "points":
        return f"{100 * value:+.1f}"
    forms = {
        "percent": ".1%",
        "number": ".4g",
        "tenths": ".1f",
        "hundredths": ".2f",
        "integer": "d",
        "probability": ".4f",
    }
    return format(value, forms[column.format])
