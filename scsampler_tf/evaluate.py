"""Reads score tables and writes the paper's tables and figures for this run's data.

    python -m scsampler_tf.evaluate main --workdir runs/mine

Prints a table and writes it as JSON, Markdown and a picture into the run's report folder; `all` makes every
one that the run allows. Nothing is run again: everything is arithmetic on the score tables.
"""

import argparse
import sys
from pathlib import Path

from pipelines.errors import UserError, run_command
from pipelines.files import write_json
from scsampler_tf.config import ExperimentConfig
from scsampler_tf.experiments.catalogue import TABLES, make
from scsampler_tf.experiments.run import DRAWS, TEST_SPLIT, Run, network_costs, open_run
from scsampler_tf.experiments.table import Table
from scsampler_tf.found_settings import configured_run, found_in
from scsampler_tf.train import add_run_arguments
from scsampler_tf.workdir import Workdir

ALL = "all"

__all__ = ["evaluate", "main", "markdown", "network_costs", "write_results"]


def evaluate(
    workdir: Workdir, config: ExperimentConfig, *, split: str = TEST_SPLIT, draws: int = DRAWS
) -> dict:
    """The main table of a run as plain data: rows, comparisons, what was used, and the configuration."""
    from scsampler_tf.experiments.main import results

    return results(open_run(workdir, config, split, draws))


def markdown(results: dict) -> str:
    """The main table's rows as Markdown, with a line that says what they stand on."""
    from scsampler_tf.experiments.main import notes_of, table_of
    from scsampler_tf.experiments.markdown import section_markdown

    rows = section_markdown(table_of(results).sections[0])
    return f"{rows}\n\n{' '.join(notes_of(results))}\n"


def write_results(results: dict, workdir: Workdir, variant: str = "") -> list[Path]:
    """Writes the main table's files into the run's report folder, and results.json in the run's folder.

    A `variant` (another split, settings found by a search) goes to files of its own, and not to results.json.
    """
    from scsampler_tf.experiments.main import table_of
    from scsampler_tf.experiments.writing import write_table

    paths = write_table(table_of(results), workdir.report, variant)
    if variant:
        return paths
    write_json(workdir.path / "results.json", results)
    return [workdir.path / "results.json", *paths]


def make_one(name: str, run: Run) -> tuple[Table, dict | None]:
    """One table, and what results.json is to hold if it is the main one."""
    if name != "main":
        return make(name, run), None
    from scsampler_tf.experiments.main import results, table_of

    values = results(run)
    return table_of(values), values


def write_one(table: Table, results: dict | None, run: Run, variant: str) -> None:
    """Prints one table without the published numbers, and writes it with them."""
    from scsampler_tf.experiments.markdown import markdown as table_markdown
    from scsampler_tf.experiments.writing import write_table

    if results is not None:
        paths = write_results(results, run.workdir, variant)
    else:
        paths = write_table(table, run.workdir.report, variant)
    print(table_markdown(table, published=False))
    for path in paths:
        print(path)


def write_all(run: Run, variant: str) -> None:
    """Every table that the run allows; what the others lack is listed at the end."""
    lacking = []
    for name in TABLES:
        try:
            made = make_one(name, run)
        except UserError as error:
            lacking.append(str(error))
            continue
        write_one(*made, run, variant)
    if lacking:
        print("\nnot made:\n" + "\n".join(lacking))


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    listing = "\n".join(f"  {name:14} {what}" for name, (_, what) in TABLES.items())
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.evaluate",
        description=__doc__.split("\n\n")[0],
        epilog=f"tables:\n{listing}\n  {ALL:14} every one that this run allows",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = (*TABLES, ALL)
    parser.add_argument(
        "table", nargs="?", default="main", choices=names, metavar="TABLE", help="see below (default main)"
    )
    parser.add_argument("--split", default=TEST_SPLIT, choices=("train", "val", "test"))
    parser.add_argument(
        "--draws", type=int, default=DRAWS, help=f"seeds of the random baselines (default {DRAWS})"
    )
    add_run_arguments(parser)
    args = parser.parse_args(argv)

    def body():
        workdir, config = configured_run(args)
        run = open_run(workdir, config, args.split, args.draws)
        variant = "" if args.split == TEST_SPLIT else f"-{args.split}"
        if found_in(args.config):  # found by a search; they leave the run's own tables alone
            variant += f"-{Path(args.config).stem}"
        if args.table == ALL:
            write_all(run, variant)
        else:
            write_one(*make_one(args.table, run), run, variant)

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
