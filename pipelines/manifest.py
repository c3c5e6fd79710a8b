"""The manifest: a CSV with columns path, label, split, and optionally action_segments."""

import csv
import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UserError

SPLITS = ("train", "val", "test")
REQUIRED = ("path", "label", "split")
VAL_SHARE = 0.15


@dataclass(frozen=True)
class Row:
    """One usable row. `name` is the path as written, `path` the file, `segments` (start, end) in seconds."""

    name: str
    path: Path
    label: str
    split: str
    segments: tuple[tuple[float, float], ...] | None = None

    @property
    def video_id(self) -> str:
        """A file name for everything made from this video: readable, and unique by the path's hash."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(self.name).stem)[:48]
        return f"{stem}-{_digest(self.name)[:8]}"


@dataclass(frozen=True)
class Refusal:
    """A file that is not used, and why."""

    path: str
    reason: str


def read_manifest(path: str | Path) -> tuple[list[Row], list[Refusal]]:
    """Rows and refused rows of a manifest CSV; paths are relative to the CSV's folder.

    Raises `UserError` when the file is missing, not a CSV with the three columns, or has no usable row.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            missing = [name for name in REQUIRED if name not in (reader.fieldnames or [])]
            if missing:
                raise UserError(f"{path}: no column '{missing[0]}'; a manifest has path,label,split")
            lines = [(reader.line_num, line) for line in reader]
    except FileNotFoundError:
        raise UserError(f"{path}: no such manifest") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV file ({error})") from None
    rows, refused, seen = [], [], set()
    for number, line in lines:
        name = (line["path"] or "").strip() or f"line {number}"
        file = (path.parent / name).resolve()  # a.mp4 and ./a.mp4 are one video
        reason = "the same path stands on an earlier line" if file in seen else _fault(line)
        seen.add(file)
        if reason:
            refused.append(Refusal(name, f"{path.name} line {number}: {reason}"))
        else:
            rows.append(_row(line, path.parent))
    if not rows:
        told = f"; first: {refused[0].reason}" if refused else ""
        raise UserError(f"{path}: no usable row{told}")
    return rows, refused


def hold_out_validation(rows: list[Row], seed: int) -> tuple[list[Row], str]:
    """Rows with a val split, and how it came about.

    A manifest with val rows is left as it is. Without them 15 % of the train videos of every class, at
    least one where a class has two or more, are moved to val. `seed` and the video's own name decide, so
    that a few videos more or fewer change the choice of few.
    """
    if any(row.split == "val" for row in rows):
        return rows, "from the manifest"
    held = set()
    for label in sorted({row.label for row in rows}):
        ids = [row.video_id for row in rows if row.label == label and row.split == "train"]
        count = min(len(ids) - 1, max(1, round(VAL_SHARE * len(ids))))
        held.update(sorted(ids, key=lambda name: _digest(f"{seed} {name}"))[: max(count, 0)])
    moved = [_with_split(row, "val") if row.video_id in held else row for row in rows]
    return moved, f"{len(held)} videos held out of train, {VAL_SHARE:.0%} of each class, seed {seed}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _with_split(row: Row, split: str) -> Row:
    return Row(row.name, row.path, row.label, split, row.segments)


def _fault(line: dict) -> str | None:
    for column in REQUIRED:
        if not (line[column] or "").strip():
            return f"{column} is missing; fill it in"
    if "\n" in line["path"].strip():
        return "path has a line break in it; close the quotation mark"
    if line["split"].strip() not in SPLITS:
        return f"split '{line['split'].strip()}' is none of {', '.join(SPLITS)}"
    try:
        parse_segments(line.get("action_segments"))
    except ValueError as error:
        return f"action_segments: {error}"
    return None


def _row(line: dict, folder: Path) -> Row:
    name = line["path"].strip()
    segments = parse_segments(line.get("action_segments"))
    return Row(name, (folder / name).resolve(), line["label"].strip(), line["split"].strip(), segments)


def parse_segments(text: str | None) -> tuple[tuple[float, float], ...] | None:
    """`"1.2-3.4;8-9"` -> `((1.2, 3.4), (8.0, 9.0))` in seconds; None for an absent or empty text.

    Raises ValueError for anything else.
    """
    if text is None or not text.strip():
        return None
    segments = []
    for part in text.split(";"):
        start, _, end = part.strip().partition("-")
        try:
            bounds = (float(start), float(end))
        except ValueError:
            raise ValueError(f"'{part}' is not start-end in seconds") from None
        if not 0 <= bounds[0] < bounds[1] < math.inf:
            raise ValueError(f"'{part}' does not end after it starts")
        segments.append(bounds)
    return tuple(segments)
