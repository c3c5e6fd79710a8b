"""A process that examines damaged files one at a time, and what becomes of each."""

import faulthandler
import multiprocessing
import resource
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import av

from tests.fuzz_checks import Outcome, examine
from tests.fuzz_corpus import FORMS, lost_share
from tests.fuzz_damage import Case, damaged

LIMIT_S = 20  # for one case; then the worker shows where it is and ends itself
MOST_GROWTH_MB = 300
MOST_DATA = 4 << 30  # bytes; an allocation beyond is refused, so that the machine lives on
CLEARLY_LOST = 0.15  # share of the pictures' packets whose loss must be told
PROCESS = Path("/proc/self")
FAILURES = ("error", "silent", "memory", "hang", "crash")


@dataclass(frozen=True)
class Report:
    """What became of a case: the kind of an `Outcome` or one of `FAILURES`."""

    case: int
    container: str
    mutation: str
    kind: str
    words: str = ""
    seconds: float = 0.0
    growth_mb: float = 0.0


Reporter = Callable[[Case, int, Path], Report]


class Worker:
    """One process and the case that it is at; `report` is what it does with each."""

    def __init__(self, corpus: Path, seed: int, number: int, report: Reporter, limit_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._traces = corpus / f"worker-{number}.txt"
        arguments = theirs, corpus, seed, self._traces, report, limit_s
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.case: int | None = None
        self._since, self._limit_s = 0.0, limit_s

    def begin(self, case: int) -> None:
        """Sends the number of the next case."""
        self.case, self._since = case, time.monotonic()
        self.connection.send(case)

    def overdue(self) -> bool:
        """Whether the worker has not even ended itself."""
        return self.case is not None and time.monotonic() - self._since > self._limit_s + 20

    def last_words(self) -> tuple[str, str]:
        """hang or crash, and where; ends the process."""
        self.process.kill()
        self.process.join()
        words = self._traces.read_text(errors="replace") if self._traces.exists() else ""
        hang = self.overdue() or "Timeout (" in words
        return "hang" if hang else "crash", words or f"exit code {self.process.exitcode}"


def _work(
    connection: Connection, corpus: Path, seed: int, traces: Path, report: Reporter, limit_s: float
) -> None:
    av.logging.set_level(av.logging.PANIC)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_DATA, MOST_DATA))
    files = [(corpus / form.name).read_bytes() for form in FORMS]
    for form in FORMS[::5]:  # what is loaded and kept once does not count for a case
        examine(corpus / form.name, 0)
    with traces.open("w") as log:
        faulthandler.enable(log)
        connection.send(None)
        while (case := _next(connection)) is not None:
            faulthandler.dump_traceback_later(limit_s, exit=True, file=log)
            done = report(damaged(files, seed, case), case, traces.with_suffix(""))
            faulthandler.cancel_dump_traceback_later()
            connection.send(done)


def _next(connection: Connection) -> int | None:
    try:
        return connection.recv()
    except EOFError:  # the main process is gone
        return None


def report_case(damage: Case, case: int, folder: Path) -> Report:
    """Examines a damaged file, in `folder` for the moment."""
    form = FORMS[damage.source]
    folder.mkdir(exist_ok=True)
    path = folder / f"case-{case}-{form.name}"
    path.write_bytes(damage.data)
    start, before = time.monotonic(), _reset_peak()
    try:
        outcome = examine(path, case)
    except Exception:
        outcome = Outcome("error", words=traceback.format_exc())
    growth = _peak_mb() - before
    seconds = time.monotonic() - start
    path.unlink()
    lost = 0.0
    if outcome.kind == "whole" and damage.mutation == "cut" and form.announces:
        lost = lost_share(folder.parent / form.name, len(damage.data))
    if lost > CLEARLY_LOST:
        outcome = Outcome("silent", words=f"{lost:.0%} are cut off, {outcome.read} frames, not told")
    elif growth > MOST_GROWTH_MB and outcome.kind != "error":
        outcome = Outcome("memory", words=f"{growth:.0f} MB more")
    return Report(case, form.name, damage.mutation, outcome.kind, outcome.words, seconds, growth)


def _reset_peak() -> float:
    """Forgets the highest use of memory so far; what is in use now, in MB. 0 where there is no /proc."""
    if not PROCESS.exists():
        return 0.0
    (PROCESS / "clear_refs").write_text("5")
    return _peak_mb()


def _peak_mb() -> float:
    if not PROCESS.exists():
        return 0.0
    return int((PROCESS / "status").read_text().split("VmHWM:")[1].split()[0]) / 1024
