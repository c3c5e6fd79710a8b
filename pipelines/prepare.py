"""Videos of a manifest to features: one streaming pass a file, TFRecord shards and an index.

    python -m pipelines.prepare --manifest videos.csv --out features --workers 2

A killed run goes on where it stopped; files that cannot be used are listed with their reasons and
never stop the batch.
"""

import argparse
import dataclasses
import itertools
import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import av
from tqdm import tqdm

from pipelines.compressed import CompressedVideo
from pipelines.errors import UserError, VideoError, run_command
from pipelines.files import make_folder, read_json, remove_parts, write_json, written_whole
from pipelines.frame_times import NO_PTS
from pipelines.index import INDEX_NAME, FeatureIndex, VideoRecord, require_same
from pipelines.manifest import Refusal, Row, hold_out_validation, read_manifest
from pipelines.settings import FeatureSettings, settings_from_dict
from pipelines.wire import pack_log_mel, pack_md, pack_strip
from pipelines.workers import WorkerCrash, run_jobs

SETTINGS_NAME = "settings.json"
CLIPS_AT_ONCE = 32  # log-mel windows are computed in batches of this many clips


def prepare(
    manifest: str | Path,
    out: str | Path,
    settings: FeatureSettings,
    workers: int,
    seed: int = 0,
    quiet: bool = False,
) -> FeatureIndex:
    """Extracts the features of every row into `out` and returns the index written there.

    What an earlier run has done is kept, so long as the video is the same; one run at a time works in a
    folder. `seed` draws the validation split where the manifest has none. Raises `UserError` when nothing in
    the manifest is usable, or when `out` holds features of other settings.
    """
    rows, refused = read_manifest(manifest)
    out = make_folder(out)
    claim_folder(out, settings)
    remove_parts(out)
    jobs = [(row, out, settings) for row in rows if not _is_done(row, out)]
    progress = tqdm(
        run_jobs(extract_video, jobs, workers),
        "features",
        total=len(rows),
        initial=len(rows) - len(jobs),
        unit="video",
        disable=quiet,
    )
    for (row, _, _), result in progress:
        if isinstance(result, WorkerCrash):
            # unlike a refusal it is tried again by the next run: the machine may have been at fault
            _note(row, out, _fingerprint(row.path), {"status": "crashed", "reason": f"{row.path}: {result}"})
    index = _collect(rows, refused, out, settings, seed)
    if not index.videos:
        raise UserError(f"{manifest}: none of its videos is usable; first: {index.refused[0].reason}")
    write_json(out / INDEX_NAME, index.to_dict())
    return index


def claim_folder(out: Path, settings: FeatureSettings) -> None:
    """Writes the settings into a folder without features yet, or refuses one that has features of others."""
    if (out / SETTINGS_NAME).exists() and any((out / "shards").glob("*/*.tfrecord")):
        require_same(settings_from_dict(read_json(out / SETTINGS_NAME)), settings, str(out))
    else:
        write_json(out / SETTINGS_NAME, dataclasses.asdict(settings))


def extract_video(job: tuple[Row, Path, FeatureSettings]) -> None:
    """One video's shard and note; a video that cannot be used gets a note with the reason."""
    row, out, settings = job
    source = _fingerprint(row.path)  # before it is read: a file that changes meanwhile is done again
    try:
        note = {"status": "ok", **dataclasses.asdict(_write_features(row, out, settings))}
    except VideoError as error:
        note = {"status": "refused", "reason": str(error)}
    except av.FFmpegError as error:
        note = {"status": "refused", "reason": f"{row.path}: cannot be decoded ({error}); leave it out"}
    _note(row, out, source, note)


def _write_features(row: Row, out: Path, settings: FeatureSettings) -> VideoRecord:
    if multiprocessing.parent_process() is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a worker that only writes records must not claim a GPU
    from pipelines.records import write_shard  # TensorFlow, needed only where features are written

    video = CompressedVideo(row.path, settings)
    shard = Path("shards") / row.video_id[-2:] / f"{row.video_id}.tfrecord"
    heard = []
    with written_whole(out / shard) as temporary:
        clips = write_shard(str(temporary), _clip_records(row, video, settings, heard))
    times = video.timing
    return VideoRecord(
        video_id=row.video_id,
        clips=clips,
        frames=times.count,
        fps=times.fps,
        duration_s=times.seconds(times.count),
        has_audio=any(heard),
        codec=video.stream.codec,
        policy=video.policy,
        shard=str(shard),
        timing=times.to_dict(),
        damage=video.damage,
        **_of_manifest(row),
    )


