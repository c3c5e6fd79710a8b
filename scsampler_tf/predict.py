"""Labels and salient moments of video files, by an exported model or by a server that runs it.

    python -m scsampler_tf.predict holiday.mp4 --model saved_models/scsampler
    python -m scsampler_tf.predict holiday.mp4 --workdir runs/mine --config runs/mine/tuning/best.json
    python -m scsampler_tf.predict holiday.mp4 --server http://localhost:8501 --json
    python -m scsampler_tf.predict --manifest videos.csv --out results.jsonl --model saved_models/scsampler

Every clip is scored from compressed features in one streaming pass; only the K chosen clips are decoded
to pictures, fewer where the model stops once it is confident. For each video a timeline picture is written
next to the answer; for the many videos of a manifest a line of JSON each, see `predict_batch`.
"""

import argparse
import contextlib
import functools
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.clips import ClipPlan
from pipelines.compressed import CompressedVideo
from pipelines.decoding import center_crop
from pipelines.errors import UserError, run_command
from pipelines.extraction import clips_with_sound
from pipelines.files import make_folder
from pipelines.mel_numpy import transform
from pipelines.policy import unseen
from pipelines.settings import FeatureSettings, settings_from_dict
from pipelines.video import decode_clips
from pipelines.wire import pack_strip
from scsampler_tf.predict_models import Call, Server, about_model, local_model, remote_model
from scsampler_tf.predict_scores import SCORES, scored_and_chosen
from scsampler_tf.predict_turns import classified

CLIPS_AT_ONCE = 64  # bounds memory, and the size of a request to a server
CLIP_QUALITY = 95


@dataclass(frozen=True)
class Moment:
    """A classified clip: where it lies, how salient it is, and what f says about it."""

    clip: int
    start_s: float
    end_s: float
    saliency: float
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The answer for one video. visual, audio and fused hold a value for every clip `[L]`."""

    path: str
    label: str
    probabilities: dict[str, float]
    moments: list[Moment]
    bounds_s: list[tuple[float, float]]
    visual: np.ndarray
    audio: np.ndarray | None
    fused: np.ndarray
    thumbnails: list[np.ndarray]
    policy: str
    damage: list[str]
    remarks: list[str]

    def to_dict(self) -> dict:
        """Plain data for --json: moments in order of time."""
        return {
            "video": self.path,
            "label": self.label,
            "probability": self.probabilities[self.label],
            "probabilities": self.probabilities,
            "moments": [vars(moment) for moment in sorted(self.moments, key=lambda each: each.start_s)],
            "clips": len(self.bounds_s),
            "duration_s": self.bounds_s[-1][1],
            "has_audio": self.audio is not None,
            "motion": self.policy,
            "damage": self.damage,
            "remarks": self.remarks,
        }


def predict(path: str | Path, call: Call, k: int | None = None, few: bool = False) -> Prediction:
    """Label, probabilities and salient moments of one video file, in memory that its length does not change.

    k: how many clips are classified; None is what the model was exported with. few: a video of less than 64
    clips is asked about in two requests, `sample` and `classify`, as suits a server. Raises `VideoError` for
    a file that cannot be used, `UserError` for a model that takes no k.
    """
    about = about_model(call)
    settings = settings_from_dict(about["features"])
    video = CompressedVideo(path, settings)
    options = about.get("selection", {})
    wanted = [*SCORES, *(["features"] if options.get("diversity") else [])]
    groups = _groups(clips_with_sound(Path(path), video, settings, transform), CLIPS_AT_ONCE)
    at_once = CLIPS_AT_ONCE if few else 0
    scores, chosen, fused, bounds = scored_and_chosen(groups, settings, call, wanted, k, at_once)
    decode = functools.partial(_decode, Path(path), video, settings, about)
    clips, each, whole = classified(
        call, chosen, fused, options, decode, lambda pictures: pack_strip(pictures, CLIP_QUALITY)
    )
    labels = about["labels"]
    moments = [
        Moment(clip, *bounds[clip], float(fused[clip]), labels[row.argmax()], float(row.max()))
        for clip, row in zip(chosen, each, strict=False)  # those left out: the answer was confident before
    ]
    return Prediction(
        path=str(path),
        label=labels[whole.argmax()],
        probabilities={label: float(value) for label, value in zip(labels, whole, strict=True)},
        moments=moments,
        bounds_s=bounds,
        visual=scores["visual"],
        audio=np.where(scores["has_audio"], scores["audio"], np.nan) if scores["has_audio"].any() else None,
        fused=fused,
        thumbnails=[clips[moment.clip][len(clips[moment.clip]) // 2] for moment in moments],
        policy=video.policy,
        damage=video.damage,
        remarks=unseen(video.policy, about.get("motion", ())),
    )


def _groups(items: Iterator, count: int) -> Iterator[list]:
    while group := list(itertools.islice(items, count)):
        yield group


def _decode(
    path: Path, video: CompressedVideo, settings: FeatureSettings, about: dict, chosen: list[int]
) -> dict:
    """The chosen clips `[F, S, S, 3]` uint8 by clip number."""
    plan = ClipPlan(video.timing.count, settings.clip_frames, settings.clip_step)
    wanted = [plan.frame_indices(clip) for clip in chosen]
    pictures = decode_clips(path, wanted, about["clip_resize"], video.timing)
    return {
        clip: center_crop(clip_pictures, about["clip_size"])
        for clip, clip_pictures in zip(chosen, pictures, strict=True)
    }


def describe(prediction: Prediction) -> str:
    """The answer as a few lines of text."""
    best = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:5]
    lines = [f"{prediction.path}: {prediction.label} ({prediction.probabilities[prediction.label]:.1%})"]
    lines.append("  " + ", ".join(f"{label} {value:.1%}" for label, value in best))
    sound = "picture and sound" if prediction.audio is not None else "picture only, no sound"
    lines.append(
        f"  {len(prediction.moments)} of {len(prediction.bounds_s)} clips classified, chosen by {sound}"
    )
    for moment in sorted(prediction.moments, key=lambda each: each.start_s):
        lines.append(
            f"  {moment.start_s:8.2f} - {moment.end_s:8.2f} s  saliency {moment.saliency:.3f}  "
            f"{moment.label} {moment.probability:.1%}"
        )
    lines += [f"  damaged, readable part used: {line}" for line in prediction.damage]
    lines += [f"  remark: {line}" for line in prediction.remarks]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.predict", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("videos", nargs="*", metavar="VIDEO")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--model", help="exported model: its folder of versions, or one version")
    where.add_argument("--server", metavar="URL", help="server with TF-Serving's REST interface")
    where.add_argument("--workdir", help="folder of a run, which is exported into it when that is needed")
    parser.add_argument("--config", metavar="FILE", help="with --workdir: settings, such as a search's")
    parser.add_argument(
        "--name", default="scsampler", help="name of the model on the server (default scsampler)"
    )
    parser.add_argument("--K", type=int, help="clips to classify (default: what the model was exported with)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a video")
    parser.add_argument(
        "--out",
        help="folder of the timeline pictures (default timelines); with --manifest the file of answers",
    )
    parser.add_argument("--manifest", metavar="CSV", help="many videos: a list with a column path")
    parser.add_argument(
        "--workers", type=int, default=2, help="with --manifest: processes that read videos (default 2)"
    )
    parser.add_argument(
        "--retry-errors", action="store_true", help="with --manifest: again what failed before"
    )
    args = parser.parse_args(argv)
    if bool(args.videos) == bool(args.manifest):
        parser.error("name videos, or a list of them with --manifest")
    if args.K is not None and args.K < 1:
        parser.error(f"--K {args.K}: give 1 or more")
    if args.config and not args.workdir:
        parser.error("--config is for a run; give --workdir")
    return run_command(lambda: _predict(args))


def picture_names(videos: list[str]) -> list[str]:
    """A file name for each video's timeline: its own with .png, numbered where two would be the same."""
    names: list[str] = []
    for path in videos:
        stem = Path(path).stem
        numbered = (f"{stem}-{number}.png" for number in itertools.count(2))
        names.append(next(name for name in itertools.chain([f"{stem}.png"], numbered) if name not in names))
    return names


