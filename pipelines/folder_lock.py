"""One writer at a time in a folder."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import UserError

LOCK_NAME = ".lock"


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; raises `UserError` when another process holds it.

    The system gives the lock back when the process ends, however it ends; the empty file stays. Where a
    file system knows no locks there is no protection.
    """
    with (folder / LOCK_NAME).open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another run is writing here; wait until it has ended or choose another folder"
            ) from None
        except OSError:
            pass
        yield
