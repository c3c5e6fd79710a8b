"""What looking at a video costs, against a bare decode of the same file.

    python -m benchmarks.features [VIDEO ...] [--json FILE]

Measures on files that it makes (340x256 and 1280x720, MPEG-4 and H.264) and on those given.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import av

from benchmarks import clips, energy, per_frame, scale
from benchmarks.machine import machine
from benchmarks.markdown import cell, header, table
from benchmarks.media import LARGE, SMALL, make
from pipelines.errors import UserError, run_command
from pipelines.files import make_folder, write_json

FULL = {"frame_s": 20, "seek_s": 300, "hour_turns": 12, "worker_s": 60, "rounds": 5}
QUICK = {"frame_s": 0.5, "seek_s": 8, "hour_turns": 3, "worker_s": 2, "rounds": 1}


def measure(videos: list[Path], folder: Path, sizes: dict, sections: list[str]) -> dict:
    """All figures as plain data; made files are kept in `folder`."""
    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    found = {"machine": machine(av=av.__version__, ffmpeg=f"{libavcodec} (libavcodec)")}
    if "frames" in sections:
        made = [
            make(folder, name, size, sizes["frame_s"])
            for size in (SMALL, LARGE)
            for name in ("mpeg4", "h264_ip", "h264_b")
        ]
        found["frames"] = [per_frame.rows(path, sizes["rounds"]) for path in [*made, *videos]]
        readable = [path for path in [*made, *videos] if per_frame.has_vectors(path)]
        found["mv_extractor"] = {path.name: per_frame.comparison(path) for path in readable}
    if "clips" in sections:
        names = ("mpeg4", "h264_b_gop12", "h264_b")
        found["clips"] = [
            clips.rows(make(folder, name, SMALL, sizes["seek_s"]), sizes["rounds"]) for name in names
        ]
    if "energy" in sections:
        made = [make(folder, name, SMALL, sizes["frame_s"]) for name in ("mpeg4", "h264_ip", "h264_b")]
        found["energy"] = energy.table([*made, *videos])
    if "memory" in sections:
        short = make(folder, "h264_b", SMALL, sizes["seek_s"])
        found["memory"] = scale.memory(
            [short, make(folder, "h264_b", SMALL, sizes["seek_s"], sizes["hour_turns"])]
        )
    if "workers" in sections:
        found["workers"] = scale.workers(make(folder, "h264_b", SMALL, sizes["worker_s"]))
    return found


SECTIONS = ("frames", "clips", "energy", "memory", "workers")


def report(found: dict) -> str:
    """The figures as Markdown tables."""
    lines = [header(found["machine"]), ""]
    if "frames" in found:
        names = list(dict.fromkeys(name for row in found["frames"] for name in row["ratios"]))
        lines += table(
            ["file", "stream", "decode, ms a frame", *names],
            [
                [row["file"], row["stream"], f"{row['decode_ms']:.3f}"]
                + [f"{row['ratios'][name]:.2f}" if name in row["ratios"] else "" for name in names]
                for row in found["frames"]
            ],
        )
        for name, same in found["mv_extractor"].items():
            if same:
                told = f"ours in {same['equal']} of {same['frames']} frames"
                lines.append(
                    f"{name}: vectors of mv-extractor: {told}; its readings differ in {same['unsteady']}"
                )
        lines.append("")
    for name in ("clips", "energy", "memory"):
        if name in found:
            columns = list(dict.fromkeys(key for row in found[name] for key in row))
            lines += table(columns, [[cell(row.get(key, "")) for key in columns] for row in found[name]])
    if "workers" in found:
        row = found["workers"]
        lines.append(
            f"{row['files']} files: {row['seconds']} s with that many workers, {row['times_faster']:.2f}x"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.features", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("video", nargs="*", type=Path, help="further files to measure")
    parser.add_argument("--json", help="write the figures to this file, as data")
    parser.add_argument("--folder", help="keep the files that are made here (default: a temporary folder)")
    parser.add_argument("--quick", action="store_true", help="tiny files: whether it runs, not what it costs")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="some sections (default: all)"
    )
    args = parser.parse_args(argv)

    def body() -> None:
        missing = [path for path in args.video if not path.is_file()]
        if missing:
            raise UserError(f"{missing[0]}: no such file")
        with tempfile.TemporaryDirectory() as temporary:
            folder = make_folder(args.folder or temporary)
            found = measure(args.video, folder, QUICK if args.quick else FULL, args.only)
        print(report(found))
        if args.json:
            write_json(args.json, found)

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
