"""Trains and scores the visual sampler at several costs: residual size, P-frames a clip, MD alone, network.

    python -m scsampler_tf.knee --workdir runs/mine --dry-run
    python -m scsampler_tf.knee --workdir runs/mine
    python -m scsampler_tf.evaluate knee --workdir runs/mine

Classifier and its scores are the run's; features are prepared anew for every setting, into
WORKDIR/knee/NAME. A killed command goes on where it stopped. Points of earlier commands stay in the table.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from pipelines.errors import UserError, run_command
from pipelines.files import file_digest, make_folder, read_json, write_json
from pipelines.index import INDEX_NAME
from scsampler_tf.config import ExperimentConfig
from scsampler_tf.strategies import HELP as STRATEGY_HELP
from scsampler_tf.strategies import one_process
from scsampler_tf.train import add_run_arguments, run_config
from scsampler_tf.workdir import Workdir

if TYPE_CHECKING:  # it loads Keras, which the command's own start does not need
    from scsampler_tf.knee_plan import Asked, Point

PLAN, MANIFEST, EXTRACTION, STAGES = "plan.json", "manifest.csv", "extraction.json", "stages.json"
ALL = "all"
MEGA = 1e6


def known_plan(workdir: Workdir) -> "Asked | None":
    """What earlier commands were asked for; None before the first."""
    from scsampler_tf.knee_plan import asked_from_dict, knee_folder

    path = knee_folder(workdir) / PLAN
    return asked_from_dict(read_json(path)) if path.exists() else None


def note_plan(workdir: Workdir, wanted: "Asked") -> "Asked":
    """Adds to the plan in the run's folder; returns all of it."""
    from scsampler_tf.knee_plan import knee_folder

    known = known_plan(workdir)
    together = wanted.joined(known) if known else wanted
    write_json(make_folder(knee_folder(workdir)) / PLAN, together.to_dict())
    return together


def is_done(sampler, workdir: Workdir) -> bool:
    """Whether a sampler is trained and its scores are those of this very network."""
    from scsampler_tf.model_folder import NETWORK_NAME, is_finished
    from scsampler_tf.tables import load_table

    folder, path = sampler.model(workdir), sampler.table(workdir)
    if not (is_finished(folder) and path.exists()):
        return False
    return load_table(path).made_by.get("network") == file_digest(folder / NETWORK_NAME)[:16]


def make_point(
    point: "Point",
    workdir: Workdir,
    config: ExperimentConfig,
    *,
    workers: int,
    strategy: str,
    quiet: bool = False,
) -> None:
    """Prepares the features of a point, trains its sampler and scores it, each unless that is done.

    A finished point whose features were deleted is left as it is.
    """
    from scsampler_tf.knee_features import features_like, require_clips_of
    from scsampler_tf.knee_plan import knee_folder
    from scsampler_tf.runtime import make_strategy
    from scsampler_tf.score import score
    from scsampler_tf.tables import load_table
    from scsampler_tf.train_sampler import train_sampler

    folder, path = point.model(workdir), point.table(workdir)
    features = point.features(workdir)
    if is_done(point, workdir) and not (features / INDEX_NAME).exists():
        return
    manifest = knee_folder(workdir) / MANIFEST
    index = features_like(
        workdir.index(config), features, point.setting.features, manifest, workers, quiet=quiet
    )
    table = load_table(workdir.table("classifier"))
    require_clips_of(table, index)
    own = getattr(config, point.kind)
    options = {"K": config.selection.K, "seed": config.seed, "precision": config.precision}
    options |= {"strategy": make_strategy(strategy)}
    train_sampler(point.kind, index, own, table, folder, **options, quiet=quiet)
    make_folder(path.parent)
    score(point.kind, index, folder, path, workers=0, quiet=quiet)


