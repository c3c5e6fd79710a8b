"""Files wherever Apache Beam can read and write: in a local folder, gs://, s3://, hdfs://."""

import contextlib
import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipelines.errors import UserError
from pipelines.extraction import fingerprint
from pipelines.files import PART

Content = TypeVar("Content")
AS_IT_IS = CompressionTypes.UNCOMPRESSED  # no decompression by suffix


def is_remote(path: str) -> bool:
    """Whether a path is not one of this machine's."""
    return FileSystems.get_scheme(path) is not None


def require_reachable(path: str) -> None:
    """Raises `UserError` for a kind of place that Beam, as it is installed, knows nothing of."""
    try:
        FileSystems.get_filesystem(path)
    except (ValueError, BeamIOError) as error:
        raise UserError(
            f"{path}: this place cannot be reached ({error}); "
            'install the part of Beam for it, for instance pip install "apache-beam[gcp]"'
        ) from None


def require_writable(prefix: str) -> None:
    """Raises `UserError` where no files can be written whose names begin with `prefix`."""
    if set(prefix) & set("*?[]"):  # Beam would take it for a pattern, and other files for ours
        raise UserError(f"{prefix}: an output's name must be without *, ?, [ and ]")
    try:
        folder, name = FileSystems.split(prefix)
        trial = FileSystems.join(folder, f"{PART}{uuid.uuid4().hex}")
        with FileSystems.create(trial, compression_type=AS_IT_IS):
            pass
        FileSystems.delete([trial])
    except Exception as error:  # every kind of place fails in its own way
        told = " ".join(str(error).split())
        raise UserError(f"{prefix}: nothing can be written there ({told}); see whether you may") from None
    if not name:
        raise UserError(f"{prefix}: this is a folder; add what the names of the files are to begin with")


def joined(folder: str, name: str) -> str:
    """The file `name`, with forward slashes, below a folder."""
    return FileSystems.join(folder, *name.split("/"))


def state_of(path: str) -> list | None:
    """Tells one state of a file from another; None when there is no such file."""
    if not is_remote(path):
        return fingerprint(
            Path(path)
        )  # the same as the local command's, so that either knows the other's work
    if not FileSystems.exists(path):
        return None
    found = FileSystems.get_filesystem(path).metadata(path)
    return [found.size_in_bytes, found.last_updated_in_seconds]


def fetch(path: str, local: Path) -> None:
    """Copies a file to this machine."""
    with FileSystems.open(path, compression_type=AS_IT_IS) as source, local.open("wb") as target:
        shutil.copyfileobj(source, target)


def publish(local: Path, path: str) -> None:
    """Copies a file of this machine to `path`, where it appears whole; an older one is replaced."""
    folder, name = FileSystems.split(path)
    temporary = FileSystems.join(folder, f"{PART}{uuid.uuid4().hex}{PurePosixPath(name).suffix}")
    try:
        with local.open("rb") as source, FileSystems.create(temporary, compression_type=AS_IT_IS) as target:
            shutil.copyfileobj(source, target)
        _renamed(temporary, path)
    finally:
        with contextlib.suppress(Exception):  # usually it is gone already
            FileSystems.delete([temporary])


def _renamed(source: str, target: str) -> None:
    try:
        FileSystems.rename([source], [target])
    except BeamIOError:  # some file systems do not replace a file by renaming another
        if not FileSystems.exists(target):
            raise
        FileSystems.delete([target])
        FileSystems.rename([source], [target])


def remove_parts(folder: str) -> None:
    """Removes what writers that were killed have left in a feature folder."""
    patterns = [joined(folder, f"{place}{PART}*") for place in ("", "shards/*/", "videos/*/")]
    for result in FileSystems.match(patterns):
        FileSystems.delete([found.path for found in result.metadata_list])


def remove_older_shards(prefix: str, suffix: str, total: int) -> None:
    """Removes files `prefix`-00000-of-0000N`suffix` of any number N but `total`.

    Beam replaces only files of the same number, so that those of another run would be read with the new ones.
    """
    shard = re.compile(rf"{re.escape(prefix)}-\d{{5}}-of-(\d{{5}}){re.escape(suffix)}")
    (result,) = FileSystems.match([f"{prefix}-*{suffix}"])
    found = [(file.path, shard.fullmatch(file.path)) for file in result.metadata_list]
    older = [path for path, match in found if match and int(match[1]) != total]
    if older:
        FileSystems.delete(older)


def has_any(folder: str, pattern: str) -> bool:
    """Whether a file below the folder has a name like `pattern`."""
    return bool(FileSystems.match([joined(folder, pattern)], [1])[0].metadata_list)


def read_json(path: str) -> Any:
    """The content of a JSON file; None for a missing or damaged one."""
    if not FileSystems.exists(path):
        return None
    with FileSystems.open(path, compression_type=AS_IT_IS) as stream:
        content = stream.read()
    try:
        return json.loads(content)
    except ValueError:
        return None


def write_json(path: str, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "value.json"
        local.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        publish(local, path)


def read_from(path: str, read: Callable[[Path], Content]) -> Content:
    """What `read` makes of a file that lies elsewhere, given a copy of it here.

    Raises `UserError` where there is no copy to be had, and what `read` raises with the file's own name.
    """
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / PurePosixPath(path).name
        try:
            fetch(path, local)
        except Exception as error:  # every kind of place fails in its own way
            raise UserError(f"{path}: cannot be read ({error})") from None
        try:
            return read(local)
        except UserError as error:
            raise UserError(str(error).replace(str(local), path)) from None
