"""Every table and figure of the paper in one go, on videos that it makes itself or on yours.

    python -m scsampler_tf.paper --workdir runs/paper
    python -m scsampler_tf.paper --workdir runs/mine --manifest videos.csv

An experiment; the samplers that tables compare; joint training; a second run in WORKDIR/other with another
classifier, from whose samplers table 3 is made; then all tables. What is there already is skipped, so a
killed run goes on where it stopped. A part that this data does not allow is named with its reason.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.errors import UserError, run_command
from pipelines.files import read_json
from pipelines.index import FeatureIndex
from pipelines.manifest import read_manifest
from pipelines.synthetic import make_set
from scsampler_tf import variants
from scsampler_tf.config import ExperimentConfig
from scsampler_tf.experiment import (
    Stages,
    add_experiment_arguments,
    checked_config,
    experiment,
    measured_split,
    plan_text,
    train_and_score,
)
from scsampler_tf.quickstart import made
from scsampler_tf.transfer_scores import TRANSFER, make_transfer
from scsampler_tf.versions import note_versions
from scsampler_tf.workdir import Workdir, claim_workdir

JOINT = "joint"
PARTS = (*variants.TABLES, JOINT, TRANSFER)
VIDEOS, DATA_SEED = 300, 7  # 138 train, 30 val and 132 test videos
STAGES_NAME = "stages.json"


@dataclass(frozen=True)
class Plan:
    """A run, how it is trained, and the classifier of its second run."""

    workdir: Workdir
    config: ExperimentConfig
    index: FeatureIndex
    other_arch: str
    workers: int
    strategy: str
    stages: Stages


def other_classifier(arch: str) -> str:
    """A classifier of another kind than `arch` for the same sizes of clips: small ones for small ones."""
    first, second = ("csn_small", "r2plus1d_small") if arch.endswith("_small") else ("mc3_18", "r2plus1d_18")
    return second if arch == first else first


def make_variants(name: str, plan: Plan) -> None:
    """Trains and scores what a table compares."""
    for variant in variants.wanted(name, plan.config, variants.has_sound(plan.index)):
        work = partial(variants.make_variant, variant, plan.workdir, plan.config, plan.strategy)
        plan.stages.run(f"variant {variant.name}", work)


def make_joint(plan: Plan) -> None:
    """Trains the run's samplers together and scores them."""
    from scsampler_tf.score import networks, score_kind
    from scsampler_tf.train import train

    def score_all() -> None:
        for kind, place in networks(JOINT, plan.workdir):
            score_kind(kind, place, plan.config, plan.workers)

    options = {"workers": plan.workers, "strategy": plan.strategy}
    plan.stages.run("train joint", lambda: train(JOINT, plan.workdir, plan.config, **options))
    plan.stages.run("score joint", score_all)


def make_activations(plan: Plan) -> None:
    """Stores what the rows of redundant clips in the table `beyond` compare clips by."""
    from scsampler_tf.score import ACTIVATIONS, score_kind

    score_kind(ACTIVATIONS, plan.workdir, plan.config, plan.workers)


def make_other(plan: Plan) -> None:
    """Trains another classifier and its samplers on the same features; scores these samplers in the run."""
    classifier = dataclasses.replace(plan.config.classifier, arch=plan.other_arch, weights="")
    config = dataclasses.replace(plan.config, classifier=classifier)
    other = claim_workdir(plan.workdir.path / "other", config)
    share_features(plan.workdir, other)
    train_and_score(plan.stages, other, config, plan.index, plan.workers, plan.strategy, prefix="other: ")
    plan.stages.run("score transfer", lambda: make_transfer(other.path, plan.workdir, plan.config))


def share_features(workdir: Workdir, other: Workdir) -> None:
    """Makes a run within the folder of another one read that one's features, as they are at any time."""
    if other.features.is_symlink() or not other.features.exists():
        other.features.unlink(missing_ok=True)
        # Relative, so that both runs can be moved together.
        other.features.symlink_to(os.path.relpath(workdir.features, other.path), target_is_directory=True)


def attempt(work: Callable[[], None], name: str, lacking: dict[str, str]) -> None:
    """Does an optional piece of work, or notes in `lacking` the sentence that says why it cannot be done."""
    try:
        work()
    except UserError as error:
        lacking[name] = str(error).removeprefix(f"{name}: ")
        print(f"== {name}: not done: {lacking[name]}", flush=True)


def make_parts(plan: Plan, without: list[str]) -> dict[str, str]:
    """All parts but those `without`; returns why others could not be made."""
    work: dict[str, Callable[[], None]] = {
        **{name: partial(make_variants, name, plan) for name in variants.TABLES},
        JOINT: partial(make_joint, plan),
        TRANSFER: partial(make_other, plan),
    }
    lacking: dict[str, str] = {}
    for name in PARTS:
        if name not in without:
            attempt(work[name], name, lacking)
    return lacking