def _predict(args: argparse.Namespace) -> int:
    if args.workdir:
        from scsampler_tf.run_export import exported_with

        args.model = str(exported_with(args.workdir, args.config))
    return _predict_list(args) if args.manifest else _predict_all(args)


def _predict_list(args: argparse.Namespace) -> int:
    from scsampler_tf.predict_batch import predict_batch

    if not args.out:
        raise UserError("--out is missing; name the file of answers, such as results.jsonl")
    if args.workers < 0:
        raise UserError(f"--workers {args.workers}: give 0 or more")
    model = Server(args.server, args.name) if args.server else args.model
    summary = predict_batch(args.manifest, args.out, model, args.workers, args.K, args.retry_errors)
    print(summary.text(args.out))
    return 1 if summary.failed else 0


def _predict_all(args: argparse.Namespace) -> int:
    local = None if args.server else local_model(args.model)
    with contextlib.nullcontext(local) if local else remote_model(args.server, args.name) as call:
        out = make_folder(args.out or "timelines")
        done = [
            _predict_one(path, call, out / picture, args)
            for path, picture in zip(args.videos, picture_names(args.videos), strict=True)
        ]
    return 0 if all(done) else 2


def _predict_one(path: str, call: Call, picture: Path, args: argparse.Namespace) -> bool:
    """Prints the answer for a video, or the sentence that says why there is none."""
    from scsampler_tf.report import write_timeline

    try:
        prediction = predict(path, call, args.K, few=bool(args.server))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    write_timeline(prediction, picture)
    if args.json:
        print(json.dumps({**prediction.to_dict(), "timeline": str(picture)}, allow_nan=False))
    else:
        print(f"{describe(prediction)}\n  timeline: {picture}")
    return True


if __name__ == "__main__":
    sys.exit(main())
