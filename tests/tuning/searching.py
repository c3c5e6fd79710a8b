"""A search on a made-up run, and what it has written."""

import csv
import dataclasses
import io
import json

from tuning.options import Options
from tuning.search import search

QUIET = Options(quiet=True, objective="val_accuracy", clips=(1, 2, 4), max_trials=6)


def run_search(run, **options) -> dict:
    return search(*run, dataclasses.replace(QUIET, **options))


def read(run, name: str) -> dict:
    return json.loads((run[0].path / "tuning" / name).read_text())


def table_of(run, name: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO((run[0].path / "tuning" / name).read_text())))