def plan_text(samplers: list, workdir: Workdir) -> str:
    """What would be done, a line a sampler."""
    from scsampler_tf.knee_plan import Point
    from scsampler_tf.model_folder import is_finished

    lines, prepared = [], set()
    for sampler in samplers:
        if is_done(sampler, workdir):
            lines.append(f"{sampler.name}: is there")
            continue
        steps = ["score"] if is_finished(sampler.model(workdir)) else ["train", "score"]
        if isinstance(sampler, Point):
            folder = sampler.features(workdir)
            if folder not in prepared and not (folder / INDEX_NAME).exists():
                steps.insert(0, f"prepare {sampler.setting.name}")
            prepared.add(folder)
        own = " (the run's own)" if getattr(sampler, "own", False) else ""
        lines.append(f"{sampler.name}{own}: {', '.join(steps)}")
    return "\n".join(lines)


def disk_text(workdir: Workdir) -> str:
    """How much the features of all points take."""
    from scsampler_tf.knee_plan import knee_folder

    folder = knee_folder(workdir)
    size = sum(path.stat().st_size for path in folder.glob("*/features/**/*") if path.is_file())
    return (
        f"features in {folder}: {size / MEGA:.1f} MB; finished points do not need them, so the folders "
        f"{folder / '*' / 'features'} may be deleted"
    )


def run(workdir: Workdir, config: ExperimentConfig, wanted: "Asked", *, workers: int, strategy: str) -> None:
    """Makes every point that is asked for, then times the reading of videos for all points of the plan."""
    from scsampler_tf.experiment import Stages, measured_split
    from scsampler_tf.knee_extraction import note_extraction, some_videos
    from scsampler_tf.knee_plan import Point, knee_folder, rows_of, samplers_of
    from scsampler_tf.variants import make_variant

    index = workdir.index(config)
    split = measured_split(index)
    rows = rows_of(config, note_plan(workdir, wanted))
    asked_for = {each.name for each in samplers_of(rows_of(config, wanted))}
    stages = Stages(knee_folder(workdir) / STAGES)
    for sampler in samplers_of(rows):
        if sampler.name not in asked_for:
            continue
        if isinstance(sampler, Point):
            stages.run(
                sampler.name,
                lambda point=sampler: make_point(point, workdir, config, workers=workers, strategy=strategy),
            )
        else:
            stages.run(sampler.name, lambda variant=sampler: make_variant(variant, workdir, config, strategy))
    path = knee_folder(workdir) / EXTRACTION
    videos = some_videos(index.of_split(split))
    stages.run("extraction", lambda: note_extraction(path, videos, [row.features for row in rows]))


def count(text: str) -> int:
    """A number of P-frames on the command line; "all" is 0."""
    return 0 if text == ALL else int(text)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m scsampler_tf.knee", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--sizes", type=int, nargs="+", metavar="PIXELS", help="residuals (default canvas, half, quarter)"
    )
    parser.add_argument(
        "--frames", type=count, nargs="+", metavar="N", help="P-frames a clip, or all (default all 4 1)"
    )
    parser.add_argument(
        "--archs", nargs="+", default=[], metavar="NAME", help="other networks, at the run's feature settings"
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would be done")
    parser.add_argument("--strategy", help=STRATEGY_HELP)
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    from scsampler_tf.knee_plan import asked, rows_of, samplers_of

    workdir, config = run_config(args)
    if not workdir.table("classifier").exists():
        raise UserError(
            f"{args.workdir}: the classifier has no scores; run python -m scsampler_tf.score classifier first"
        )
    strategy = one_process(args.strategy or config.strategy, "this")
    wanted = asked(config.features, args.sizes, args.frames, args.archs)
    if args.dry_run:
        print(plan_text(samplers_of(rows_of(config, wanted)), workdir))
        return
    run(workdir, config, wanted, workers=args.workers, strategy=strategy)
    print(disk_text(workdir))
    print(f"next: python -m scsampler_tf.evaluate knee --workdir {args.workdir}")


if __name__ == "__main__":
    sys.exit(main())
