"""What networks cost: a clip's way through ours, against torchvision's in PyTorch and against samplers.

    python -m benchmarks.models [--arch NAME ...] [--backend NAME] [--json FILE]

All libraries use every core that the process may use, on the CPU; `taskset -c 0` before the command gives
them one. Figures of one run are comparable with each other, those of different runs are not.
"""

import argparse
import math
import sys
from collections.abc import Sequence

from benchmarks import keras_forward, torch_networks
from benchmarks.keras_forward import BACKENDS, choose_backend
from benchmarks.machine import machine, usable_cores
from benchmarks.markdown import cell, header, table
from benchmarks.network_cases import (
    CASES,
    CLASSES,
    PAIRINGS,
    Case,
    Pairing,
    build,
    chosen,
    classifier,
    pictures,
    samplers,
)
from benchmarks.timing import medians, ratio, turns
from pipelines.errors import UserError, run_command
from pipelines.files import write_json

FULL = {"rounds": 15, "budget_s": 5}
QUICK = {"rounds": 1, "budget_s": 0}
BATCHES = (1, 8)
SLOW = 1.2
"""Ours is called slow where it takes this many times PyTorch's time."""
SECTIONS = ("forward", "pairs")
SMALL = ("r2plus1d_small", "csn_small", "s3d_small", "resnet_small", "vgg_audio_small")
THEIRS = {"PyTorch": False, "PyTorch, channels last": True}


def measure(cases: Sequence[Case], pairings: Sequence[Pairing], effort: dict) -> dict:
    """All figures as plain data; `effort` is what `timing.turns` takes."""
    own = keras_forward.versions()
    left_out = torch_networks.missing()
    if own["device"] != "cpu":
        left_out = f"Keras runs on a {own['device']}, so the columns of PyTorch on the CPU are left out"
    theirs = {} if left_out else torch_networks.versions()
    found = {"machine": machine(cores=usable_cores(), **(theirs | own)), "left_out": left_out}
    found["forward"] = [forward(case, batch, not left_out, effort) for case in cases for batch in BATCHES]
    found["pairs"] = [row for pairing in pairings for row in pairs(pairing, effort)]
    return found


def forward(case: Case, batch: int, with_theirs: bool, effort: dict) -> dict:
    """Milliseconds an example of one network, and the ratio of it to PyTorch's where that has it too."""
    import keras

    from scsampler_tf import cost

    keras.utils.clear_session()
    network, seen = build(case), pictures(case, batch)
    runs = {"ours": keras_forward.forward(network, seen)}
    if with_theirs and case.arch in torch_networks.MODULES and case.shape[-1] == 3:
        for name, last in THEIRS.items():
            runs[name] = torch_networks.forward(case.arch, CLASSES, seen, usable_cores(), last)
    spent = turns(runs, **effort)
    took = medians(spent["ours"])
    multiply_adds = cost.count(network).multiply_adds
    return {
        "network": case.title,
        "batch": batch,
        "ms": took.clock_s / batch * 1000,
        "gflops": multiply_adds / cost.GIGA,
        "gflops_per_s": multiply_adds * batch / took.clock_s / cost.GIGA,
        "rounds": len(spent["ours"]),
        "ratios": {name: ratio(spent["ours"], spent[name])._asdict() for name in runs if name != "ours"},
    }


def pairs(pairing: Pairing, effort: dict) -> list[dict]:
    """What a clip costs the classifier over what it costs each sampler of a run, in work and in time."""
    import keras

    from scsampler_tf import cost

    keras.utils.clear_session()
    case, clips = classifier(pairing.config), pairing.clips
    network = build(case)
    runs = {"classifier": keras_forward.forward(network, pictures(case, clips))}
    work = {"classifier": cost.count(network).multiply_adds}
    about = samplers(pairing.config)
    for kind, (sampler, objective, examples) in about.items():
        network = build(sampler, CLASSES if objective == "ac" else 1)
        runs[kind] = keras_forward.forward(network, pictures(sampler, clips * examples))
        work[kind] = cost.count(network).multiply_adds * examples
    spent = turns(runs, **effort)
    return [
        {
            "settings": pairing.name,
            "clips": clips,
            "classifier": case.title,
            "sampler": sampler.title,
            "examples": examples,
            "classifier_ms": medians(spent["classifier"]).clock_s / clips * 1000,
            "sampler_ms": medians(spent[kind]).clock_s / clips * 1000,
            "work_ratio": work["classifier"] / work[kind],
            "time_ratio": ratio(spent["classifier"], spent[kind])._asdict(),
        }
        for kind, (sampler, _, examples) in about.items()
    ]


