"""Arrays of unknown length in one NPZ file, without ever holding them in memory."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np

from pipelines.files import written_whole


def write_npz(path: str | PathLike, batches: Iterable[dict[str, np.ndarray]], last=dict) -> None:
    """Writes arrays that come in pieces: every batch gives the next rows `[n, ...]` of each array.

    `last()` is called at the end and gives whole arrays that are known only then. The file appears whole or
    not at all. Raises `ValueError` when pieces of an array differ in shape or kind, and when there are none.
    """
    with tempfile.TemporaryDirectory() as folder, written_whole(path) as temporary:
        columns: dict[str, _Column] = {}
        for batch in batches:
            for name, rows in batch.items():
                columns.setdefault(name, _Column(Path(folder, name), rows)).add(rows)
        if not columns:
            raise ValueError("no rows to write")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, column in columns.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    column.copy_to(member)
            for name, values in last().items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(values), allow_pickle=False)


class _Column:
    """One array, kept on disk while it grows."""

    def __init__(self, path: Path, first: np.ndarray) -> None:
        self._path = path
        self._kind, self._shape = first.dtype, first.shape[1:]
        self._rows = 0

    def add(self, rows: np.ndarray) -> None:
        if (rows.dtype, rows.shape[1:]) != (self._kind, self._shape):
            raise ValueError(f"rows {rows.dtype} {rows.shape[1:]} after {self._kind} {self._shape}")
        with self._path.open("ab") as handle:
            handle.write(np.ascontiguousarray(rows).tobytes())
        self._rows += len(rows)

    def copy_to(self, member) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(self._kind), "fortran_order": False}
        np.lib.format.write_array_header_1_0(member, {**header, "shape": (self._rows, *self._shape)})
        with self._path.open("rb") as handle:
            shutil.copyfileobj(handle, member)
