"""The whole job on a user's data: features, classifier, samplers, score tables, table, SavedModel.

    python -m scsampler_tf.experiment --manifest videos.csv --workdir runs/mine --preset small

Each stage is skipped when its output is there, so a killed run goes on where it stopped.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import UserError, run_command
from pipelines.files import read_json, write_json
from pipelines.index import FeatureIndex
from pipelines.manifest import read_manifest
from pipelines.prepare import prepare
from pipelines.prepare import report as feature_report
from scsampler_tf.config import SAMPLER_KINDS, SAMPLERS, ExperimentConfig, preset
from scsampler_tf.config_file import configured
from scsampler_tf.dry_run import experiment_stages, told
from scsampler_tf.strategies import HELP as STRATEGY_HELP
from scsampler_tf.strategies import one_process
from scsampler_tf.versions import note_versions
from scsampler_tf.workdir import Workdir, claim_workdir, is_claimed

EXPORT_NAME = "scsampler"


def experiment(
    manifest: str | Path,
    workdir: Workdir,
    config: ExperimentConfig,
    *,
    workers: int,
    strategy: str,
    model_base: Path,
) -> dict:
    """Runs all stages that are not done yet and returns the results (see `evaluate`)."""
    from scsampler_tf.evaluate import evaluate, write_results

    stages = Stages(workdir.path / "stages.json")
    index = stages.run(
        "prepare", lambda: prepare(manifest, workdir.features, config.features, workers, config.seed)
    )
    print(feature_report(index), flush=True)
    split = measured_split(index)
    train_and_score(stages, workdir, config, index, workers, strategy)
    results = stages.run("evaluate", lambda: evaluate(workdir, config, split=split))
    write_results(results, workdir)
    stages.run("export", lambda: _export_once(workdir, config, model_base))
    stages.run("timeline", lambda: _example(workdir, index.of_split(split)))
    return results


def train_and_score(
    stages: "Stages",
    workdir: Workdir,
    config: ExperimentConfig,
    index: FeatureIndex,
    workers: int,
    strategy: str,
    prefix: str = "",
) -> None:
    """Trains the classifier and every sampler that the videos allow, each scored before the next is trained.

    `prefix` stands before the names of the stages.
    """
    from scsampler_tf.score import score_kind
    from scsampler_tf.train import train

    kinds = [kind for kind in SAMPLERS if kind != "audio" or has_sound(index)]
    for kind in ("classifier", *kinds):
        stages.run(
            f"{prefix}train {kind}",
            lambda kind=kind: train(kind, workdir, config, workers=workers, strategy=strategy),
        )
        stages.run(f"{prefix}score {kind}", lambda kind=kind: score_kind(kind, workdir, config, workers))


def measured_split(index: FeatureIndex) -> str:
    """test, or val where the manifest has no test videos; neither is an error, before hours of training."""
    for split in ("test", "val"):
        if index.of_split(split):
            return split
    raise UserError(
        f"{index.folder}: no test videos to measure on; the manifest needs rows with split 'test'"
    )


def has_sound(index: FeatureIndex) -> bool:
    """Whether an audio sampler can be trained."""
    return any(video.has_audio for video in index.of_split("train"))


class Stages:
    """Runs stages in turn and notes how long each took, in seconds, and the peak memory, in MB."""

    def __init__(self, path: Path):
        self._path = path
        self._notes = read_json(path) if path.exists() else {}

    def run(self, name: str, work: Callable):
        """Runs one stage; its own functions skip what is done, then the earlier note is kept."""
        print(f"== {name}", flush=True)
        began = time.monotonic()
        result = work()
        seconds = round(time.monotonic() - began, 1)
        if seconds >= self._notes.get(name, {}).get("seconds", 0):
            self._notes[name] = {"seconds": seconds, "peak_mb": _peak_mb()}
            write_json(self._path, self._notes)
        print(f"== {name}: {seconds:.0f} s", flush=True)
        return result


def _peak_mb() -> int:
    """The larger of this process's and its largest child's peak resident memory."""
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    return round(max(usage) * unit / 1e6)


def _export_once(workdir: Workdir, config: ExperimentConfig, model_base: Path) -> Path:
    """Exports unless the newest version holds these very networks and settings."""
    from scsampler_tf.export import export

    if known := exported(workdir):
        return known
    version = export(workdir, config, EXPORT_NAME, model_base)
    write_json(workdir.path / "export.json", {"networks": _networks(workdir), "version": str(version)})
    return version


def exported(workdir: Workdir) -> Path | None:
    """The exported version that holds the very networks of the score tables; None without one."""
    from scsampler_tf.export import ABOUT_PATH

    note = workdir.path / "export.json"
    if not note.exists():
        return None
    known = read_json(note)
    same = known["networks"] == _networks(workdir) and (Path(known["version"]) / ABOUT_PATH).exists()
    return Path(known["version"]) if same else None


def _networks(workdir: Workdir) -> dict[str, str]:
    from scsampler_tf.tables import load_table

    kinds = [kind for kind in ("classifier", *SAMPLERS) if workdir.table(kind).exists()]
    return {kind: load_table(workdir.table(kind)).made_by["network"] for kind in kinds}


def _example(workdir: Workdir, videos: list) -> Path:
    """The timeline of one of the videos, to look at: the longest, with sound if any has it."""
    from scsampler_tf.predict import local_model, predict
    from scsampler_tf.report import write_timeline

    path = workdir.report / "timeline.png"
    if path.exists():
        return path
    video = max(videos, key=lambda each: (each.has_audio, each.clips))
    version = read_json(workdir.path / "export.json")["version"]
    return write_timeline(predict(video.path, local_model(version)), path)


def closing_words(workdir: Workdir, results: dict) -> str:
    """The table, where things lie, and what to try next."""
    from scsampler_tf.evaluate import markdown

    version = read_json(workdir.path / "export.json")["version"]
    times = json.loads((workdir.path / "stages.json").read_text())
    spent = ", ".join(f"{name} {note['seconds']:.0f} s" for name, note in times.items())
    return "\n".join(
        [
            "",
            markdown(results),
            f"time:         {spent}",
            f"peak memory:  {max(note['peak_mb'] for note in times.values())} MB",
            f"results:      {workdir.path / 'results.json'}",
            f"report:       {workdir.report}",
            f"TensorBoard:  tensorboard --logdir {workdir.path / 'models'}",
            f"SavedModel:   {version}",
            "",
            "next:",
            f"  python -m scsampler_tf.predict VIDEO --model {version}",
            f"  python -m tuning.search --workdir {workdir.path} --max-trials 20",
            f"  python -m scsampler_tf.serving.server --model-base {Path(version).parent.parent}",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.experiment", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--manifest", required=True, help="CSV with columns path,label,split")
    add_experiment_arguments(parser)
    parser.add_argument("--workdir", required=True, help="folder of the run")
    args = parser.parse_args(argv)
    return run_command(lambda: run(args, args.manifest))


def add_experiment_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that the quick start shares."""
    parser.add_argument("--preset", default="small", help="small, standard, paper or tiny (default small)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PART.KEY=VALUE", help="change one setting"
    )
    parser.add_argument("--config", metavar="FILE", help="settings of a JSON or TOML file, below --set")
    parser.add_argument(
        "--dry-run", action="store_true", help="only print the settings, versions and stages as JSON"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that read videos (default 2)")
    parser.add_argument("--strategy", help=STRATEGY_HELP)
    parser.add_argument("--model-base", help="where to export to (default WORKDIR/saved_models)")


def checked_config(args: argparse.Namespace) -> ExperimentConfig:
    """The configuration from parsed options; a mistake in them shows here, before any work is done."""
    from scsampler_tf.models import PRESETS
    from scsampler_tf.models.transfer import initial_weights

    if args.workers < 0:
        raise UserError(f"--workers {args.workers}: give 0 or more")
    config = configured(preset(args.preset), args.config, args.set)
    one_process(args.strategy or config.strategy, "an experiment")
    for part in ("classifier", *SAMPLER_KINDS):
        name = getattr(config, part).arch
        if name not in PRESETS:
            raise UserError(f"{part}.arch: '{name}' is none of {', '.join(PRESETS)}")
        initial_weights(part, getattr(config, part))
    return config


def plan_text(
    args: argparse.Namespace,
    config: ExperimentConfig,
    rows: int,
    before: dict[str, str] | None = None,
    **more,
) -> str:
    """What `--dry-run` prints: settings, versions and stages of a run that may or may not have begun.

    `rows` as in `experiment_stages`; `before` is put before the stages, `more` beside them.
    """
    is_claimed(args.workdir, config)  # other settings than those of the run show here too
    stages = {**(before or {}), **experiment_stages(Workdir(Path(args.workdir)), config, rows)}
    strategy = args.strategy or config.strategy
    return told(config, workdir=str(args.workdir), strategy=strategy, stages=stages, **more)


def run(args: argparse.Namespace, manifest: str | Path) -> None:
    """One experiment from parsed options, with its closing words."""
    config = checked_config(args)
    rows, refused = read_manifest(manifest)  # a mistyped name must not claim the folder for these settings
    if args.dry_run:
        print(plan_text(args, config, len(rows) + len(refused)))
        return
    workdir = claim_workdir(args.workdir, config)
    note_versions(workdir.path)
    base = Path(args.model_base) if args.model_base else workdir.path / "saved_models"
    results = experiment(
        manifest,
        workdir,
        config,
        workers=args.workers,
        strategy=args.strategy or config.strategy,
        model_base=base,
    )
    print(closing_words(workdir, results))


if __name__ == "__main__":
    sys.exit(main())
