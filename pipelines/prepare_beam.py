"""Videos of a manifest to features as an Apache Beam pipeline, on one machine or on a cluster.

    python -m pipelines.prepare_beam --manifest videos.csv --out features -- --runner FlinkRunner

The same work and the same folder as `pipelines.prepare`. Videos, manifest and folder may be remote
(gs://, s3://, hdfs://); what stands behind -- are Beam's own options.
"""

import argparse
import contextlib
import dataclasses
import logging
import sys
import tempfile
from pathlib import Path

from pipelines.errors import UserError, run_command
from pipelines.extraction import SETTINGS_NAME, require_settings
from pipelines.files import make_folder
from pipelines.folder_lock import only_writer
from pipelines.index import INDEX_NAME, FeatureIndex, load_index
from pipelines.manifest import Refusal, Row, read_manifest
from pipelines.prepare import add_settings, given_settings, report
from pipelines.settings import FeatureSettings

# Beam's own choice would be to fetch a runner from the network.
LOCAL_RUNNER = "FnApiRunner"


def prepare_beam(
    manifest: str, out: str, settings: FeatureSettings, seed: int = 0, beam_options: list[str] | None = None
) -> tuple[FeatureIndex, dict[str, int]]:
    """Extracts the features of every row into `out`; returns the index written there and what was counted.

    What an earlier run has done is kept, so long as the video is the same. Raises `UserError` as
    `pipelines.prepare.prepare` does, and when Beam is missing or cannot reach a place.
    """
    require_beam()
    from pipelines import beam_files as files
    from pipelines.beam_steps import ROWS_NAME, write_rows

    options = pipeline_options(beam_options or [])
    for place in (manifest, out):
        files.require_reachable(place)
    rows, refused = _rows(manifest)
    with contextlib.ExitStack() as held:
        if not files.is_remote(out):
            out = str(make_folder(Path(out).resolve()))
            held.enter_context(only_writer(Path(out)))
        _claim(out, settings)
        files.remove_parts(out)
        write_rows(rows, refused, out)
        counts = _run(options, out, settings, seed)
        files.FileSystems.delete([files.joined(out, ROWS_NAME)])
        return _index(manifest, rows, out), counts


def require_beam() -> None:
    """Raises `UserError` where Apache Beam is not installed."""
    logging.disable(logging.WARNING)  # it tells at length which clouds it was installed without
    try:
        import apache_beam  # noqa: F401
    except ImportError:
        raise UserError('Apache Beam is not installed; pip install "scsampler-tf[beam]"') from None
    finally:
        logging.disable(logging.NOTSET)


def pipeline_options(words: list[str]):
    """Beam's options from words of a command line; without a runner among them it is the local one."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    if not any(word.split("=")[0] == "--runner" for word in words):
        words = [*words, f"--runner={LOCAL_RUNNER}"]
    options = PipelineOptions(words)
    FileSystems.set_options(options)  # they hold the addresses of some file systems
    return options


def _rows(manifest: str) -> tuple[list[Row], list[Refusal]]:
    """Rows whose paths are addresses where the manifest or they themselves say so."""
    from pipelines.beam_files import is_remote, joined, read_from

    if not is_remote(manifest):
        rows, refused = read_manifest(manifest)
        return [_at(row, row.name) if is_remote(row.name) else row for row in rows], refused
    rows, refused = read_from(manifest, read_manifest)
    base = manifest.rpartition("/")[0]
    return [_at(row, row.name if is_remote(row.name) else joined(base, row.name)) for row in rows], refused


def _at(row: Row, address: str) -> Row:
    return dataclasses.replace(row, path=address)  # as a Path gs://a would become gs:/a


def _claim(out: str, settings: FeatureSettings) -> None:
    """As `pipelines.prepare.claim_folder`, wherever the folder is."""
    from pipelines import beam_files as files

    path = files.joined(out, SETTINGS_NAME)
    if files.FileSystems.exists(path) and files.has_any(out, "shards/*/*.tfrecord"):
        require_settings(files.read_json(path), settings, out)
    else:
        files.write_json(path, dataclasses.asdict(settings))


def _run(options, out: str, settings: FeatureSettings, seed: int) -> dict[str, int]:
    import apache_beam as beam
    from apache_beam.metrics import MetricsFilter

    from pipelines.beam_steps import COUNTERS, feature_pipeline

    try:
        pipeline = beam.Pipeline(options=options)
    except ValueError as error:
        raise UserError(f"Beam refuses its options: {error}") from None
    feature_pipeline(pipeline, out, settings, seed)
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        raise
    counters = result.metrics().query(MetricsFilter().with_namespace(COUNTERS))["counters"]
    return {counter.key.metric.name: counter.result for counter in counters}


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C lies behind an error: runners that work in this process wrap it up like any other."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _index(manifest: str, rows: list[Row], out: str) -> FeatureIndex:
    from pipelines import beam_files as files
    from pipelines.extraction import note_name

    path = files.joined(out, INDEX_NAME)
    if not files.FileSystems.exists(path):
        first = files.read_json(files.joined(out, note_name(rows[0])))
        raise UserError(f"{manifest}: none of its videos is usable; first: {first['reason']}")
    with tempfile.TemporaryDirectory() as folder:
        files.fetch(path, Path(folder) / INDEX_NAME)
        return dataclasses.replace(load_index(folder), folder=out)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.prepare_beam",
        usage="%(prog)s --manifest M --out DIR [feature settings] [-- Beam's options]",
        description=__doc__.split("\n\n")[0],
    )
    add_settings(parser)
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:end])

    def body():
        index, counts = prepare_beam(
            args.manifest, args.out, given_settings(args), args.seed, words[end + 1 :]
        )
        print(report(index))
        print("  counted by Beam: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
