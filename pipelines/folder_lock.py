"""One writer at a time in a folder."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.errors import UserError

LOCK_NAME = ".lock"
EVERY_S = 0.5


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


@contextlib.contextmanager
def writer_in_turn(folder: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds the folder's lock as `only_writer` does, and waits for it as long as another process holds it.

    `waiting` is called now and then meanwhile, and may end it by an error.
    """
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(only_writer(folder))
                break
            except UserError:
                waiting()
                time.sleep(EVERY_S)
        yield
