"""Trains the clip classifier or a sampler of a run, or fine-tunes its samplers together.

    python -m scsampler_tf.train classifier --workdir runs/mine
    python -m scsampler_tf.train sampler --kind audio --objective sal_rank --workdir runs/mine
    python -m scsampler_tf.train joint --workdir runs/mine

Settings come from the run's config.json (written by scsampler_tf.experiment, or here with --preset) and
can be changed with --config FILE and --set part.key=value while a run has not begun. An interrupted
training goes on after its last whole epoch, or the batch at which SIGTERM ended it, when the same command
is given again.
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
    ExperimentConfig,
    preset,
)
from scsampler_tf.config_file import configured
from scsampler_tf.dry_run import told, training_state
from scsampler_tf.strategies import HELP as STRATEGY_HELP
from scsampler_tf.strategies import strategy_parts
from scsampler_tf.versions import note_versions
from scsampler_tf.workdir import Workdir, claim_workdir, is_claimed, open_workdir


def train(
    what: str,
    workdir: Workdir,
    config: ExperimentConfig,
    *,
    workers: int,
    strategy: str,
    folder: Path | None = None,
    quiet: bool = False,
    profile: bool = False,
    data_service: str | None = None,
    pictures: bool = True,
) -> Path:
    """Trains the classifier (`what` = "classifier"), one of the samplers, or all of the run's trained ones
    together ("joint"); returns its folder. `profile` adds a profile of some batches to its logs;
    `data_service` is the address of a tf.data service that makes a sampler's batches; without `pictures`
    TensorBoard gets charts alone."""
    from scsampler_tf.runtime import make_strategy
    from scsampler_tf.tables import load_table
    from scsampler_tf.train_classifier import train_classifier
    from scsampler_tf.train_joint import joint_config, train_joint
    from scsampler_tf.train_sampler import train_sampler

    index = workdir.index(config)
    folder = folder or workdir.model(what)
    path = workdir.table("classifier")
    table = load_table(path) if what != "classifier" and path.exists() else None
    options = {"strategy": make_strategy(strategy), "seed": config.seed, "quiet": quiet, "profile": profile}
    options |= {"data_service": data_service, "pictures": pictures}
    if what == "classifier":
        precision = config.precision
        train_classifier(index, config.classifier, folder, workers=workers, precision=precision, **options)
        return folder
    options["K"] = config.selection.K
    if what == "joint":
        sources = {kind: workdir.model(kind) for kind in SAMPLERS}
        train_joint(index, joint_config(config), table, folder, sources, **options)
    else:
        options["precision"] = config.precision
        train_sampler(what, index, getattr(config, what), table, folder, **options)
    return folder


def run_config(args: argparse.Namespace, claim: bool = True) -> tuple[Workdir, ExperimentConfig]:
    """The run's folder and configuration from `--workdir`, `--preset`, `--config` and `--set`.

    Without `claim` a run that has not begun is left so, and nothing is written.
    """
    if args.workers < 0:
        raise UserError(f"--workers {args.workers}: give 0 or more")
    workdir = Workdir(Path(args.workdir))
    if workdir.config_file.is_file() and not args.preset:
        workdir, config = open_workdir(args.workdir)
        return workdir, configured(config, args.config, args.set)
    config = configured(preset(args.preset or "small"), args.config, args.set)
    if not is_claimed(args.workdir, config):
        workdir.index(config)  # without features it is no run: a mistyped name shall not make a folder
    if not claim:
        return workdir, config
    return claim_workdir(args.workdir, config), config


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every stage of a run has."""
    parser.add_argument("--workdir", required=True, help="folder of the run")
    parser.add_argument(
        "--preset", help="small, standard, paper or tiny; only for a run that has not begun (default small)"
    )
    parser.add_argument("--config", metavar="FILE", help="settings of a JSON or TOML file, below --set")
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
    parser.add_argument("--strategy", help=STRATEGY_HELP)
    parser.add_argument("--out", help="folder of the trained network (default WORKDIR/models/...)")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="profile batches 2 to 11 of what is trained now, for TensorBoard",
    )
    parser.add_argument(
        "--data-service",
        metavar="grpc://HOST:PORT",
        help="a tf.data service (pipelines.data_service) that makes the batches of samplers",
    )
    parser.add_argument(
        "--no-pictures", action="store_true", help="write charts for TensorBoard, but no pictures"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only print the settings, versions and what is left as JSON"
    )
    add_run_arguments(parser)
    args = parser.parse_args(argv)

    return run_command(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    workdir, config = run_config(args, claim=not args.dry_run)
    what, config = _asked(args, config)
    folder = Path(args.out) if args.out else workdir.model(what)
    strategy = args.strategy or config.strategy
    strategy_parts(strategy, "--strategy")
    if args.data_service:
        _require_service_for(what, args.data_service)
    if args.dry_run:
        state = training_state(folder)
        print(told(config, workdir=str(args.workdir), train={what: state}, folder=str(folder)))
        return
    note_versions(workdir.path)
    options = {"workers": args.workers, "strategy": strategy, "profile": args.profile}
    options |= {"data_service": args.data_service, "pictures": not args.no_pictures}
    train(what, workdir, config, folder=folder, **options)
    print(f"{what}: {folder}")


def _require_service_for(what: str, address: str) -> None:
    from pipelines.data_service import checked_address, refuse_clips

    if what == "classifier":
        refuse_clips(address)
    checked_address(address)


def _asked(args: argparse.Namespace, config: ExperimentConfig) -> tuple[str, ExperimentConfig]:
    """What is to be trained, and the configuration with `--objective` in it."""
    if args.what != "sampler":
        if args.kind or args.objective:
            raise UserError(
                "--kind and --objective belong to samplers; leave them out for the classifier and joint"
            )
        return args.what, config
    if not args.kind:
        raise UserError("which sampler? give --kind md, rgb_r, audio or iframe")
    if args.objective:
        changed = dataclasses.replace(getattr(config, args.kind), objective=args.objective)
        config = dataclasses.replace(config, **{args.kind: changed})
    return args.kind, config


if __name__ == "__main__":
    sys.exit(main())