def _of_manifest(row: Row) -> dict:
    segments = [list(bounds) for bounds in row.segments] if row.segments else None
    return {"path": str(row.path), "label": row.label, "split": row.split, "segments": segments}


def _clip_records(row: Row, video: CompressedVideo, settings: FeatureSettings, heard: list) -> Iterator:
    from pipelines.records import ClipRecord

    quality = settings.jpeg_quality
    for clip, mel in clips_with_sound(row.path, video, settings):
        heard.append(mel is not None)
        yield ClipRecord(
            video_id=row.video_id,
            clip=clip.index,
            start_s=clip.start_s,
            end_s=clip.end_s,
            md=pack_md(clip.md),
            rgb_r=pack_strip(clip.rgb_r, quality),
            iframe=pack_strip(clip.iframe[None], quality),
            log_mel=pack_log_mel(mel),
        )


def clips_with_sound(path: Path, video: CompressedVideo, settings: FeatureSettings) -> Iterator[tuple]:
    """(clip features, log-mel `[40, 200]` or None) of every clip, in one pass over picture and sound each."""
    from pipelines.log_mel import clip_log_mels, mel_plan

    clips = video.clips()
    group = list(itertools.islice(clips, CLIPS_AT_ONCE))
    reader = plan = None
    if group and video.stream.has_audio:
        plan = mel_plan(settings.span / video.timing.fps)
        reader = _open_sound(path, plan.rate, video)
    try:
        while group:
            times = [(clip.start_s, clip.end_s) for clip in group]
            mels = clip_log_mels(reader, plan, times) if reader else [None] * len(group)
            yield from zip(group, mels, strict=True)
            group = list(itertools.islice(clips, CLIPS_AT_ONCE))
    finally:
        if reader:
            reader.close()


def _open_sound(path: Path, rate: int, video: CompressedVideo):
    from pipelines.audio import SoundReader

    first = video.timing.pts[0]
    return SoundReader(path, rate, 0.0 if first == NO_PTS else float(first * video.timing.time_base))


def _note_path(row: Row, out: Path) -> Path:
    return out / "videos" / row.video_id[-2:] / f"{row.video_id}.json"


def _fingerprint(path: Path) -> list | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _note(row: Row, out: Path, source: list | None, values: dict) -> None:
    write_json(_note_path(row, out), {"source": source, **values})


def _is_done(row: Row, out: Path) -> bool:
    try:
        note = read_json(_note_path(row, out))
    except UserError:  # not there, or damaged by a machine that lost its power
        return False
    finished = note["status"] == "refused" or (note["status"] == "ok" and (out / note["shard"]).exists())
    return finished and note["source"] == _fingerprint(row.path)


def _collect(
    rows: list[Row], refused: list[Refusal], out: Path, settings: FeatureSettings, seed: int
) -> FeatureIndex:
    usable, refused, notes = [], list(refused), {}
    for row in rows:
        note = read_json(_note_path(row, out))
        if note["status"] == "ok":
            usable.append(row)
            notes[row.video_id] = note
        else:
            refused.append(Refusal(row.name, note["reason"]))
    usable, validation = hold_out_validation(usable, seed)  # drawn from usable videos, so that some are left
    known = [field.name for field in dataclasses.fields(VideoRecord)]
    videos = []
    for row in usable:
        # what the manifest says is that of today, not that of an earlier run
        note = {**notes[row.video_id], **_of_manifest(row)}
        videos.append(VideoRecord(**{name: note[name] for name in known}))
    labels = sorted({video.label for video in videos})
    return FeatureIndex(out, settings, labels, videos, refused, validation)


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


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.prepare", description=__doc__.split("\n\n")[0])
    parser.add_argument("--manifest", required=True, help="CSV with columns path,label,split")
    parser.add_argument("--out", required=True, help="feature folder to write")
    parser.add_argument("--workers", type=int, default=2, help="processes; 0 works in this one (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the validation split, where the CSV has none")
    for field in dataclasses.fields(FeatureSettings):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(
            name, type=type(field.default), default=field.default, help=f"default {field.default}"
        )
    args = parser.parse_args(argv)

    def body():
        if args.workers < 0:
            raise UserError(f"--workers {args.workers}: give 0 or more")
        names = [field.name for field in dataclasses.fields(FeatureSettings)]
        settings = FeatureSettings(**{name: getattr(args, name) for name in names})
        print(report(prepare(args.manifest, args.out, settings, args.workers, args.seed)))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
