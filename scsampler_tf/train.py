"""Trains the clip classifier or a sampler of a run, or fine-tunes its samplers together.

    python -m scsampler_tf.train classifier --workdir runs/mine
    python -m scsampler_tf.train sampler --kind audio --objective sal_rank --workdir runs/mine
    python -m scsampler_tf.train joint --workdir runs/mine

Settings come from the run's config.json (written by scsampler_tf.experiment, or here with --preset) and
can be changed with --set part.key=value while a run has not begun. An interrupted training goes on with
its last whole epoch when the same command is given again.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from pipelines.errors import UserError, run_command
from scsampler_tf.config import (
    OBJECTIVES,
    SAMPLER_KINDS,
    SAMPLERS,
    STRATEGIES,
    ExperimentConfig,
    preset,
    with_settings,
)
from scsampler_tf.workdir import Workdir, claim_workdir, open_workdir


def train(
    what: str,
    workdir: Workdir,
    config: ExperimentConfig,
    *,
    workers: int,
    strategy: str,
    folder: Path | None = None,
    quiet: bool = False,
) -> Path:
    """Trains the classifier (`what` = "classifier"), one of the samplers, or all of the run's trained ones
    together ("joint"); returns its folder."""
    from scsampler_tf.runtime import make_strategy
    from scsampler_tf.tables import load_table
    from scsampler_tf.train_classifier import train_classifier
    from scsampler_tf.train_joint import joint_config, train_joint
    from scsampler_tf.train_sampler import train_sampler

    index = workdir.index(config)
    folder = folder or workdir.model(what)
    devices = make_strategy(strategy)
    if what == "classifier":
        train_classifier(
            index, config.classifier, folder, strategy=devices, seed=config.seed, workers=workers, quiet=quiet
        )
        return folder
    path = workdir.table("classifier")
    table = load_table(path) if path.exists() else None
    options = {"K": config.selection.K, "strategy": devices, "seed": config.seed, "quiet": quiet}
    if what == "joint":
        sources = {kind: workdir.model(kind) for kind in SAMPLERS}
        train_joint(index, joint_config(config), table, folder, sources, **options)
    else:
        train_sampler(what, index, getattr(config, what), table, folder, **options)
    return folder


def run_config(args: argparse.Namespace) -> tuple[Workdir, ExperimentConfig]:
    """The run's folder and configuration from `--workdir`, `--preset` and `--set`."""
    if args.workers < 0:
        raise UserError(f"--workers {args.workers}: give 0 or more")
    workdir = Workdir(Path(args.workdir))
    if workdir.config_file.is_file() and not args.preset:
        workdir, config = open_workdir(args.workdir)
        return workdir, with_settings(config, args.set)
    config = with_settings(preset(args.preset or "small"), args.set)
    if not workdir.config_file.is_file():
        workdir.index(config)  # without features it is no run: a mistyped name shall not make a folder
    return claim_workdir(args.workdir, config), config


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every stage of a run has."""
    parser.add_argument("--workdir", required=True, help="folder of the run")
    parser.add_argument(
        "--preset", help="small, paper or tiny; only for a run that has not begun (default small)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="PART.KEY=VALUE", help="change one setting"
    )
    parser.add_argument("--workers", type=int, default=2, help="decoding processes (default 2)")


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.train", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("what", choices=("classifier", "sampler", "joint"))
    parser.add_argument("--kind", choices=SAMPLER_KINDS, help="which sampler")
    parser.add_argument("--objective", choices=OBJECTIVES, help="what the sampler is trained for")
    parser.add_argument("--strategy", choices=STRATEGIES, help="one device, or all of them")
    parser.add_argument("--out", help="folder of the trained network (default WORKDIR/models/...)")
    add_run_arguments(parser)
    args = parser.parse_args(argv)

    def body():
        workdir, config = run_config(args)
        what = args.what
        if args.what == "sampler":
            if not args.kind:
                raise UserError("which sampler? give --kind md, rgb_r, audio or iframe")
            what = args.kind
            if args.objective:
                changed = dataclasses.replace(getattr(config, what), objective=args.objective)
                config = dataclasses.replace(config, **{what: changed})
        elif args.kind or args.objective:
            raise UserError(
                "--kind and --objective belong to samplers; leave them out for the classifier and joint"
            )
        folder = train(
            what,
            workdir,
            config,
            workers=args.workers,
            strategy=args.strategy or config.strategy,
            folder=Path(args.out) if args.out else None,
        )
        print(f"{what}: {folder}")

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