def slow(rows: Sequence[dict]) -> list[str]:
    """Networks that take more than `SLOW` times what the faster form of PyTorch's does, by the clock."""
    return [
        f"{row['network']} in batches of {row['batch']}: {worst:.2f}"
        for row in rows
        if (worst := max((each["clock_s"] for each in row["ratios"].values()), default=-math.inf)) > SLOW
    ]


def report(found: dict) -> str:
    """The figures as Markdown tables."""
    lines = [header(found["machine"]), ""]
    if found["left_out"]:
        lines += [f"{found['left_out']}.", ""]
    if found["forward"]:
        lines += _forward_table(found["forward"], with_theirs=not found["left_out"])
    if found["forward"] and not found["left_out"]:
        names = "; ".join(slow(found["forward"])) or "none"
        lines += [f"More than {SLOW} times PyTorch's time (the faster of both): {names}.", ""]
    if found["pairs"]:
        columns = ["settings", "clips at once", "classifier", "sampler", "inputs a clip"]
        columns += ["classifier, ms a clip", "sampler, ms a clip"]
        columns += ["multiply-adds, ratio", "time, ratio", "processor time, ratio"]
        lines += table(columns, map(_pair_row, found["pairs"]))
    return "\n".join(lines)


def _forward_table(rows: Sequence[dict], with_theirs: bool) -> list[str]:
    names = list(THEIRS) if with_theirs else []
    columns = ["network", "batch", "ms each", "G multiply-adds", "G a second", "rounds"]
    columns += [f"{kind} / {name}" for name in names for kind in ("time", "processor time")]
    return table(
        columns,
        [
            [cell(row[key]) for key in ("network", "batch", "ms", "gflops", "gflops_per_s", "rounds")]
            + [_ratio(row["ratios"].get(name), kind) for name in names for kind in ("clock_s", "processor_s")]
            for row in rows
        ],
    )


def _ratio(both: dict | None, kind: str) -> str:
    return f"{both[kind]:.2f}" if both else ""


def _pair_row(row: dict) -> list[str]:
    keys = ("settings", "clips", "classifier", "sampler", "examples")
    keys += ("classifier_ms", "sampler_ms", "work_ratio")
    return [*(cell(row[key]) for key in keys), *map(cell, row["time_ratio"].values())]


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--arch", action="append", help="measure this network (repeatable; default: those of the paper)"
    )
    parser.add_argument("--backend", choices=BACKENDS, help="what Keras runs on (default: as it is set up)")
    parser.add_argument("--json", help="write the figures to this file, as data")
    parser.add_argument("--quick", action="store_true", help="one round, small networks: whether it runs")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, help="sections (default: all; with --arch only forward)"
    )
    args = parser.parse_args(argv)

    def body() -> None:
        choose_backend(args.backend)
        only = args.only or (["forward"] if args.arch else SECTIONS)
        if args.arch and "forward" not in only:
            raise UserError("--arch chooses networks of the section forward; add it to --only")
        cases = chosen(args.arch or SMALL) if args.arch or args.quick else list(CASES)
        pairings = [each for each in PAIRINGS if each.name == "small" or not args.quick]
        found = measure(
            cases if "forward" in only else [],
            pairings if "pairs" in only else [],
            QUICK if args.quick else FULL,
        )
        print(report(found))
        if args.json:
            write_json(args.json, found)

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
