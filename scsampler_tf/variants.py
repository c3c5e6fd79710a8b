"""Trains and scores the samplers that a table of the paper compares, those that the run lacks.

    python -m scsampler_tf.variants objectives --workdir runs/mine
    python -m scsampler_tf.evaluate objectives --workdir runs/mine

Everything but what is compared is as in the run. A killed command goes on where it stopped, and nothing is
trained that the run, or another table, already has. --dry-run lists what would be done.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from pipelines.errors import UserError, run_command
from pipelines.files import file_digest, make_folder
from scsampler_tf.config import ExperimentConfig
from scsampler_tf.strategies import HELP as STRATEGY_HELP
from scsampler_tf.strategies import one_process
from scsampler_tf.train import add_run_arguments, run_config
from scsampler_tf.transfer_scores import TRANSFER, make_transfer
from scsampler_tf.workdir import Workdir

TABLES = ("objectives", "features", "audio", "sweep-ktr")
ALL = "all"


def has_sound(index) -> bool:
    """Whether an audio sampler can be trained on the run's videos."""
    return any(video.has_audio for video in index.of_split("train"))


def wanted(what: str, config: ExperimentConfig, sound: bool) -> list:
    """The variants of a table, or of all, in the order in which they are trained."""
    from scsampler_tf.variant_plan import PLANS, variants_of

    names = TABLES if what == ALL else (what,)
    variants = variants_of([row for name in names for row in PLANS[name](config, sound)])
    if not variants:
        raise UserError(f"{what}: compares audio samplers, and no train video of this run has sound")
    return variants


def make_variant(variant, workdir: Workdir, config: ExperimentConfig, strategy: str, quiet: bool = False):
    """Trains and scores one variant unless that is done; returns its score table."""
    from scsampler_tf.score import score
    from scsampler_tf.train import train

    own = variant.config
    if variant.begins_with:
        own = dataclasses.replace(own, weights=str(_weights(variant.begins_with, workdir)))
    changed = dataclasses.replace(config, **{variant.kind: own})
    folder, index = variant.model(workdir), workdir.index(config)
    make_folder(variant.table(workdir).parent)
    train(variant.kind, workdir, changed, workers=0, strategy=strategy, folder=folder, quiet=quiet)
    return score(variant.kind, index, folder, variant.table(workdir), workers=0, quiet=quiet)


def _weights(source, workdir: Workdir) -> Path:
    """The trained network of a variant as a file that other trainings can begin with."""
    from scsampler_tf.model_folder import NETWORK_NAME, load_model
    from scsampler_tf.models.network_file import About, read_about, save_network
    from scsampler_tf.models.sampler import input_kind

    network_file = source.model(workdir) / NETWORK_NAME
    path = workdir.variant_model(f"{source.name}.keras")
    trained = load_model(source.model(workdir))
    digest = file_digest(network_file)[:16]
    if path.exists() and read_about(path).source.get("network") == digest:
        return path
    shape = tuple(trained.network.input_shape[1:])
    classes = trained.labels if source.config.objective == "ac" else None
    about = About(source.config.arch, input_kind(source.kind), shape, {}, classes, {"network": digest})
    make_folder(path.parent)
    save_network(path, trained.network, about)
    return path


def plan_text(variants: list, workdir: Workdir) -> str:
    """What would be done, a line a variant."""
    from scsampler_tf.model_folder import is_finished

    lines = []
    for variant in variants:
        steps = [] if is_finished(variant.model(workdir)) else ["train"]
        steps += [] if variant.table(workdir).exists() and not steps else ["score"]
        note = " (the run's own)" if variant.own else ""
        lines.append(f"{variant.name}{note}: {' and '.join(steps) or 'is there'}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.variants", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("what", choices=(*TABLES, ALL, TRANSFER), help="the table, as evaluate calls it")
    parser.add_argument("--other", metavar="RUN", help="transfer: folder of the run whose samplers are used")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be trained and scored")
    parser.add_argument("--strategy", help=STRATEGY_HELP)
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    from scsampler_tf.experiment import Stages

    if (args.what == TRANSFER) != bool(args.other):
        raise UserError("--other RUN belongs to transfer, and transfer needs it")
    workdir, config = run_config(args)
    if not workdir.table("classifier").exists():
        raise UserError(
            f"{args.workdir}: the classifier has no scores; run python -m scsampler_tf.score classifier first"
        )
    if args.what == TRANSFER:
        if args.dry_run:
            print(f"score the samplers of {args.other} on the videos of {args.workdir}")
            return
        for path in make_transfer(args.other, workdir, config):
            print(path)
        return
    strategy = one_process(args.strategy or config.strategy, "this")
    variants = wanted(args.what, config, has_sound(workdir.index(config)))
    if args.dry_run:
        print(plan_text(variants, workdir))
        return
    stages = Stages(make_folder(workdir.path / "models" / "variants") / "stages.json")
    for variant in variants:
        stages.run(
            variant.name,
            lambda variant=variant: make_variant(variant, workdir, config, strategy),
        )
    print(f"next: python -m scsampler_tf.evaluate {args.what} --workdir {args.workdir}")


if __name__ == "__main__":
    sys.exit(main())
