"""Answers for every video of a list as an Apache Beam pipeline, on one machine or on a cluster.

    python -m scsampler_tf.predict_beam --manifest videos.csv --model saved_models/scsampler --out answers
    python -m scsampler_tf.predict_beam --manifest gs://b/list.csv --model gs://b/model --out gs://b/answers \
        -- --runner DataflowRunner

The same lines as `python -m scsampler_tf.predict --manifest`, in files answers-00000-of-0000N.jsonl. List,
videos, model and answers may be remote; what stands behind -- are Beam's own options.
"""

import argparse
import sys
from pathlib import Path

from pipelines.errors import UserError, run_command
from pipelines.files import make_folder
from pipelines.prepare_beam import is_interrupt, pipeline_options, require_beam
from scsampler_tf.predict_batch import Listed, read_list


def predict_beam(
    manifest: str, model: str, out: str, k: int | None = None, beam_options: list[str] | None = None
) -> dict[str, int]:
    """Answers all videos of a list; returns how many were `answered` and how many `failed`.

    Args:
        model: folder or address of an exported model, a version or the folder of all versions.
        out: what the names of the files begin with.
        k: clips to classify of each video; None is what the model was exported with.
    Raises:
        UserError: the list, the model or a place cannot be used, or Beam is missing.
    """
    require_beam()
    from pipelines import beam_files as files

    options = pipeline_options(beam_options or [])
    for place in (manifest, model, out):
        files.require_reachable(place)
    videos = _videos(manifest)
    if not files.is_remote(out):
        out = str(make_folder(Path(out).resolve().parent) / Path(out).name)
    files.require_writable(out)  # before hours of work
    model = _checked(model)
    counts = _run(options, videos, out, model, k)
    return {name: counts.get(f"videos_{name}", 0) for name in ("answered", "failed")}


def _videos(manifest: str) -> list:
    from pipelines.beam_files import is_remote, joined, read_from
    from scsampler_tf.predict_beam_steps import Video

    def at(row: Listed, base: str | None) -> Video:
        if is_remote(row.name) or base is None:
            return Video(row.name, row.name if is_remote(row.name) else str(row.path), row.label)
        return Video(row.name, joined(base, row.name), row.label)

    if not is_remote(manifest):
        return [at(row, None) for row in read_list(manifest)[0]]
    rows, _ = read_from(manifest, read_list)
    return [at(row, manifest.rpartition("/")[0]) for row in rows]


def _checked(model: str) -> str:
    """The model's address or absolute path; without a model no worker has to start."""
    from pipelines.beam_files import has_any, is_remote
    from scsampler_tf.serving.model_base import versions_on_disk

    if is_remote(model):
        try:
            found, place = has_any(model, "**saved_model.pb"), model
        except Exception as error:  # every kind of place fails in its own way
            raise UserError(f"{model}: cannot be read ({error})") from None
    else:
        folder = Path(model).resolve()
        found, place = (folder / "saved_model.pb").is_file() or versions_on_disk(folder), str(folder)
    if not found:
        raise UserError(f"{model}: no exported model here; make one with python -m scsampler_tf.export")
    return place


def _run(options, videos: list, out: str, model: str, k: int | None) -> dict[str, int]:
    import apache_beam as beam
    from apache_beam.metrics import MetricsFilter

    from scsampler_tf.predict_beam_steps import COUNTERS, VideoModel, prediction_pipeline

    try:
        pipeline = beam.Pipeline(options=options)
    except ValueError as error:
        raise UserError(f"Beam refuses its options: {error}") from None
    prediction_pipeline(pipeline, videos, out, VideoModel(model, k))
    try:
        result = pipeline.run()
        result.wait_until_finish()
    except Exception as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        raise
    counters = result.metrics().query(MetricsFilter().with_namespace(COUNTERS))["counters"]
    return {counter.key.metric.name: counter.result for counter in counters}


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.predict_beam",
        usage="%(prog)s --manifest CSV --model PATH --out NAME [--K K] [-- Beam's options]",
        description=__doc__.split("\n\n")[0],
    )
    parser.add_argument("--manifest", required=True, metavar="CSV", help="the list: a column path, and label")
    parser.add_argument(
        "--model", required=True, help="exported model: its folder of versions, or one version"
    )
    parser.add_argument("--out", required=True, metavar="NAME", help="what the answers' files begin with")
    parser.add_argument("--K", type=int, help="clips to classify (default: what the model was exported with)")
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:end])
    if args.K is not None and args.K < 1:
        parser.error(f"--K {args.K}: give 1 or more")

    def body() -> int:
        counts = predict_beam(args.manifest, args.model, args.out, args.K, words[end + 1 :])
        print(f"{args.out}-*.jsonl: {counts['answered']} answered, {counts['failed']} failed")
        return 1 if counts["failed"] else 0

    return run_command(body, again="the same command begins anew")


if __name__ == "__main__":
    sys.exit(main())
