"""Searches the settings of a run that do best on its validation videos.

    python -m tuning.search --workdir runs/mine --max-trials 20 --max-minutes 30

A trial is one set of trained samplers (objective, margin, K_tr, learning rate); with it every setting that
costs no training (fusion, K, K', alpha, stride) is tried on the score tables. The same command goes on with a
search that was interrupted. What is found is a file for --config of `evaluate`, `export` and `predict`:
WORKDIR/tuning/best.json, others along the Pareto front.
"""

import argparse
import sys

from pipelines.errors import UserError, run_command
from scsampler_tf.config import SAMPLERS, ExperimentConfig
from scsampler_tf.workdir import Workdir, open_workdir
from tuning.options import COMBINATIONS, KEEP, OBJECTIVES, TRIALS, TUNERS, Options


def search(workdir: Workdir, config: ExperimentConfig, options: Options) -> dict | None:
    """Runs or goes on with a search; returns what best.json holds, None in a worker of several processes.

    Raises `UserError` for what the run lacks: score tables, samplers, validation videos.
    """
    from tuning.team import role
    from tuning.tuner import require_packages

    here = role()
    require_packages(options.tuner, here is not None)
    from tuning.study import Study, too_dear
    from tuning.trials import FOLDER, Trials

    study = Study(workdir, config, options)
    if options.max_gflops is not None and not study.affordable():
        raise UserError(too_dear(study))
    trials = Trials(study, here)
    if here is not None and not here.chief:
        trials.work()
        return None
    from pipelines.folder_lock import only_writer

    with only_writer(workdir.path / FOLDER):
        return trials.run()


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = _parser().parse_args(argv)

    def body():
        names = [name for name in Options.__dataclass_fields__ if hasattr(args, name)]
        given = {name: getattr(args, name) for name in names}
        for name in ("train", "clips"):
            given[name] = None if given[name] is None else tuple(given[name])
        options = Options(**given)
        workdir, config = open_workdir(args.workdir)
        if args.restore:
            from tuning.restoring import restore

            for folder in restore(workdir, config, args.restore, options.workers, False):
                print(folder)
            return
        search(workdir, config, options)

    return run_command(body)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tuning.search", description=__doc__.split("\n\n")[0])
    parser.add_argument("--workdir", required=True, help="folder of a finished run")
    parser.add_argument("--tuner", choices=TUNERS, default="random", help="what proposes samplers")
    parser.add_argument(
        "--objective",
        choices=OBJECTIVES,
        default=OBJECTIVES[0],
        help=f"what counts (default {OBJECTIVES[0]})",
    )
    parser.add_argument("--max-gflops", type=float, metavar="X", help="GFLOPs that a video may cost")
    parser.add_argument(
        "--train",
        nargs="*",
        metavar="KIND",
        help=f"samplers to train again, of {', '.join(SAMPLERS)}; none: nothing is trained (default: those "
        "that the run has trained with a SAL objective)",
    )
    parser.add_argument("--max-trials", type=int, default=TRIALS, help=f"sets of samplers (default {TRIALS})")
    parser.add_argument("--max-trainings", type=int, metavar="M", help="samplers to train at most")
    parser.add_argument("--max-minutes", type=float, metavar="T", help="when to stop, to be gone on with")
    parser.add_argument("--clips", type=int, nargs="+", metavar="K", help="numbers of clips to try")
    parser.add_argument("--free-budget", type=int, metavar="N", help="free settings a trial (default all)")
    parser.add_argument(
        "--combinations",
        type=int,
        default=COMBINATIONS,
        metavar="N",
        help=f"sets of trained samplers to try beside the trials (default {COMBINATIONS})",
    )
    parser.add_argument(
        "--keep", type=int, default=KEEP, help=f"trained networks that are kept (default {KEEP})"
    )
    parser.add_argument("--no-test", dest="test", action="store_false", help="leave the test videos alone")
    parser.add_argument("--seed", type=int, default=0, help="seed of the tuner (default 0)")
    parser.add_argument("--workers", type=int, default=2, help="decoding processes (default 2)")
    parser.add_argument(
        "--lost-after",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds until a silent worker is given up",
    )
    parser.add_argument("--restore", metavar="FILE", help="only train again what these settings need")
    return parser


if __name__ == "__main__":
    sys.exit(main())
