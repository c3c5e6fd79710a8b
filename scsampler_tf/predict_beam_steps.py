"""The steps of `predict_beam`, in a module of their own: workers find them by its name."""

import contextlib
import json
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler, RunInference

from pipelines.beam_files import FileSystems, fetch, is_remote, joined, remove_older_shards
from pipelines.workers import LoneWorker, WorkerCrash
from scsampler_tf.predict_models import local_model
from scsampler_tf.predict_workers import Desk, Job, answered, refused, shared

COUNTERS = "scsampler_tf.predict_beam"
SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Video:
    """One video of the list: its name there, a path or address, its label where it is known."""

    name: str
    path: str
    label: str | None


class Loaded:
    """An exported model in a worker of Beam's, and the process that reads its videos."""

    def __init__(self, model: str):
        self._held = contextlib.ExitStack()  # until the worker ends
        folder = model
        if is_remote(model):
            folder = tempfile.mkdtemp(prefix="model-")
            # Not every runner closes what it has loaded; then it goes with this object.
            self._held.callback(weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True))
            fetch_folder(model, Path(folder))
        self.desk: Desk = self._held.enter_context(shared(local_model(folder)))
        self.reader = LoneWorker()

    def close(self) -> None:
        """Ends the process and lets go of the model."""
        self.reader.close()
        self._held.close()


class VideoModel(ModelHandler[Video, dict, Loaded]):
    """Answers videos by an exported model; see `predict_workers.answered` for what an answer holds.

    A decoder can crash the interpreter, and a runner would try such a video again and again, so videos are
    read in a process of their own, which asks this one's model.
    """

    def __init__(self, model: str, k: int | None = None):
        super().__init__()
        self._model, self._k = model, k

    def load_model(self) -> Loaded:
        """Once for all threads of a worker."""
        return Loaded(self._model)

    def run_inference(
        self, batch: Sequence[Video], model: Loaded, inference_args: dict | None = None
    ) -> Iterable[dict]:
        """A record for every video, also for one that cannot be used."""
        return [_answer(video, model, self._k) for video in batch]

    def batch_elements_kwargs(self) -> dict[str, int]:
        """One by one: a video's own clips are what the networks see together."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_metrics_namespace(self) -> str:
        """Under which Beam counts and times inferences."""
        return COUNTERS


def prediction_pipeline(root: beam.Pipeline, videos: list[Video], out: str, model: VideoModel) -> None:
    """Everything from the list to files `out`-00000-of-0000N.jsonl, a line a video.

    Each file appears whole, under a temporary name before; files of an earlier run are removed only then.
    """
    (
        root
        | "videos" >> beam.Create(videos)
        | "to all workers" >> beam.Reshuffle()
        | "answers" >> RunInference(model)
        | "lines" >> beam.Map(_line)
        | "files" >> beam.io.WriteToText(out, file_name_suffix=SUFFIX)
        | "all files" >> beam.combiners.ToList()
        | "older files" >> beam.Map(_remove_older, out)
    )


def fetch_folder(address: str, folder: Path) -> None:
    """Copies what lies below an address into a folder of this machine."""
    pattern = joined(address, "**")
    for result in FileSystems.match([pattern]):
        for found in result.metadata_list:
            target = folder / found.path.removeprefix(address).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            fetch(found.path, target)


def _answer(video: Video, model: Loaded, k: int | None) -> dict:
    with _on_this_machine(video) as (path, failure):
        job = Job(video.name, path, video.label, model.desk, k)
        record = refused(job, failure) if failure else model.reader.run(answered, job)
        if isinstance(record, WorkerCrash):
            record = refused(job, f"{video.path}: {record}")
    if "error" in record:
        record["error"] = record["error"].replace(str(path), video.path)
    return {**record, **({"video": video.path} if "video" in record else {})}


@contextlib.contextmanager
def _on_this_machine(video: Video) -> Iterator[tuple[Path, str]]:
    """The video's file, fetched where it is elsewhere, and why that failed, or nothing."""
    if not is_remote(video.path):
        yield Path(video.path), ""
        return
    with tempfile.TemporaryDirectory(prefix="video-") as folder:
        path = Path(folder) / f"video{PurePosixPath(video.path).suffix}"
        failure = ""
        try:
            fetch(video.path, path)
        except Exception as error:  # every kind of place fails in its own way; the others go on
            told = " ".join(str(error).split())
            failure = f"{video.path}: cannot be fetched ({told}); see whether it can be read"
        yield path, failure


def _remove_older(files: list[str], out: str) -> None:
    if files:  # a step that is tried again may name some files only, or none: their number N is what counts
        remove_older_shards(out, SUFFIX, int(files[0].removesuffix(SUFFIX)[-5:]))


def _line(record: dict) -> str:
    Metrics.counter(COUNTERS, "videos_failed" if "error" in record else "videos_answered").inc()
    return json.dumps(record, allow_nan=False)
