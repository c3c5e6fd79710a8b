"""The results file of a batch: one JSON line a video, which the next run goes on with."""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import UserError
from pipelines.files import make_folder, written_whole

START = b'{"path": "'


class Results:
    """Lines of an open results file. `answers` holds the predicted label of each path, `errors` the reason
    of each that has none, both of the lines that were there; `classes` the labels of the model that made
    them, None without an answer."""

    def __init__(self, path: Path, stream: BinaryIO):
        """Reads what is there; `stream` is the file, open for reading and appending."""
        self.path, self._stream = path, stream
        self.answers: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.classes: list[str] | None = None
        end = 0
        stream.seek(0)
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n") and START.startswith(line[: len(START)]):
                os.ftruncate(stream.fileno(), end)  # of a run that was killed while it wrote
                break
            end += len(line)
            self._take(_record(line, f"{path} line {number}"))

    def _take(self, record: dict) -> None:
        if "error" in record:
            self.errors[record["path"]] = record["error"]
            return
        self.answers[record["path"]] = record["label"]
        self.classes = self.classes or list(record.get("probabilities", ()))

    def add(self, record: dict) -> None:
        """Appends a line, whole or not at all. Raises `UserError` when the disk takes no more."""
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        handle = self._stream.fileno()
        end = os.fstat(handle).st_size
        try:
            if os.write(handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(handle, end)
            raise UserError(
                f"{self.path}: cannot be written to ({error.strerror}); make room, then go on"
            ) from None


@contextlib.contextmanager
def open_results(path: str | Path, again: Collection[str] = ()) -> Iterator[Results]:
    """The results file, made where it is not there, for this process alone. A last line that was not written
    to its end is removed, and so are the lines without an answer of the paths in `again`.

    Raises `UserError` for a file that is something else or that another run writes to.
    """
    path = Path(path)
    make_folder(path.parent)
    with contextlib.ExitStack() as stack:
        results = Results(path, stack.enter_context(_locked(path)))
        if not results.errors.keys().isdisjoint(again):
            _remove_errors(path, set(again))
            results = Results(path, stack.enter_context(_locked(path)))
        yield results


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading and appending, with the system's lock on it."""
    while True:
        try:
            stream = path.open("ab+")
        except OSError as error:
            raise UserError(
                f"{path}: cannot be written to ({error.strerror}); choose another --out"
            ) from None
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{path}: another run is writing here; wait until it has ended") from None
            except OSError:  # a file system that knows no locks
                pass
            # Whoever held the lock until now may have put another file in this one's place.
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                yield stream
                return


def _remove_errors(path: Path, names: set[str]) -> None:
    with written_whole(path) as temporary, path.open("rb") as old, temporary.open("wb") as new:
        for line in old:
            record = json.loads(line)
            if "error" not in record or record["path"] not in names:
                new.write(line)


def _record(line: bytes, where: str) -> dict:
    """The line's object; raises `UserError` for a line that no batch has written."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        record = json.loads(line)
        texts = ("path", "error") if "error" in record else ("path", "label")
        if all(isinstance(record[name], str) for name in texts):
            return record
    raise UserError(f"{where}: not an answer of this command; choose another --out")
