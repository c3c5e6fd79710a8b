"""Files that appear whole or not at all."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.errors import UserError

BLOCK = 1 << 20  # bytes read at a time
PART = ".part-"  # what the temporary names begin with


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary name beside `path`; renames it to `path` on success, removes it on any failure.

    The temporary name keeps the suffix of `path`, because many writers choose their format by it.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, a file is to be written; choose another name")
    make_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=f"{PART}{path.stem[:40]}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files; results are ordinary ones
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_parts(folder: str | os.PathLike) -> None:
    """Removes what writers that were killed have left in a folder and the folders below it."""
    for path in Path(folder).rglob(f"{PART}*"):
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def file_digest(path: str | os.PathLike) -> str:
    """SHA-256 of a file's contents in hexadecimal digits, read a block at a time."""
    found = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file; a missing or damaged one is the user's to mend."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable JSON file ({error})") from None


def make_folder(path: str | os.PathLike) -> Path:
    """Creates a folder and proves that it can be written to."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UserError(f"{path}: is a file, a folder is needed; choose another name") from None
    except OSError as error:
        raise UserError(f"{path}: cannot make this folder ({error.strerror}); choose another place") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"{path}: no permission to write here; choose another folder")
    return path
