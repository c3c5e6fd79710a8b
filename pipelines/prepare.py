"""Videos of a manifest to features: one streaming pass a file, TFRecord shards and an index.

    python -m pipelines.prepare --manifest videos.csv --out features --workers 2

A killed run goes on where it stopped; files that cannot be used are listed with their reasons and
never stop the batch.
"""

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path

from tqdm import tqdm

from pipelines.errors import UserError, run_command
from pipelines.extraction import (
    SETTINGS_NAME,
    crashed,
    extract,
    fingerprint,
    is_final,
    make_index,
    note_name,
    require_settings,
    shard_name,
    stamped,
)
from pipelines.files import make_folder, read_json, remove_parts, write_json
from pipelines.folder_lock import only_writer
from pipelines.index import INDEX_NAME, FeatureIndex
from pipelines.manifest import Refusal, Row, read_manifest
from pipelines.settings import FeatureSettings
from pipelines.workers import WorkerCrash, run_jobs


def prepare(
    manifest: str | Path,
    out: str | Path,
    settings: FeatureSettings,
    workers: int,
    seed: int = 0,
    quiet: bool = False,
) -> FeatureIndex:
    """Extracts the features of every row into `out` and returns the index written there.

    What an earlier run has done is kept, so long as the video is the same. `seed` draws the validation
    split where the manifest has none. Raises `UserError` when nothing in the manifest is usable, when
    `out` holds features of other settings, or when another run works in `out`.
    """
    rows, refused = read_manifest(manifest)
    out = make_folder(out)
    with only_writer(out):
        claim_folder(out, settings)
        remove_parts(out)
        _extract_all(rows, out, settings, workers, quiet)
        index = _collect(rows, refused, out, settings, seed)
        if not index.videos:
            raise UserError(f"{manifest}: none of its videos is usable; first: {index.refused[0].reason}")
        write_json(out / INDEX_NAME, index.to_dict())
    return index


def claim_folder(out: Path, settings: FeatureSettings) -> None:
    """Writes the settings into a folder without features yet, or refuses one that has features of others."""
    if (out / SETTINGS_NAME).exists() and any((out / "shards").glob("*/*.tfrecord")):
        require_settings(read_json(out / SETTINGS_NAME), settings, str(out))
    else:
        write_json(out / SETTINGS_NAME, dataclasses.asdict(settings))


def extract_video(job: tuple[Row, Path, FeatureSettings]) -> None:
    """One video's shard and note; a video that cannot be used gets a note with the reason."""
    row, out, settings = job
    source = fingerprint(row.path)  # before it is read: a file that changes meanwhile is done again
    note = extract(row, row.path, out / shard_name(row), settings)
    write_json(out / note_name(row), stamped(note, source))


def _extract_all(rows: list[Row], out: Path, settings: FeatureSettings, workers: int, quiet: bool) -> None:
    jobs = [(row, out, settings) for row in rows if not _is_done(row, out)]
    kept = len(rows) - len(jobs)
    with (
        # closed at once when this is interrupted, so that the workers end
        contextlib.closing(run_jobs(extract_video, jobs, workers)) as results,
        tqdm(total=len(rows), desc="features", initial=kept, unit="video", disable=quiet) as progress,
    ):
        for (row, _, _), result in results:
            if isinstance(result, WorkerCrash):
                note = stamped(crashed(f"{row.path}: {result}"), fingerprint(row.path))
                write_json(out / note_name(row), note)
            progress.update()


def _is_done(row: Row, out: Path) -> bool:
    try:
        note = read_json(out / note_name(row))
    except UserError:  # not there, or damaged by a machine that lost its power
        return False
    if not is_final(note, fingerprint(row.path)):
        return False
    return note["status"] != "ok" or (out / shard_name(row)).exists()


def _collect(
    rows: list[Row], refused: list[Refusal], out: Path, settings: FeatureSettings, seed: int
) -> FeatureIndex:
    notes = {row.video_id: read_json(out / note_name(row)) for row in rows}
    return make_index(rows, refused, notes, out, settings, seed)


def report(index: FeatureIndex) -> str:
    """What was done, and every refused file with its reason, as lines of text."""
    clips = sum(video.clips for video in index.videos)
    lines = [f"{len(index.videos)} videos, {clips} clips, {len(index.labels)} classes in {index.folder}"]
    lines += [f"  {split}: {len(index.of_split(split))} videos" for split in ("train", "val", "test")]
    lines.append(f"  validation split: {index.validation}")
    damaged = [video for video in index.videos if video.damage]
    lines += [f"  damaged, readable part used: {video.path}: {'; '.join(video.damage)}" for video in damaged]
    lines += [f"  refused: {item.path}: {item.reason}" for item in index.refused]
    return "\n".join(lines)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that every way of preparing a manifest has."""
    parser.add_argument("--manifest", required=True, help="CSV with columns path,label,split")
    parser.add_argument("--out", required=True, help="feature folder to write")
    parser.add_argument("--seed", type=int, default=0, help="of the validation split, where the CSV has none")
    for field in dataclasses.fields(FeatureSettings):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(
            name, type=type(field.default), default=field.default, help=f"default {field.default}"
        )


def given_settings(args: argparse.Namespace) -> FeatureSettings:
    """The feature settings of a command line that `add_settings` has described."""
    names = [field.name for field in dataclasses.fields(FeatureSettings)]
    return FeatureSettings(**{name: getattr(args, name) for name in names})


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.prepare", description=__doc__.split("\n\n")[0])
    add_settings(parser)
    parser.add_argument("--workers", type=int, default=2, help="processes; 0 works in this one (default 2)")
    args = parser.parse_args(argv)

    def body():
        if args.workers < 0:
            raise UserError(f"--workers {args.workers}: give 0 or more")
        print(report(prepare(args.manifest, args.out, given_settings(args), args.workers, args.seed)))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
