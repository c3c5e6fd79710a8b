"""How large requests are for a minute of video, input by input, at a preset's settings.

    python -m benchmarks.serving_sizes
    python -m benchmarks.serving_sizes holiday.mp4 --preset standard

Without a video half a minute of made pictures with grain and sound is measured.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.markdown import header, table
from benchmarks.sound_media import make_with_sound
from pipelines.compressed import CompressedVideo
from pipelines.decoding import center_crop
from pipelines.errors import run_command
from pipelines.extraction import clips_with_sound
from pipelines.video import iter_clips
from pipelines.wire import pack_log_mel, pack_md, pack_strip
from scsampler_tf import config as configs
from scsampler_tf.predict import CLIP_QUALITY

MADE_S = 30.0
JSON = 4 / 3  # base64


def measure(path: Path, preset: str) -> str:
    """The table as Markdown."""
    config = configs.preset(preset)
    settings, f = config.features, config.classifier
    totals = dict.fromkeys(("md", "rgb_r", "log_mel", "clips"), 0)
    count, last = 0, 0.0
    for clip, mel in clips_with_sound(path, CompressedVideo(path, settings), settings):
        totals["md"] += len(pack_md(clip.md))
        totals["rgb_r"] += len(pack_strip(clip.rgb_r, settings.jpeg_quality))
        totals["log_mel"] += len(pack_log_mel(mel))
        count, last = count + 1, clip.end_s
    for pictures in iter_clips(path, settings.clip_frames, settings.clip_step, f.resize):
        totals["clips"] += len(pack_strip(center_crop(pictures, f.size), CLIP_QUALITY))
    minutes, k = last / 60, config.selection.K
    rows = [
        [
            name,
            f"{size / count / 1024:.1f}",
            f"{size / minutes / 2**20:.2f}",
            f"{size * JSON / minutes / 2**20:.2f}",
        ]
        for name, size in totals.items()
    ]
    chosen = totals["clips"] / count * k / 2**20
    rows.append(
        [f"clips, the K = {k} chosen ones", "", f"{chosen:.2f} in all", f"{chosen * JSON:.2f} in all"]
    )
    about = machine(preset=preset, video=path.name, clips=str(count), seconds=f"{last:.0f}")
    return "\n".join(
        [header(about), "", *table(["input", "KiB a clip", "MiB a minute", "MiB a minute as JSON"], rows)]
    )


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving_sizes", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("video", nargs="?", type=Path, help="whose sizes; none: one is made")
    parser.add_argument("--preset", default="standard", help="of the settings (standard)")
    arguments = parser.parse_args(argv)

    def body() -> None:
        with tempfile.TemporaryDirectory(prefix="sizes-") as folder:
            path = arguments.video or make_with_sound(Path(folder), "h264_b", MADE_S)
            print(measure(path, arguments.preset))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
