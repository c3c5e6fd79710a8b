"""Thousands of damaged videos through everything that reads videos.

    python -m tests.fuzz --cases 2000 --seed 0

Every case must be read as far as it goes, with the damage told, or be refused in one line; in bounded time
and memory, without a crash or an endless loop. `--keep` collects the files that fail; `--cases 1 --start N`
repeats one.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing.connection import wait
from pathlib import Path

from tests.fuzz_corpus import FORMS, make_corpus
from tests.fuzz_damage import damaged
from tests.fuzz_worker import FAILURES, LIMIT_S, Report, Reporter, Worker, report_case

GOOD = ("whole", "damage", "refused")


def main(argv: list[str] | None = None) -> int:
    """The command; 1 when a case failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other cases")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail, and why")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        make_corpus(corpus)
        reports = []
        for report in run(corpus, range(asked.start, asked.start + asked.cases), asked.seed, asked.workers):
            reports.append(report)
            if report.kind in FAILURES:
                print(f"case {report.case} ({told(report)}): {report.words.strip()}\n", flush=True)
                if asked.keep:
                    keep(asked.keep, corpus, asked.seed, report)
    print(table(reports))
    return int(any(report.kind in FAILURES for report in reports))


def run(
    corpus: Path,
    cases: Iterable[int],
    seed: int,
    workers: int,
    report: Reporter = report_case,
    limit_s: float = LIMIT_S,
) -> Iterator[Report]:
    """A report on every case, in the order in which they are done.

    A worker that dies, or needs more than `limit_s` seconds, costs its case and is replaced.
    """
    todo = iter(cases)
    files = [(corpus / form.name).read_bytes() for form in FORMS]

    def started(number: int) -> Worker:
        return Worker(corpus, seed, number, report, limit_s)

    busy = [started(number) for number in range(workers)]
    while busy:
        ready = wait([worker.connection for worker in busy], timeout=1)
        for place, worker in reversed(list(enumerate(busy))):
            if worker.connection in ready:
                try:
                    done = worker.connection.recv()
                except (EOFError, ConnectionError):
                    yield _ended(worker, files, seed)
                    busy[place] = started(place)
                    continue
                if done is not None:
                    yield done
                _give_next(worker, todo, busy)
            elif worker.overdue():
                yield _ended(worker, files, seed)
                busy[place] = started(place)


def _give_next(worker: Worker, todo: Iterator[int], busy: list[Worker]) -> None:
    case = next(todo, None)
    if case is None:
        worker.connection.close()
        worker.process.join()
        busy.remove(worker)
    else:
        worker.begin(case)


def _ended(worker: Worker, files: list[bytes], seed: int) -> Report:
    kind, words = worker.last_words()
    if worker.case is None:
        raise RuntimeError(f"a worker did not start: {words}")
    damage = damaged(files, seed, worker.case)
    return Report(worker.case, FORMS[damage.source].name, damage.mutation, kind, words)


def keep(folder: Path, corpus: Path, seed: int, report: Report) -> None:
    """Writes the file of a case, and beside it what became of it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [(corpus / form.name).read_bytes() for form in FORMS]
    path = folder / f"{seed}-{report.case}-{report.kind}-{report.container}"
    path.write_bytes(damaged(files, seed, report.case).data)
    Path(f"{path}.txt").write_text(f"{told(report)}\n{report.words}\n")


def told(report: Report) -> str:
    """What and how, in a few words."""
    return f"{report.kind}, {report.mutation} of {report.container}"


def table(reports: list[Report]) -> str:
    """Outcomes by container and by mutation, and the slowest and largest case."""
    if not reports:
        return "no cases"
    columns = [*GOOD, *FAILURES]
    lines = ["".join([f"{'':<20}", *(f"{column:>9}" for column in columns)])]
    for name in ("container", "mutation"):
        counts = Counter((getattr(report, name), report.kind) for report in reports)
        for row in sorted({row for row, _ in counts}):
            lines.append("".join([f"{row:<20}", *(f"{counts[row, column] or '-':>9}" for column in columns)]))
        lines.append("")
    kinds = Counter(report.kind for report in reports)
    lines.append("".join([f"{'all':<20}", *(f"{kinds[column] or '-':>9}" for column in columns)]))
    slowest = max(reports, key=lambda report: report.seconds)
    largest = max(reports, key=lambda report: report.growth_mb)
    lines.append(f"slowest: case {slowest.case}, {slowest.seconds:.1f} s ({told(slowest)})")
    lines.append(f"largest: case {largest.case}, {largest.growth_mb:.0f} MB ({told(largest)})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
