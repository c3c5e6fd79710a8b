"""Disk use of a search: the networks of the best samplers are kept, of the others the scores and notes."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from scsampler_tf.model_folder import ABOUT_NAME, NETWORK_NAME, RUN_NAME
from tuning.rows import Row
from tuning.samplers import SAMPLERS_NAME
from tuning.study import Study

NOTES = (ABOUT_NAME, RUN_NAME, "history.csv")


def prune(study: Study, first: Iterable[Row], rows: Iterable[Row], keep: int) -> list[Path]:
    """Removes all but `keep` networks among the samplers that the search has trained; returns the folders.

    Those of the rows `first` are kept before others, these by the best row that they had a part in.
    Samplers of another search of this run, and those that are still trained, are left alone.
    """
    ranked = [*first, *sorted(rows, key=lambda row: -row.objective)]
    folders = dict.fromkeys(
        study.workdir.path / study.samplers.place(kind, sampler).folder
        for row in ranked
        for kind, sampler in row.samplers.items()
        if not study.samplers.is_own(kind, sampler)
    )
    removed = []
    for folder in list(folders)[keep:]:
        within = folder.parent.parent == study.workdir.path / SAMPLERS_NAME
        if within and (folder / NETWORK_NAME).exists() and (folder.parent / "scores.npz").exists():
            _remove_network(folder)
            removed.append(folder)
    return removed


def _remove_network(folder: Path) -> None:
    (folder / NETWORK_NAME).unlink()
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in NOTES:
            path.unlink(missing_ok=True)
