"""Reads score tables and writes the paper's main table for this run's data.

    python -m scsampler_tf.evaluate main --workdir runs/mine

Prints a table of the shape of the paper's Tables 1 and 2 and writes it as JSON and Markdown. Nothing is
run again: everything is arithmetic on the score tables.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from pipelines.errors import UserError, run_command
from pipelines.files import read_json, write_json, write_text
from pipelines.index import FeatureIndex
from scsampler_tf.config import SAMPLERS, ExperimentConfig, from_dict, to_dict
from scsampler_tf.train import add_run_arguments, run_config
from scsampler_tf.workdir import Workdir

DRAWS = 100
TEST_SPLIT = "test"
TITLES = {
    "random": "Random",
    "uniform": "Uniform",
    "empirical": "Empirical",
    "dense": "Dense",
    "visual": "SCSampler, visual",
    "audio": "SCSampler, audio",
    "union_list": "SCSampler, AV-union-list",
    "convex_score": "SCSampler, AV-convex-score",
    "convex_list": "SCSampler, AV-convex-list",
    "intersect_list": "SCSampler, AV-intersect-list",
    "joint": "SCSampler, AV-joint-training",
    "oracle": "Oracle",
}


def evaluate(
    workdir: Workdir, config: ExperimentConfig, *, split: str = TEST_SPLIT, draws: int = DRAWS
) -> dict:
    """The main table of a run as plain data: rows, what was used, and the configuration."""
    from scsampler_tf.evaluation_set import evaluation_set, load_tables
    from scsampler_tf.methods import main_table

    index = workdir.index(config)
    tables = load_tables(workdir)
    data = evaluation_set(index, tables, split)
    train = evaluation_set(index, tables, "train") if index.of_split("train") else None
    rows = main_table(data, train, config.selection, network_costs(workdir), seed=config.seed, draws=draws)
    return {
        "main": {name: row.to_dict() for name, row in rows.items()},
        "used": used(index, data, tables, split, config.seed, draws),
        "config": to_dict(config),
    }


def network_costs(workdir: Workdir):
    """Multiply-adds of the run's networks, as counted when they were trained."""
    from scsampler_tf.cost import Sampler
    from scsampler_tf.methods import Costs
    from scsampler_tf.model_folder import ABOUT_NAME

    about = {
        kind: read_json(workdir.model(kind) / ABOUT_NAME)
        for kind in ("classifier", *SAMPLERS)
        if workdir.table(kind).exists()  # a network that was not scored has no part in the table
    }
    samplers = {
        kind: Sampler(values["cost"]["multiply_adds"], values["frames_per_clip"])
        for kind, values in about.items()
        if kind != "classifier"
    }
    return Costs(about["classifier"]["cost"]["multiply_adds"], samplers)


def used(index: FeatureIndex, data, tables: dict, split: str, seed: int, draws: int) -> dict:
    """What the numbers stand on: videos used and refused, networks, seeds."""
    return {
        "split": split,
        "videos": len(data.videos),
        "videos_with_sound": int(data.has_audio.any(axis=1).sum()),
        "refused": [dataclasses.asdict(item) for item in index.refused],
        "not_scored": data.missing,
        "networks": {kind: table.made_by for kind, table in tables.items()},
        "seed": seed,
        "random_draws": draws,
    }


def markdown(results: dict) -> str:
    """The table as Markdown, with a line that says what it stands on."""
    config, about = results["config"], results["used"]
    selection = config["selection"]
    localised = any("localisation" in row for row in results["main"].values())
    head = ["Method", "Accuracy", "95 % interval", "Clips / video", "GFLOPs / video"]
    head += ["Precision", "Recall"] if localised else []
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for name, row in results["main"].items():
        low, high = row["accuracy_ci"]
        cells = [TITLES[name], f"{row['accuracy']:.1%}", f"{low:.1%} - {high:.1%}"]
        cells += [f"{row['clips_per_video']:.1f}", f"{row['gflops_per_video']:.2f}"]
        if localised:
            cells += [f"{row['localisation'][key]:.1%}" for key in ("precision", "recall")]
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        f"{about['videos']} videos of split {about['split']} ({about['videos_with_sound']} with sound, "
        f"{len(about['refused'])} files refused), K={selection['K']}, K'={selection['K_prime']}, "
        f"alpha {selection['alpha']}, stride {selection['stride']}, random and empirical over "
        f"{about['random_draws']} draws. GFLOPs are 1e9 multiply-adds, sampler plus classifier."
    )
    if localised:
        note += " Precision: share of chosen clips inside the action; recall: share of the action's clips."
    return "\n".join(lines) + f"\n\n{note}\n"


def write_results(results: dict, workdir: Workdir, variant: str = "") -> list[Path]:
    """Writes results.json in the run's folder and the table in its report folder.

    A `variant` (another split, settings found by a search) goes to files of its own in the report folder.
    """
    paths = [workdir.path / "results.json", workdir.report / "main.md"]
    if variant:
        paths = [workdir.report / f"main{variant}{suffix}" for suffix in (".json", ".md")]
    write_json(paths[0], results)
    write_text(paths[1], markdown(results))
    return paths


def apply_best(
    workdir: Workdir, config: ExperimentConfig, path: str | Path | None
) -> tuple[Workdir, ExperimentConfig]:
    """The run with the selection settings, and the audio sampler, of a file that `tuning.search` wrote."""
    if path is None:
        return workdir, config
    best = read_json(path)
    if not isinstance(best, dict) or "selection" not in best:
        raise UserError(f"{path}: holds no selection settings; give the best.json of python -m tuning.search")
    config = from_dict({"selection": best["selection"]}, config)
    audio = best.get("audio")
    if not audio:
        return workdir, config
    found = workdir.path / audio.get("folder", ""), workdir.path / audio.get("table", "")
    if not (found[0].is_dir() and found[1].is_file()):
        raise UserError(f"{path}: its audio sampler is not in this run; run python -m tuning.search on it")
    own = workdir.model("audio"), workdir.table("audio")
    return (workdir if found == own else workdir.with_network("audio", *found)), config


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.evaluate", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument(
        "table", nargs="?", default="main", choices=("main",), help="which table (default main)"
    )
    parser.add_argument("--split", default=TEST_SPLIT, choices=("train", "val", "test"))
    parser.add_argument(
        "--draws", type=int, default=DRAWS, help=f"seeds of the random baselines (default {DRAWS})"
    )
    parser.add_argument("--best", metavar="FILE", help="settings found by tuning.search")
    add_run_arguments(parser)
    args = parser.parse_args(argv)

    def body():
        workdir, config = run_config(args)
        workdir, config = apply_best(workdir, config, args.best)
        results = evaluate(workdir, config, split=args.split, draws=args.draws)
        print(markdown(results))
        variant = ("" if args.split == TEST_SPLIT else f"-{args.split}") + ("-best" if args.best else "")
        for path in write_results(results, workdir, variant):
            print(path)

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
