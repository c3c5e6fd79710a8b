"""Answers for every video of a list, in a file that a killed run goes on with.

`python -m scsampler_tf.predict --manifest videos.csv --out results.jsonl` is this; the command line is that
of `predict`.
"""

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from pipelines.errors import UserError
from pipelines.workers import WorkerCrash, run_jobs
from scsampler_tf.predict_models import Server, about_model, local_model, remote_model
from scsampler_tf.predict_results import Results, open_results
from scsampler_tf.predict_workers import Desk, Job, answered, refused, shared

TOLD = 10  # reasons in the summary; all are in the file


@dataclass(frozen=True)
class Listed:
    """One row: the path as written, the file, and its label where the list has one."""

    name: str
    path: Path
    label: str | None


@dataclass
class Summary:
    """What became of a list's videos. accuracy counts answered videos that have a label; `before` of the
    answers and failures are those of earlier runs."""

    answered: int = 0
    failed: int = 0
    labelled: int = 0
    right: int = 0
    before: int = 0
    repeated: int = 0
    reasons: list[str] = field(default_factory=list)

    def count(self, row: Listed, label: str | None, error: str | None) -> None:
        """Adds a video with its predicted label, or with the reason why it has none."""
        if label is None:
            self.failed += 1
            if len(self.reasons) < TOLD:
                self.reasons.append(f"{row.name}: {error}")
            return
        self.answered += 1
        if row.label is not None:
            self.labelled += 1
            self.right += label == row.label

    def text(self, out: str | Path) -> str:
        """As lines for people."""
        before = f", {self.before} of them by earlier runs" if self.before else ""
        lines = [f"{out}: {self.answered} answered, {self.failed} failed{before}"]
        if self.labelled:
            share = f"{self.right} of {self.labelled} answered videos with a label"
            lines.append(f"  accuracy {self.right / self.labelled:.1%} ({share})")
        if self.repeated:
            lines.append(f"  rows passed over because they name a video again: {self.repeated}")
        lines += [f"  failed: {reason}" for reason in self.reasons]
        if self.failed > len(self.reasons):
            lines.append(f'  ... and {self.failed - len(self.reasons)} more, with "error" in {out}')
        if self.failed:
            lines.append("  the same command with --retry-errors tries them again")
        return "\n".join(lines)


def read_list(path: str | Path) -> tuple[list[Listed], int]:
    """Rows of a CSV with a column path, and label where it has one; how many rows named a video again.

    Paths are relative to the CSV's folder; other columns are not looked at, so that a manifest of `pipelines`
    is a list too. Raises `UserError` for a file that is no such CSV, a row without a path, or no row at all.
    """
    path = Path(path)
    rows: dict[str, Listed] = {}
    repeated = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            if "path" not in (reader.fieldnames or []):
                raise UserError(
                    f"{path}: no column 'path'; its first line names the columns: path, or path,label"
                )
            for line in reader:
                name, label = ((line.get(column) or "").strip() for column in ("path", "label"))
                if not name:
                    raise UserError(f"{path} line {reader.line_num}: path is missing; fill it in")
                repeated += name in rows
                rows.setdefault(name, Listed(name, (path.parent / name).resolve(), label or None))
    except FileNotFoundError:
        raise UserError(f"{path}: no such manifest") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV file ({error})") from None
    if not rows:
        raise UserError(f"{path}: no videos in it")
    return list(rows.values()), repeated


def predict_batch(
    manifest: str | Path,
    out: str | Path,
    model: str | Path | Server,
    workers: int = 2,
    k: int | None = None,
    retry_errors: bool = False,
    quiet: bool = False,
) -> Summary:
    """Writes a line for every video of `manifest` that `out` has none for (`predict_workers.answered`).

    Args:
        model: folder of an exported model, loaded once, in this process; or a server's.
        workers: processes that read videos; 0 reads them in this one.
        k: clips to classify of each video; None is what the model was exported with.
        retry_errors: videos that failed before are tried again.
    Raises:
        UserError: the list or the file cannot be used, or the model cannot be reached (any more).
    """
    rows, repeated = read_list(manifest)
    again = [row.name for row in rows] if retry_errors else ()
    # The model first: without one the file is left as it is.
    with _ready(model) as (place, labels), open_results(out, again) as results:
        if results.classes and results.classes != labels:
            raise UserError(f"{out}: holds answers of a model with other classes; choose another --out")
        summary = Summary(repeated=repeated)
        jobs = []
        for row in rows:
            if row.name in results.answers or row.name in results.errors:
                summary.before += 1
                summary.count(row, results.answers.get(row.name), results.errors.get(row.name))
            else:
                jobs.append(Job(row.name, row.path, row.label, place, k))
        _answer_all(jobs, {row.name: row for row in rows}, results, summary, workers, quiet)
    return summary


def _answer_all(
    jobs: list[Job], rows: dict[str, Listed], results: Results, summary: Summary, workers: int, quiet: bool
) -> None:
    with (
        # closed at once when this is interrupted, so that the workers end
        contextlib.closing(run_jobs(answered, jobs, workers)) as finished,
        tqdm(total=len(rows), initial=summary.before, desc="videos", unit="video", disable=quiet) as progress,
    ):
        for job, record in finished:
            if isinstance(record, WorkerCrash):
                record = refused(job, f"{job.path}: {record}")
            results.add(record)
            summary.count(rows[job.name], record.get("label"), record.get("error"))
            progress.update()


@contextlib.contextmanager
def _ready(model: str | Path | Server) -> Iterator[tuple[Desk | Server, list[str]]]:
    """Where workers find the model, and its labels."""
    if isinstance(model, Server):
        with remote_model(model.url, model.name) as call:
            labels = about_model(call)["labels"]
        yield model, labels
        return
    call = local_model(model)
    with shared(call) as desk:
        yield desk, about_model(call)["labels"]
