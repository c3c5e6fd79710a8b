"""Wall time from a video file to its label: SCSampler against dense, uniform and random clips.

    python -m benchmarks.end_to_end [--minutes 1 5 30] [--video FILE] [--json FILE]

For a cheap and a costly classifier, on files that it makes or on those given. Networks are freshly
initialised: what they find does not change what they cost. `benchmarks/file_to_label.py` tells what is timed.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.end_to_end_report import report
from benchmarks.end_to_end_setups import NAMES, Setup, setups
from benchmarks.machine import machine, usable_cores
from benchmarks.sound_media import make_with_sound
from pipelines.clips import ClipPlan, require_clips
from pipelines.errors import UserError, run_command
from pipelines.files import make_folder, write_json
from pipelines.video import scan_times

STREAMS = ("h264_b", "mpeg4")
FULL = {"minutes": (1, 5, 30), "warm_s": 6, "most": 24, "rounds": 3, "budget_s": 15}
QUICK = {"minutes": (0.05, 0.1), "warm_s": 2, "most": 2, "rounds": 1, "budget_s": 0}
IDLE = 0.5  # load of a machine on which nobody else works


def measure(chosen: list[Setup], files: list[Path], warm: list[Path], sizes: dict) -> dict:
    """All figures as plain data, of made or given `files`; `warm` are short ones to get going with."""
    from benchmarks.end_to_end_figures import Effort, figures
    from scsampler_tf.runtime import versions

    before = load()
    effort = Effort(sizes["rounds"], sizes["budget_s"])
    found = [figures(setup, files, warm, effort) for setup in chosen]
    after = load()
    return {
        "machine": machine(cores=usable_cores(), **versions()),
        "load": None if before is None else [before, after],
        "busy": is_busy(before, after, usable_cores()),
        "classifiers": found,
    }


def load() -> float | None:
    """How many processes wanted a processor, the mean of the last minute; None where that is not told."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def is_busy(before: float | None, after: float | None, cores: int) -> bool:
    """Whether others work here: before, when we did nothing yet, or after, beside our own threads."""
    return before is not None and (before > IDLE or after > cores + IDLE)


def made(folder: Path, streams: list[str], minutes: list[float]) -> list[Path]:
    """Files of all lengths of the first stream, and of the middle length of the others."""
    lengths = sorted(set(minutes))
    middle = lengths[len(lengths) // 2]
    wanted = [(streams[0], length) for length in lengths] + [(name, middle) for name in streams[1:]]
    return [make_with_sound(folder, name, length * 60) for name, length in wanted]


def check(args: argparse.Namespace, chosen: list[Setup]) -> None:
    """Raises `UserError` for what cannot be measured, before anything is."""
    for length in args.minutes or ():
        if not 1 / 60 <= length <= 24 * 60:
            raise UserError(f"--minutes {length:g}: use a second to a day, in minutes")
    spans = {setup.config.features for setup in chosen}
    for path in args.video:
        count = scan_times(path).count
        for features in spans:
            require_clips(ClipPlan(count, features.clip_frames, features.clip_step), str(path))


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.end_to_end", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument(
        "--minutes", type=float, nargs="+", help="lengths of the files that are made (default 1 5 30)"
    )
    parser.add_argument(
        "--streams", nargs="+", choices=STREAMS, default=STREAMS, help="what is made (default: both)"
    )
    parser.add_argument(
        "--video", type=Path, nargs="+", default=[], help="measure these files, make none but short ones"
    )
    parser.add_argument("--K", type=int, help="clips to classify (default: that of each configuration)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="classifiers (default: both)")
    parser.add_argument(
        "--dense-clips",
        type=int,
        help="clips on which the costly classifier's dense evaluation is timed (default 24; 0: all)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PART.KEY=VALUE",
        help="a setting of the costly one's SCSampler, which is then measured with these settings alone",
    )
    parser.add_argument("--json", help="write the figures to this file, as data")
    parser.add_argument("--folder", help="keep the files that are made here (default: a temporary folder)")
    parser.add_argument("--quick", action="store_true", help="seconds of video, tiny networks: does it run")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = parsed(argv)

    def body() -> None:
        sizes = QUICK if args.quick else FULL
        most = sizes["most"] if args.dense_clips is None else args.dense_clips
        for name, value, least in (("--K", args.K, 1), ("--dense-clips", most, 0)):
            if value is not None and value < least:
                raise UserError(f"{name} {value}: use {least} or more")
        chosen = [each for each in setups(args.quick, most, args.K, args.set) if each.name in args.only]
        check(args, chosen)
        with tempfile.TemporaryDirectory() as temporary:
            folder = make_folder(args.folder or temporary)
            warm = [make_with_sound(folder, name, sizes["warm_s"]) for name in args.streams]
            files = args.video or made(folder, args.streams, args.minutes or sizes["minutes"])
            found = measure(chosen, files, warm, sizes)
        print(report(found))
        if args.json:
            write_json(args.json, found)

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
