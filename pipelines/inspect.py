"""A look inside a video: what its stream is, which motion it gives and why, and what the features see.

python -m pipelines.inspect holiday.mp4 --png holiday.png --npz holiday.npz --residual
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipelines.damage import Damage
from pipelines.errors import UserError, VideoError, run_command
from pipelines.files import write_json
from pipelines.frame_features import FrameBatch, FrameFeatures
from pipelines.npz import write_npz
from pipelines.pictures import WholePictures
from pipelines.policy import Policy, motion_policy
from pipelines.settings import MOTION_MODES, RESIDUAL_FORMS, RESIDUAL_SHARES
from pipelines.survey import Survey, survey
from pipelines.video_file import decoded_frames, opened_pictures

DRAWN = 4  # frames in a picture
DRAWN_SIDE = 480  # pixels


def describe(path: str, found: Survey, policy: Policy) -> dict:
    """Everything the command prints, as plain data."""
    shortest, middle, longest = found.gop
    return {
        "file": str(path),
        "stream": {
            key: str(value) if key == "aspect" else value for key, value in asdict(found.stream).items()
        },
        "frames": found.timing.count,
        "duration_s": found.timing.seconds(found.timing.count),
        "frame_types": found.types,
        "gop": {"shortest": shortest, "median": middle, "longest": longest},
        "variable_rate": found.variable_rate,
        "seekable": found.timing.seekable,
        "sound": None if found.sound is None else {**asdict(found.sound), "silent": found.sound.silent},
        "damage": found.damage,
        "motion": asdict(policy),
    }


def report(path: str, found: Survey, policy: Policy) -> str:
    """The same in words, one thing a line."""
    stream, timing = found.stream, found.timing
    seconds = timing.seconds(timing.count)
    rate = "variable frame rate, on average" if found.variable_rate else "at"
    types = ", ".join(f"{count} {kind}" for kind, count in found.types.items())
    pace = f"{rate} {timing.count / seconds:.3f} a second"
    seeking = "by timestamps" if timing.seekable else "not possible: timestamps are missing or go back"
    shortest, middle, longest = found.gop
    lines = [
        f"{path}",
        f"  stream   {_stream_words(stream)}",
        f"  frames   {timing.count} in {seconds:.2f} s, {pace}: {types}",
        f"  GOP      {shortest} to {longest} frames, median {middle:g}",
        f"  seeking  {seeking}",
        f"  sound    {_sound_words(found)}",
        f"  motion   {policy.name}: {policy.reason}",
    ]
    lines += [f"  damage   {sentence}" for sentence in found.damage or ["none found"]]
    return "\n".join(lines)


def _stream_words(stream) -> str:
    words = [
        f"{stream.codec} {stream.profile or ''}".strip(),
        f"{stream.width}x{stream.height}",
        stream.pixel_format,
    ]
    if stream.aspect != 1:
        words.append(f"pixels {stream.aspect} as wide as high")
    if stream.rotation:
        words.append(f"shown turned {stream.rotation} degrees counter-clockwise")
    if stream.mirrored:
        words.append("shown mirrored")
    words.append("interlaced, read as whole frames" if stream.interlaced else "progressive")
    words.append("B-frames" if stream.has_b_frames else "no B-frames")
    if stream.video_streams > 1:
        words.append(f"the default of {stream.video_streams} video streams")
    return f"{', '.join(words)}, in {stream.container}"


def _sound_words(found: Survey) -> str:
    sound = found.sound
    if sound is None:
        return "none that can be read" if found.stream.has_audio else "none"
    words = f"{sound.codec} {sound.rate} Hz, {sound.channels} channels, starts {sound.offset_s:+.3f} s"
    words += f" from the first picture, covers {sound.heard_s:.2f} s"
    if sound.streams > 1:
        words += f", the default of {sound.streams} streams"
    return words + (", silent" if sound.silent else "")


def write_features(path: str, target: str, features: FrameFeatures) -> None:
    """Writes the NPZ: md `[frames, h, w, 2]`, frame_type and pts_s `[frames]`, and rgb_r if asked for."""

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for batch in features.batches():
            residuals = {} if batch.rgb_r is None else {"rgb_r": batch.rgb_r}
            yield {"md": batch.md, "frame_type": batch.frame_type.astype("U1"), **residuals}

    def last() -> dict[str, np.ndarray]:
        timing = features.timing
        seconds = np.array([timing.seconds(frame) for frame in range(timing.count)])
        return {"pts_s": seconds, "policy": np.array(features.policy.name)}

    try:
        write_npz(target, rows(), last)
    except ValueError:
        raise VideoError(
            f"{path}: the size of its pictures changes midway, one array cannot hold them; cut it there"
        ) from None


def draw_frames(path: str, target: str, found: Survey, mode: str, form: str) -> None:
    """Draws a few frames, evenly spread, with motion arrows and residuals."""
    from pipelines.motion_picture import Shown, draw  # matplotlib takes a second to import

    count = found.timing.count
    chosen = sorted({round((part + 0.5) / DRAWN * count) for part in range(DRAWN)} & set(range(count))) or [0]
    features = FrameFeatures(path, mode, 1, form)
    pictures = _pictures(path, chosen, found)
    shown, number = [], 0
    for batch in features.batches():
        for place in range(len(batch.md)):
            if number + place in chosen:
                shown.append(_shown(batch, place, number + place, next(pictures), features, Shown))
        number += len(batch.md)
    draw(target, f"{Path(path).name}: motion {features.policy.name}", shown)


def _shown(batch: FrameBatch, place: int, number: int, picture: np.ndarray, features: FrameFeatures, kind):
    rgb_r = batch.rgb_r[place]
    second = features.timing.seconds(number)
    frame_type = f"{batch.frame_type[place]}-frame"
    return kind(number, second, frame_type, picture, batch.md[place], rgb_r.shape[:2], rgb_r)


def _pictures(path: str, chosen: list[int], found: Survey) -> Iterator[np.ndarray]:
    with opened_pictures(path) as (container, stream):
        whole = WholePictures(DRAWN_SIDE, found.stream.geometry, "rgb24")
        for number, frame in enumerate(decoded_frames(container, stream, Damage())):
            if number in chosen:
                yield whole.frame(frame).to_ndarray()


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.inspect", description=__doc__.split("\n\n")[0])
    parser.add_argument("video", nargs="+", help="video files")
    parser.add_argument("--mode", choices=MOTION_MODES, default="auto", help="features.motion (default auto)")
    parser.add_argument("--png", help="draw frames with motion arrows and residuals; one video only")
    parser.add_argument("--npz", help="write motion of every frame, frame types and times; one video only")
    parser.add_argument(
        "--residual", nargs="?", type=int, const=1, choices=RESIDUAL_SHARES,
        help="with --npz: residuals too, at full size, a half (2) or a quarter (4)",
    )  # fmt: skip
    parser.add_argument("--form", choices=RESIDUAL_FORMS, default="step", help="of residuals (default step)")
    parser.add_argument("--json", help="write what is printed to this file, as data")
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if len(args.video) > 1 and (args.png or args.npz):
        raise UserError("--png and --npz take one video; give one, or leave them out")
    if args.residual and not args.npz:
        raise UserError("--residual adds to --npz; give a file for it")
    told, failed = [], 0
    for path in args.video:
        try:
            found = survey(path)
            policy = motion_policy(found.stream, args.mode, path)
        except VideoError as error:
            if len(args.video) == 1:
                raise
            print(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        print(report(path, found, policy), flush=True)
        told.append(describe(path, found, policy))
        if args.npz:
            write_features(path, args.npz, FrameFeatures(path, args.mode, args.residual, args.form))
            print(f"  wrote    {args.npz}")
        if args.png:
            draw_frames(path, args.png, found, args.mode, args.form)
            print(f"  wrote    {args.png}")
    if args.json:
        write_json(args.json, told)
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
