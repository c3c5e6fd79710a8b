"""Features of a run's videos with other settings, for networks that learn from the run's own classifier.

Clips do not depend on what is kept of them, so the classifier's scores hold for every such folder as long
as it has the same videos with the same frames; otherwise it is refused.
"""

import csv
import dataclasses
import io
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import write_text
from pipelines.index import FeatureIndex
from pipelines.settings import FeatureSettings
from scsampler_tf.tables import ScoreTable

CLIP_PLAN = ("clip_frames", "clip_step")


def features_like(
    own: FeatureIndex, folder: Path, settings: FeatureSettings, manifest: Path, workers: int, quiet: bool
) -> FeatureIndex:
    """The run's videos with other `settings` in `folder`, made where they are missing, as `own` names them.

    `manifest` is written: the run's videos with their splits.
    """
    from pipelines.prepare import prepare

    for name in CLIP_PLAN:
        if getattr(own.settings, name) != getattr(settings, name):
            raise UserError(f"{folder}: other {name} than the run's, whose scores are of other clips")
    write_manifest(own, manifest)
    return named_as(own, prepare(manifest, folder, settings, workers, quiet=quiet))


def write_manifest(index: FeatureIndex, path: Path) -> None:
    """The usable videos of a run with the splits that it has, as a manifest with full paths."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "split"))
    writer.writerows((video.path, video.label, video.split) for video in index.videos)
    write_text(path, text.getvalue())


def named_as(own: FeatureIndex, other: FeatureIndex) -> FeatureIndex:
    """`other` with the names, labels, splits and segments that the run has for the same files.

    Raises `UserError` for a video that `other` lacks or that has another length there.
    """
    there = {video.path: video for video in other.videos}
    reasons = {item.path: item.reason for item in other.refused}
    videos = []
    for video in own.videos:
        if video.path not in there:
            reason = reasons.get(video.path, "it is in no manifest")
            raise UserError(f"{other.folder}: lacks a video of the run ({reason}); make the run's anew")
        found = there[video.path]
        if (found.clips, found.frames) != (video.clips, video.frames):
            raise UserError(
                f"{video.path}: has {found.frames} frames and {found.clips} clips in {other.folder}, but "
                f"{video.frames} and {video.clips} in {own.folder}; make both anew"
            )
        kept = {name: getattr(video, name) for name in ("video_id", "label", "split", "segments")}
        videos.append(dataclasses.replace(found, **kept))
    return dataclasses.replace(
        other, labels=own.labels, videos=videos, refused=own.refused, validation=own.validation
    )


def require_clips_of(table: ScoreTable, index: FeatureIndex) -> None:
    """Raises `UserError` unless every video that a table has scores of has as many clips in the index."""
    for video in index.videos:
        rows = table.values.get(video.video_id)
        if rows is not None and len(rows) != video.clips:
            raise UserError(
                f"score table '{table.network}': {len(rows)} clips of {video.path}, which has {video.clips} "
                f"in {index.folder}; run python -m scsampler_tf.score {table.network} again"
            )
    if not any(video.video_id in table.values for video in index.of_split("train")):
        raise UserError(f"score table '{table.network}': no train video of {index.folder} has scores in it")
