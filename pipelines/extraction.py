"""One video to its features: the shard of its clips and a note of what became of it.

What every way of preparing a manifest shares: the local command, the Beam pipeline and predicting a file.
"""

import dataclasses
import itertools
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import av

from pipelines.compressed import CompressedVideo
from pipelines.errors import UserError, VideoError
from pipelines.files import written_whole
from pipelines.frame_times import NO_PTS
from pipelines.index import FeatureIndex, VideoRecord, require_same
from pipelines.log_mel import MelTrack, Transform, mel_plan
from pipelines.manifest import Refusal, Row, hold_out_validation
from pipelines.settings import FeatureSettings, settings_from_dict
from pipelines.wire import pack_log_mel, pack_md, pack_strip

SETTINGS_NAME = "settings.json"
CLIPS_AT_ONCE = 32  # log-mel windows are computed for this many clips together
# Counts up when the same settings give other features, or notes other fields: older ones are then redone.
NOTE_FORMAT = 2


def shard_name(row: Row) -> str:
    """Where a video's clips lie, below the feature folder."""
    return str(PurePosixPath("shards", row.video_id[-2:], f"{row.video_id}.tfrecord"))


def note_name(row: Row) -> str:
    """Where it is written what became of a video, below the feature folder."""
    return str(PurePosixPath("videos", row.video_id[-2:], f"{row.video_id}.json"))


def require_settings(found: object, settings: FeatureSettings, folder: str) -> None:
    """Raises `UserError` when the settings that lie in a feature folder are not these `settings`."""
    try:
        found = settings_from_dict(found)
    except (UserError, TypeError) as error:
        raise UserError(
            f"{folder}: its {SETTINGS_NAME} is of another version ({error}); use another folder or delete it"
        ) from None
    require_same(found, settings, folder)


def extract(row: Row, video: Path, shard: Path, settings: FeatureSettings) -> dict:
    """Writes the clips of the local file `video` to `shard`; returns the note, plain data for JSON.

    A video that cannot be used gives a note with the reason and no shard. Only what is not the video's
    fault is raised: a shard that cannot be written.
    """
    try:
        return {"status": "ok", **dataclasses.asdict(_write_features(row, video, shard, settings))}
    except VideoError as error:
        return {"status": "refused", "reason": str(error)}
    except av.FFmpegError as error:
        return {"status": "refused", "reason": f"{video}: cannot be decoded ({error}); leave it out"}
    except (UserError, OSError):  # no place to write to
        raise
    except Exception as error:  # one odd video of thousands must not stop the others
        return crashed(f"{video}: stopped by {type(error).__name__} ({error}); leave it out")


def extract_job(job: tuple[Row, Path, Path, FeatureSettings]) -> dict:
    """`extract` with its arguments in one, for a worker process."""
    return extract(*job)


def crashed(reason: str) -> dict:
    """The note of a video that broke its worker; unlike a refused one it is tried again by the next run."""
    return {"status": "crashed", "reason": reason}


def fingerprint(path: Path) -> list | None:
    """Tells one state of a source file from another: its size and the time of its last change."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def stamped(note: dict, source: list | None) -> dict:
    """A note as it is stored, with the fingerprint of the file that it speaks of."""
    return {"format": NOTE_FORMAT, "source": source, **note}


def is_final(note: object, source: list | None) -> bool:
    """Whether a stored note still holds for the file with the fingerprint `source`.

    Crashes are tried again: the machine may have been at fault. Notes of another version are no help.
    """
    if not isinstance(note, dict) or note.get("format") != NOTE_FORMAT or note.get("source") != source:
        return False
    if note.get("status") == "ok":
        return all(field.name in note for field in dataclasses.fields(VideoRecord))
    return note.get("status") == "refused" and "reason" in note


def make_index(
    rows: list[Row],
    refused: list[Refusal],
    notes: dict[str, dict],
    out: Path | str,
    settings: FeatureSettings,
    seed: int,
) -> FeatureIndex:
    """Joins the notes of all rows, by video id; what the manifest says is that of today."""
    usable = [row for row in rows if notes[row.video_id]["status"] == "ok"]
    refused = refused + [
        Refusal(row.name, notes[row.video_id]["reason"])
        for row in rows
        if notes[row.video_id]["status"] != "ok"
    ]
    usable, validation = hold_out_validation(usable, seed)  # drawn from usable videos, so that some are left
    known = [field.name for field in dataclasses.fields(VideoRecord)]
    videos = []
    for row in usable:
        values = {**notes[row.video_id], **_of_manifest(row)}
        videos.append(VideoRecord(**{name: values[name] for name in known}))
    labels = sorted({video.label for video in videos})
    return FeatureIndex(out, settings, labels, videos, refused, validation)


def clips_with_sound(
    path: Path, video: CompressedVideo, settings: FeatureSettings, transform: Transform | None = None
) -> Iterator[tuple]:
    """(clip features, log-mel `[40, 200]` or None) of every clip, in one pass over picture and sound each.

    transform: what makes the log-mel; None is TensorFlow's, as for training features.
    """
    clips = video.clips()
    group = list(itertools.islice(clips, CLIPS_AT_ONCE))
    reader = track = None
    if group and video.stream.has_audio:
        plan = mel_plan(settings.span / video.timing.fps)
        reader = _open_sound(path, plan.rate, video)
        track = MelTrack(reader, plan, transform)
    try:
        while group:
            times = [(clip.start_s, clip.end_s) for clip in group]
            mels = track.clips(times) if track else [None] * len(group)
            yield from zip(group, mels, strict=True)
            group = list(itertools.islice(clips, CLIPS_AT_ONCE))
    finally:
        if reader:
            reader.close()


def _write_features(row: Row, path: Path, shard: Path, settings: FeatureSettings) -> VideoRecord:
    if multiprocessing.parent_process() is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a worker that only writes records must not claim a GPU
    from pipelines.records import write_shard  # TensorFlow, needed only where features are written

    video = CompressedVideo(path, settings)
    heard = []
    with written_whole(shard) as temporary:
        clips = write_shard(str(temporary), _clip_records(row, path, video, settings, heard))
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
        shard=shard_name(row),
        timing=times.to_dict(),
        damage=video.damage,
        **_of_manifest(row),
    )


def _of_manifest(row: Row) -> dict:
    segments = [list(bounds) for bounds in row.segments] if row.segments else None
    return {"path": str(row.path), "label": row.label, "split": row.split, "segments": segments}


def _clip_records(
    row: Row, path: Path, video: CompressedVideo, settings: FeatureSettings, heard: list
) -> Iterator:
    from pipelines.records import ClipRecord

    quality = settings.jpeg_quality
    for clip, mel in clips_with_sound(path, video, settings):
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
            policy=video.policy,
        )


def _open_sound(path: Path, rate: int, video: CompressedVideo):
    from pipelines.audio import SoundReader

    first = video.timing.pts[0]
    return SoundReader(path, rate, 0.0 if first == NO_PTS else float(first * video.timing.time_base))
