"""Whether training waits for its data: examples a second of every input against what its files allow.

    python -m benchmarks.input [--workdir RUN] [--minutes 0.5] [--json FILE]

Measures on the features of a run, or on videos that it makes and prepares with the preset small.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import input_clips
from benchmarks.machine import machine, usable_cores
from benchmarks.markdown import cell, header, table
from benchmarks.sound_media import make_with_sound
from pipelines.errors import UserError, run_command
from pipelines.files import make_folder, write_json, write_text
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.prepare import prepare
from scsampler_tf.config import ExperimentConfig, small, tiny
from scsampler_tf.workdir import open_workdir

STREAMS = ("h264_b", "mpeg4")
MOST = 16  # videos of a run
FULL = {"copies": 4, "rounds": 3, "seconds": 20.0, "least": 2000, "minutes": 0.5}
QUICK = {"copies": 1, "rounds": 1, "seconds": 0.1, "least": 1, "minutes": 0.05}


def made(folder: Path, minutes: float, copies: int, config: ExperimentConfig) -> FeatureIndex:
    """Videos of two codecs with sound, so many copies of each, and their features."""
    lines = ["path,label,split"]
    for name in STREAMS:
        path = make_with_sound(folder, name, 60 * minutes)
        for number in range(copies + 1):
            copy = path.with_stem(f"{path.stem}_{number}")
            if not copy.exists():
                shutil.copy(path, copy)
            lines.append(f"{copy.name},{name},{'train' if number else 'val'}")
    write_text(folder / "manifest.csv", "\n".join([*lines, ""]))
    return prepare(folder / "manifest.csv", folder / "features", config.features, workers=2)


def videos_of(index: FeatureIndex) -> list[VideoRecord]:
    """The train videos that are measured: with sound, and with times by which frames can be sought."""
    usable = [video for video in index.of_split("train") if video.has_audio and video.times().seekable]
    if not usable:
        raise UserError(f"{index.folder}: no train video with sound and exact times; measure another run")
    return usable[:MOST]


def measure(index: FeatureIndex, config: ExperimentConfig, sizes: dict) -> dict:
    """All figures as plain data."""
    from benchmarks import input_records, input_steps
    from scsampler_tf.versions import versions

    videos = videos_of(index)
    classifier, rounds = config.classifier, sizes["rounds"]
    return {
        "machine": machine(cores=usable_cores(), **versions()),
        "videos": len(videos),
        "minutes": sum(video.duration_s for video in videos) / 60,
        "clips": input_clips.rows(index, videos, classifier, rounds),
        "records": input_records.rows(index, videos, config, rounds, sizes["least"]),
        "steps": input_steps.rows(index, videos, config, sizes["seconds"]),
    }


HEADINGS = {
    "clips": "The classifier's clips",
    "records": "The samplers' clips",
    "steps": "Training steps",
}


def report(found: dict) -> str:
    """The figures as Markdown tables."""
    lines = [header(found["machine"]), ""]
    lines += [f"{found['videos']} videos, {found['minutes']:.1f} minutes.", ""]
    for part, heading in HEADINGS.items():
        columns = list(found[part][0])
        lines += [f"{heading}:", ""]
        lines += table(columns, [[_shown(name, row[name]) for name in columns] for row in found[part]])
    return "\n".join(lines)


def _shown(column: str, value: object) -> str:
    return f"{100 * value:.0f} %" if column == "waiting for input" else cell(value)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.input", description=__doc__.split("\n\n")[0])
    parser.add_argument("--workdir", help="a run whose features are measured (default: made ones)")
    parser.add_argument("--minutes", type=float, help="length of made videos (default 0.5)")
    parser.add_argument("--folder", help="keep what is made here (default: a temporary folder)")
    parser.add_argument("--json", help="write the figures to this file, as data")
    parser.add_argument("--quick", action="store_true", help="tiny: whether it runs, not what it costs")
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    sizes = dict(QUICK if args.quick else FULL)
    if args.minutes is not None:
        if args.workdir or not args.minutes > 0:
            raise UserError(
                "--minutes: more than 0, the length of videos that are made, so not with --workdir"
            )
        sizes["minutes"] = args.minutes
    with tempfile.TemporaryDirectory() as temporary:
        if args.workdir:
            workdir, config = open_workdir(args.workdir)
            index = workdir.index(config)
        else:
            config = tiny() if args.quick else small()
            index = made(make_folder(args.folder or temporary), sizes["minutes"], sizes["copies"], config)
        found = measure(index, config, sizes)
    print(report(found))
    if args.json:
        write_json(args.json, found)


if __name__ == "__main__":
    sys.exit(main())
