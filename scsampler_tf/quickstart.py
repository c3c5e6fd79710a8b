"""The whole job in minutes on a small data set that it makes itself: no GPU, no server, no download.

python -m scsampler_tf.quickstart --workdir runs/quickstart
"""

import argparse
import sys
from pathlib import Path

from pipelines.errors import run_command
from pipelines.synthetic import MANIFEST, make_set
from scsampler_tf.dry_run import DONE, TO_DO
from scsampler_tf.experiment import add_experiment_arguments, checked_config, plan_text, run

VIDEOS = 132
DATA_SEED = 7


def made(data: Path) -> str:
    """Whether the videos have been made; the manifest is written when all of them are there."""
    return DONE if (data / MANIFEST).exists() else TO_DO


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.quickstart", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument(
        "--workdir", default="runs/quickstart", help="folder of the run (default runs/quickstart)"
    )
    parser.add_argument("--videos", type=int, default=VIDEOS, help=f"how many to make (default {VIDEOS})")
    add_experiment_arguments(parser)
    args = parser.parse_args(argv)

    def body():
        config = checked_config(args)
        data = Path(args.workdir) / "data"
        if args.dry_run:
            print(plan_text(args, config, args.videos, {"videos": made(data)}))
            return
        print(f"== making {args.videos} videos", flush=True)
        run(args, make_set(data, args.videos, DATA_SEED, workers=max(args.workers, 1)))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
