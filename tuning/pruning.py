"""Disk use of a search: the networks of the best samplers are kept, of the others the scores and notes."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.errors import UserError
from pipelines.folder_lock import only_writer
from scsampler_tf.model_folder import ABOUT_NAME, NETWORK_NAME, RUN_NAME, is_finished
from tuning.rows import Row
from tuning.samplers import SAMPLERS_NAME
from tuning.study import Study

NOTES = (ABOUT_NAME, RUN_NAME, "history.csv")


def prune(study: Study, needed: Sequence[Row], rows: Iterable[Row], keep: int) -> list[Path]:
    """Removes all but `keep` networks of trained samplers; returns the folders of those removed.

    Those of the rows `needed` always stay. Others go by the best row that they had a part in, and those
    of no row, which an earlier search has left, go first. What is still trained is left alone.
    """
    always = networks_of(study, needed)
    ranked = sorted(rows, key=lambda row: -row.objective)
    left = (study.workdir.path / SAMPLERS_NAME).glob(f"*/network/{NETWORK_NAME}")
    folders = dict.fromkeys(
        [*always, *networks_of(study, ranked), *sorted(path.parent for path in left)],
    )
    there = [folder for folder in folders if (folder / NETWORK_NAME).exists()]
    most = max(keep, len(always))
    return [folder for folder in there[most:] if folder not in always and _remove_network(folder)]


def networks_of(study: Study, rows: Iterable[Row]) -> list[Path]:
    """The folders of the networks that the search has trained for these rows, each once."""
    return list(
        dict.fromkeys(
            study.workdir.path / study.samplers.place(kind, sampler).folder
            for row in rows
            for kind, sampler in row.samplers.items()
            if not study.samplers.is_own(kind, sampler)
        )
    )


def is_complete(study: Study, row: Row) -> bool:
    """Whether all networks of a row are there, and not their scores alone."""
    return all(is_finished(folder) for folder in networks_of(study, [row]))


def _remove_network(folder: Path) -> bool:
    if not (folder.parent / "scores.npz").exists():
        return False
    try:
        with only_writer(folder.parent):
            (folder / NETWORK_NAME).unlink()
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name not in NOTES:
                    path.unlink(missing_ok=True)
    except UserError:  # somebody is at work there
        return False
    return True
