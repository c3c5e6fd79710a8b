"""Searches the settings of a run that do best on its validation videos.

    python -m tuning.search --workdir runs/mine --max-trials 50

K, K', alpha, fusion scheme and stride are tried on the score tables, in milliseconds; each new margin of the
ranking loss trains and scores the audio sampler once. The same command goes on with a search that was
interrupted. The result, WORKDIR/tuning/best.json, is for `evaluate --best` and `export --best`.
"""

import argparse
import dataclasses
import importlib.util
import sys

from pipelines.errors import UserError, run_command
from scsampler_tf.config import ExperimentConfig
from scsampler_tf.workdir import Workdir, open_workdir
from tuning.spaces import make_space

TUNERS = ("random", "bayesian", "grid")


def search(
    workdir: Workdir,
    config: ExperimentConfig,
    *,
    tuner: str = "random",
    max_trials: int,
    seed: int = 0,
    clips: tuple[int, ...] | None = None,
    max_trainings: int | None = None,
    workers: int = 2,
    quiet: bool = False,
) -> dict:
    """Runs or goes on with a search until `max_trials` trials are done; returns what best.json holds.

    `clips` are the K to try; at most `max_trainings` audio samplers are trained. Raises `UserError` for
    what the run lacks: score tables, samplers, validation videos.
    """
    require_packages(tuner)
    if max_trials < 1:
        raise UserError(f"--max-trials {max_trials}: give 1 or more")
    from tuning.study import Study
    from tuning.trials import Trials

    study = Study(workdir, config, workers, quiet)
    space = make_space(
        config.selection,
        study.own_margin,
        visual=study.validation.visual is not None,
        audio=study.validation.audio is not None,
        longest=study.validation.mask.shape[1],
        clips=clips,
        max_trainings=max_trainings,
    )
    about = {"tuner": tuner, "seed": seed, "space": dataclasses.asdict(space)}
    return Trials(study, space, about, max_trials).run()


def require_packages(tuner: str) -> None:
    """Raises `UserError` where the optional packages are missing."""
    needed = {"keras_tuner": "keras-tuner"}
    if tuner == "bayesian":
        needed |= {"scipy": "scipy", "sklearn": "scikit-learn"}
    for module, name in needed.items():
        if importlib.util.find_spec(module) is None:
            raise UserError(f"{name} is not installed; run pip install 'scsampler-tf[tuning]'")


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tuning.search", description=__doc__.split("\n\n")[0])
    parser.add_argument("--workdir", required=True, help="folder of a finished run")
    parser.add_argument("--max-trials", type=int, required=True, help="settings to try, in all")
    parser.add_argument("--tuner", choices=TUNERS, default="random", help="what proposes settings")
    parser.add_argument("--seed", type=int, default=0, help="seed of the tuner (default 0)")
    parser.add_argument("--clips", type=int, nargs="+", metavar="K", help="numbers of clips to try")
    parser.add_argument(
        "--max-trainings", type=int, metavar="M", help="audio samplers to train at most; 0 for none"
    )
    parser.add_argument("--workers", type=int, default=2, help="decoding processes (default 2)")
    args = parser.parse_args(argv)

    def body():
        require_packages(args.tuner)
        if args.seed < 0:
            raise UserError(f"--seed {args.seed}: give 0 or more")
        workdir, config = open_workdir(args.workdir)
        search(
            workdir,
            config,
            tuner=args.tuner,
            max_trials=args.max_trials,
            seed=args.seed,
            clips=tuple(args.clips) if args.clips else None,
            max_trainings=args.max_trainings,
            workers=args.workers,
        )

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
