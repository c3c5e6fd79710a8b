"""The steps of the Beam pipeline, in a module of their own: workers find them by its name."""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from pipelines.beam_files import (
    FileSystems,
    fetch,
    is_remote,
    joined,
    publish,
    read_json,
    state_of,
    write_json,
)
from pipelines.extraction import crashed, extract_job, is_final, make_index, note_name, shard_name, stamped
from pipelines.index import INDEX_NAME
from pipelines.manifest import Refusal, Row
from pipelines.settings import FeatureSettings
from pipelines.workers import LoneWorker, WorkerCrash

COUNTERS = "pipelines.prepare_beam"
ROWS_NAME = "rows.json"  # what is to be done; a job's description would have no room for a long manifest


def feature_pipeline(root: beam.Pipeline, out: str, settings: FeatureSettings, seed: int) -> None:
    """Everything from the rows in `out` to the index in `out`."""
    notes = (
        root
        | "feature folder" >> beam.Create([out])
        | "rows" >> beam.FlatMap(_rows_to_do)
        | "to all workers" >> beam.Reshuffle()
        | "features" >> beam.ParDo(ExtractFeatures(out, settings))
    )
    notes | "all notes" >> beam.combiners.ToList() | "index" >> beam.Map(write_index, out, settings, seed)


def write_rows(rows: list[Row], refused: list[Refusal], out: str) -> None:
    """Lays down what is to be done where every worker can read it."""
    values = {
        "rows": [{**dataclasses.asdict(row), "path": str(row.path)} for row in rows],
        "refused": [dataclasses.asdict(item) for item in refused],
    }
    write_json(joined(out, ROWS_NAME), values)


def read_rows(out: str) -> tuple[list[Row], list[Refusal]]:
    """What `write_rows` has written; the paths are plain text, for they may be addresses."""
    values = read_json(joined(out, ROWS_NAME))
    rows = []
    for row in values["rows"]:
        segments = row.pop("segments")
        rows.append(Row(**row, segments=segments and tuple(tuple(bounds) for bounds in segments)))
    return rows, [Refusal(**item) for item in values["refused"]]


def _rows_to_do(out: str) -> list[Row]:
    return read_rows(out)[0]


class ExtractFeatures(beam.DoFn):
    """Row -> (video id, note), with the shard and the note written to the feature folder.

    A bundle that is tried again overwrites its own files, and skips what it had finished. Extraction runs
    in a process of its own, because a decoder can crash the interpreter: a runner would try such a video
    again and again and then give up the whole job.
    """

    def __init__(self, out: str, settings: FeatureSettings) -> None:
        self._out = out
        self._settings = settings
        self._shared = Shared()
        self._clips = Metrics.counter(COUNTERS, "clips")
        outcomes = ("ok", "refused", "crashed", "kept")
        self._outcomes = {name: Metrics.counter(COUNTERS, f"videos_{name}") for name in outcomes}

    def setup(self) -> None:
        """Called once for every thread of a worker; they share one process for the extraction."""
        self._worker = self._shared.acquire(LoneWorker)

    def process(self, row: Row) -> Iterator[tuple[str, dict]]:
        """Does one video, if no earlier run has."""
        path = joined(self._out, note_name(row))
        source = state_of(row.path)  # before it is read: a file that changes meanwhile is done again
        note = read_json(path)
        if is_final(note, source) and (note["status"] != "ok" or self._has_shard(row)):
            self._outcomes["kept"].inc()
        else:
            note = stamped(self._extracted(row, source), source)
            write_json(path, note)
            self._outcomes[note["status"]].inc()
        self._clips.inc(note.get("clips", 0))
        yield row.video_id, note

    def _has_shard(self, row: Row) -> bool:
        return FileSystems.exists(joined(self._out, shard_name(row)))

    def _extracted(self, row: Row, source: list | None) -> dict:
        if source is None:
            return {"status": "refused", "reason": f"{row.path}: no such file"}
        with tempfile.TemporaryDirectory(prefix="features-") as folder:
            video, shard = Path(row.path), Path(folder) / "clips.tfrecord"
            if is_remote(row.path):
                video = Path(folder) / f"video{PurePosixPath(row.path).suffix}"
                try:
                    fetch(row.path, video)
                except Exception as error:  # every kind of place fails in its own way; the others go on
                    told = " ".join(str(error).split())
                    return crashed(f"{row.path}: cannot be fetched ({told}); see whether it can be read")
            note = self._worker.run(extract_job, (row, video, shard, self._settings))
            if isinstance(note, WorkerCrash):
                note = crashed(f"{row.path}: {note}")
            if note["status"] == "ok":
                publish(shard, joined(self._out, shard_name(row)))
            else:
                note["reason"] = note["reason"].replace(str(video), row.path)
            return note


def write_index(notes: list[tuple[str, dict]], out: str, settings: FeatureSettings, seed: int) -> None:
    """Joins all notes into the index; with no usable video there is none, nor an old one."""
    rows, refused = read_rows(out)
    index = make_index(rows, refused, dict(notes), out, settings, seed)
    path = joined(out, INDEX_NAME)
    if index.videos:
        write_json(path, index.to_dict())
    elif FileSystems.exists(path):
        FileSystems.delete([path])
