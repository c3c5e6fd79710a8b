"""Several processes on one search: Keras Tuner's chief gives out trials, its workers run them.

The processes share the run's folder. A worker writes a beat into it every few seconds; one that was silent
for too long is given up, and its trial goes to another. What the last workers leave is done by the chief.
"""

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pipelines.errors import UserError
from pipelines.files import make_folder, write_text

ID, ADDRESS, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
BEAT_S, POLL_S = 2.0, 0.5
LOST_S = 60.0


@dataclass(frozen=True)
class Role:
    """This process in a search of several; `chief` holds the oracle."""

    name: str
    chief: bool
    address: str


def role() -> Role | None:
    """What the environment says, in Keras Tuner's words; None for a search of one process."""
    given = {name: os.environ.get(name, "") for name in (ID, ADDRESS, PORT)}
    if not given[ADDRESS]:
        return None
    for name in (ID, PORT):
        if not given[name]:
            raise UserError(f"{ADDRESS} is set but {name} is not; set all three, or none for one process")
    if not given[PORT].isdigit() or not 0 < int(given[PORT]) < 1 << 16:
        raise UserError(f"{PORT}: '{given[PORT]}' is no port; give a number from 1 to 65535")
    if not re.fullmatch(r"\w[\w.-]*", given[ID]):
        raise UserError(
            f"{ID}: '{given[ID]}' is no name; use letters, digits, '.', '-' and '_', a letter first"
        )
    # Keras Tuner takes every name with "chief" in it for the chief.
    return Role(given[ID], "chief" in given[ID], f"{given[ADDRESS]}:{given[PORT]}")


@contextlib.contextmanager
def beating(folder: Path, name: str) -> Iterator[None]:
    """Within it this worker is known to live; leaving it says good-bye."""
    path, over = make_folder(folder) / name, threading.Event()

    def beat() -> None:
        count = 0
        while not over.is_set():
            with contextlib.suppress(OSError):  # a full disk is for the trial to report
                write_text(path, f"{os.getpid()} {count}\n")
            count += 1
            over.wait(BEAT_S)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        path.unlink(missing_ok=True)


class Beats:
    """The chief's view of its workers. Time is the chief's own, so clocks need not agree."""

    def __init__(self, folder: Path, lost_after: float = LOST_S, clock: Callable[[], float] = time.monotonic):
        self._folder, self._lost_after, self._clock = folder, lost_after, clock
        self._seen: dict[str, tuple[str, float]] = {}

    def lives(self, name: str) -> bool:
        """Whether a worker has beaten lately; one that has said good-bye lives no more."""
        try:
            text = (self._folder / name).read_text(encoding="utf-8")
        except OSError:
            # Unknown yet: it has asked for a trial before its first beat was seen.
            if name not in self._seen:
                self._seen[name] = ("", self._clock())
            return not self._seen[name][0] and self._recently(name)
        if self._seen.get(name, ("",))[0] != text:
            self._seen[name] = (text, self._clock())
        return self._recently(name)

    def forget(self, name: str) -> None:
        """Begins anew with a worker that may come back."""
        self._seen.pop(name, None)

    def _recently(self, name: str) -> bool:
        return self._clock() - self._seen[name][1] <= self._lost_after


def lead(
    oracle, chief: Role, beats: Beats, after: Callable[[], None], over: Callable[[], bool], say: Callable
) -> None:
    """Gives trials to workers until none is left, all workers are gone, or `over()`.

    `after()` is called when trials have ended. Raises `UserError` where the address cannot be had.
    """
    oracle.verbose = 0
    server, service = _serve(oracle, chief)
    try:
        # Keras Tuner 1.4 prints parts of what its server sends.
        with contextlib.redirect_stdout(_OfMainThread(sys.stdout)):
            _watch(oracle, service, beats, after, over, say)
    finally:
        server.stop(grace=5).wait()


def _watch(oracle, service, beats: Beats, after: Callable, over: Callable, say: Callable) -> None:
    ended, worked = len(oracle.end_order), False
    while not over():
        time.sleep(POLL_S)
        for name in sorted(oracle.tuner_ids | set(oracle.ongoing_trials)):
            worked = True
            if not beats.lives(name):
                trial = oracle.forget(name)
                beats.forget(name)
                again = f"; trial {int(trial) + 1} is given again" if trial else ""
                say(f"worker {name} is gone{again}")
        if len(oracle.end_order) != ended:
            ended = len(oracle.end_order)
            after()
        if (worked or service.stop_triggered) and not (oracle.tuner_ids or oracle.ongoing_trials):
            return


class _OfMainThread:
    """A stream that takes what the main thread writes, and nothing else."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread() is threading.main_thread():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def _serve(oracle, chief: Role):
    from concurrent import futures

    import grpc
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)])
    service = OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(service, server)
    try:
        bound = server.add_insecure_port(chief.address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise UserError(
            f"{chief.address}: cannot listen there; is another chief running? Choose another port"
        )
    server.start()
    return server, service


def gone(worker: Role, error: Exception) -> UserError:
    """The sentence for a chief that does not answer."""
    why = getattr(error, "details", lambda: "")() or str(error)
    return UserError(
        f"{worker.address}: the chief does not answer ({why.splitlines()[0][:120] if why else 'no reason'}); "
        "start it, then this worker again"
    )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Within it Keras Tuner takes this process for the only one."""
    taken = {name: os.environ.pop(name) for name in (ID, ADDRESS, PORT) if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)