def write_tables(plan: Plan, without: list[str], lacking: dict[str, str]) -> list[Path]:
    """Every table but those left out or lacking; returns the files, and adds to `lacking`."""
    from scsampler_tf.evaluate import TABLES, make_one, write_results
    from scsampler_tf.experiments.run import open_run
    from scsampler_tf.experiments.writing import write_table

    run = open_run(plan.workdir, plan.config, measured_split(plan.index))
    paths: list[Path] = []

    def write(name: str) -> None:
        table, results = make_one(name, run)
        paths.extend(
            write_table(table, plan.workdir.report)
            if results is None
            else write_results(results, plan.workdir)
        )

    for name in TABLES:
        if name not in without and name not in lacking:
            attempt(partial(plan.stages.run, f"table {name}", partial(write, name)), name, lacking)
    return paths


def closing_words(plan: Plan, paths: list[Path], lacking: dict[str, str], seconds: float) -> str:
    """The main table, where all of them lie, what is missing and why, and how long it took."""
    from scsampler_tf.evaluate import markdown

    folder = plan.workdir.path
    notes = read_json(folder / STAGES_NAME)
    tables = sorted(path.stem for path in paths if path.suffix == ".md")
    return "\n".join(
        [
            "",
            markdown(read_json(folder / "results.json")),
            f"tables:       {', '.join(tables)}",
            f"reports:      {plan.workdir.report} (of each table .md, .json and .png)",
            *(f"not made:     {name}: {reason}" for name, reason in lacking.items()),
            f"stages:       {folder / STAGES_NAME}",
            f"peak memory:  {max(note['peak_mb'] for note in notes.values())} MB",
            f"time:         {seconds:.0f} s now, {sum(note['seconds'] for note in notes.values()):.0f} s "
            "in all stages",
        ]
    )


def run(args: argparse.Namespace) -> None:
    """Everything, from parsed options."""
    began, config = time.monotonic(), checked_config(args)
    other_arch = checked_other(args.other_classifier, config)
    if args.manifest and args.videos is not None:
        raise UserError("--videos: is for the set that this command makes; leave it out with --manifest")
    stages_file = Path(args.workdir) / STAGES_NAME
    if args.dry_run:
        print(_plan_text(args, config))
        return
    manifest = args.manifest or _own_videos(args, Stages(stages_file))
    read_manifest(manifest)  # a mistyped name must not claim the folder for these settings
    workdir = claim_workdir(args.workdir, config)
    note_versions(workdir.path)
    base = Path(args.model_base) if args.model_base else workdir.path / "saved_models"
    options = {"workers": args.workers, "strategy": args.strategy or config.strategy}
    experiment(manifest, workdir, config, model_base=base, **options)
    index = workdir.index(config)
    plan = Plan(workdir, config, index, other_arch, **options, stages=Stages(stages_file))
    plan.stages.run("score activations", partial(make_activations, plan))
    lacking = make_parts(plan, args.without)
    paths = write_tables(plan, args.without, lacking)
    print(closing_words(plan, paths, lacking, time.monotonic() - began))


def _plan_text(args: argparse.Namespace, config: ExperimentConfig) -> str:
    if args.manifest:
        rows, before = sum(map(len, read_manifest(args.manifest))), {}
    else:
        rows, before = _videos(args), {"videos": made(Path(args.workdir) / "data")}
    return plan_text(args, config, rows, before, then=[name for name in PARTS if name not in args.without])


def checked_other(asked: str | None, config: ExperimentConfig) -> str:
    """The second run's classifier; a network that is none, or the run's own, shows before any work."""
    from scsampler_tf.models import PRESETS

    own, arch = config.classifier.arch, asked or other_classifier(config.classifier.arch)
    known = [name for name, values in PRESETS.items() if len(values["input_shape"]) == 4 and name != own]
    if arch not in known:
        raise UserError(f"--other-classifier {arch}: is none of {', '.join(known)}")
    return arch


def _own_videos(args: argparse.Namespace, stages: Stages) -> Path:
    folder, workers = Path(args.workdir) / "data", max(args.workers, 1)
    return stages.run("videos", lambda: make_set(folder, _videos(args), DATA_SEED, workers=workers))


def _videos(args: argparse.Namespace) -> int:
    return VIDEOS if args.videos is None else args.videos


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.paper", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--workdir", default="runs/paper", help="folder of the run (default runs/paper)")
    parser.add_argument("--manifest", help="CSV with columns path,label,split (default: videos it makes)")
    parser.add_argument("--videos", type=int, help=f"how many to make without --manifest (default {VIDEOS})")
    parser.add_argument(
        "--without", nargs="+", default=[], choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--other-classifier", metavar="ARCH", help="of the second run (default csn_small or mc3_18)"
    )
    add_experiment_arguments(parser)
    args = parser.parse_args(argv)
    return run_command(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
