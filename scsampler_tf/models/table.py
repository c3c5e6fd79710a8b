"""Writes docs/models.md: every network with its size, its cost and what others have published about it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import run_command
from pipelines.files import write_text
from scsampler_tf.models.presets import PRESETS
from scsampler_tf.models.published import PUBLISHED, Published
from scsampler_tf.models.table_text import COUNTING, FAMILIES, INTRODUCTION, Family

COMMAND = "python -m scsampler_tf.models.table"
HEADINGS = (
    *("Network", "Input (F x H x W x C)", "Values", "Parameters", "GFLOPs", "Source"),
    *("Published parameters", "Published GFLOPs", "for input", "by", "Note"),
)
RIGHT_ALIGNED = ("Parameters", "GFLOPs", "Published parameters", "Published GFLOPs")
NOTHING = "-"


def document() -> str:
    """The whole of docs/models.md."""
    rows, notes = table()
    parts = [
        "# Networks",
        f"Written by `{COMMAND} --write docs/models.md`; change the data there, not this file.",
        INTRODUCTION,
        "## What is counted",
        COUNTING,
        "## Table",
        _markdown(rows),
        "### Notes",
        "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1)),
        *(part for family in FAMILIES for part in section(family)),
    ]
    return "\n\n".join(parts) + "\n"


def table() -> tuple[list[list[str]], list[str]]:
    """The rows under `HEADINGS`, in the order of the presets, and the notes they refer to by number.

    A network about which more was published than one source has further rows, the first six cells empty.
    """
    rows, notes = [], []
    for name in PRESETS:
        own = own_cells(name)
        for publication in PUBLISHED.get(name, (None,)):
            rows.append([*own, *published_cells(publication, notes)])
            own = [""] * len(own)
    return rows, notes


def own_cells(name: str) -> list[str]:
    """What we say about a network: name, input, kind of values, parameters, GFLOPs, source."""
    preset = PRESETS[name]
    return [
        f"`{name}`",
        " x ".join(map(str, preset["input_shape"])),
        preset["inputs"],
        f"{preset['parameters']:,}",
        f"{preset['giga_multiply_adds']:g}",
        preset["source"],
    ]


def published_cells(publication: Published | None, notes: list[str]) -> list[str]:
    """What others say: parameters, GFLOPs, input, source, number of the note, which is added to `notes`."""
    if publication is None:
        return [NOTHING] * 4 + [""]
    note = _note(publication)
    if note and note not in notes:
        notes.append(note)
    return [
        _number(publication.parameters, " M"),
        _number(publication.gflops, ""),
        publication.input.replace("x", " x "),
        publication.source,
        str(notes.index(note) + 1) if note else "",
    ]


def section(family: Family) -> list[str]:
    """Heading, text, names and options of a family."""
    options = sorted({option for name in family.presets for option in PRESETS[name]["arguments"]})
    return [
        f"## {family.title}",
        family.text,
        f"Networks: {_code(family.presets)}.",
        f"Arguments in their presets, each an option of `create` for its network: {_code(options)}.",
    ]


def _note(publication: Published) -> str:
    if publication.ours is None:
        return publication.why
    return f"{publication.why} Ours is {publication.ours:g} G at that input.".strip()


def _number(value: float | None, unit: str) -> str:
    return NOTHING if value is None else f"{value:.9g}{unit}"


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _markdown(rows: list[list[str]]) -> str:
    rule = ["---:" if heading in RIGHT_ALIGNED else "---" for heading in HEADINGS]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADINGS, rule, *rows))


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--write", metavar="FILE", type=Path, help="write it there instead of printing it")
    args = parser.parse_args(argv)

    def body():
        if args.write is None:
            print(document(), end="")
        else:
            write_text(args.write, document())
            print(args.write)

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
