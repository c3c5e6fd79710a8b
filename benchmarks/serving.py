"""The local server under load: latency, throughput, memory, and what it costs beside the model itself.

    python -m benchmarks.serving --minutes 5 --clients 64
    python -m benchmarks.serving --model-base saved_models --name scsampler

Everything runs on this machine and its loopback address. Each client asks `sample` for a video and then
`classify` for its chosen clips, again and again. Without --model-base a model of freshly initialised
networks is made, whose answers mean nothing and cost what they cost.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from urllib.parse import urlsplit

import numpy as np

from benchmarks.machine import machine, usable_cores
from benchmarks.markdown import header, table
from benchmarks.serving_load import Load, run_load
from benchmarks.serving_model import KINDS, bodies_of, inputs_of
from pipelines.errors import UserError, run_command
from scsampler_tf.serving.model_base import versions_on_disk

FLAT = 0.05  # of the memory after the first fifth of the time; the last fifth may hold so much more


def measure(version: Path, arguments: argparse.Namespace) -> dict:
    """All figures of one run against the model in `version`."""
    threads = arguments.threads
    inputs = inputs_of(version, arguments.clips)
    bodies = bodies_of(inputs, packed=arguments.packed)
    seconds = 60 * arguments.minutes
    with serving(version.parent.parent, threads) as (process, url):
        path = f"/v1/models/{version.parent.name}"
        place = urlsplit(url)
        send = (place.hostname, place.port, path, bodies, arguments.packed)
        run_load(*send, clients=threads, seconds=min(5.0, seconds / 4), process=process)  # warms up
        load = run_load(*send, clients=arguments.clients, seconds=seconds, process=process)
    if not load.answered:
        raise UserError(f"{url}: not one request was answered: {dict(load.failures)}")
    alone = _own_process("in process", version, arguments.clips, threads, max(2.0, min(60.0, seconds / 4)))
    served = {
        "requests_per_s": load.answered / load.elapsed_s,
        "processor_s": load.processor_s / load.answered,
    }
    return {
        "load": load,
        "served": served,
        "alone": json.loads(alone),
        "bytes": {k: len(bodies[k]) for k in KINDS},
    }


@contextlib.contextmanager
def serving(base: Path, threads: int) -> Iterator[tuple[int, str]]:
    """The local server as a process of its own: its number and address."""
    command = [sys.executable, "-m", "scsampler_tf.serving.server", "--port", "0", "--no-page"]
    command += ["--model-base", str(base), "--threads", str(threads)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise UserError(f"{base}: the server did not start; see python -m scsampler_tf.serving.server")
        yield process.pid, line.split()[-1]
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(60)


def _own_process(task: str, *words) -> str:
    command = [sys.executable, "-m", "benchmarks.serving_model", task, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{task}: failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.splitlines()[-1]


def report(found: dict, arguments: argparse.Namespace) -> str:
    """The figures as Markdown."""
    load: Load = found["load"]
    about = machine(
        clients=str(arguments.clients), minutes=f"{arguments.minutes:g}", threads=str(arguments.threads)
    )
    sizes = ", ".join(f"{kind} {count / 1024:.0f} KiB" for kind, count in found["bytes"].items())
    lines = [header(about), "", f"Requests for a video of {arguments.clips} clips: {sizes}.", ""]
    rows = []
    for kind, seconds in load.seconds.items():
        points = np.percentile(seconds, (50, 95, 99)) * 1000 if seconds else [np.nan] * 3
        rows.append([kind, str(len(seconds)), *(f"{value:.0f}" for value in points)])
    lines += table(["request", "answered", "p50 ms", "p95 ms", "p99 ms"], rows)
    failed = ", ".join(f"{name}: {count}" for name, count in load.failures.items()) or "none"
    lines += [f"Failed requests: {failed}.", ""]
    lines += table(
        ["", "requests a second", "processor ms a request"],
        [
            [name, f"{figures['requests_per_s']:.1f}", f"{figures['processor_s'] * 1000:.1f}"]
            for name, figures in (("served", found["served"]), ("in process", found["alone"]))
        ],
    )
    more = found["served"]["processor_s"] / found["alone"]["processor_s"] - 1
    slower = found["alone"]["requests_per_s"] / found["served"]["requests_per_s"] - 1
    lines += [
        f"Overhead: {more:+.0%} processor time, {slower:+.0%} time by the clock (clients included).",
        "",
    ]
    return "\n".join([*lines, *memory_lines(load)])


def memory_lines(load: Load) -> list[str]:
    """The server's memory at ten moments, and whether it stays as it is."""
    picked = [load.memory[place] for place in np.linspace(0, len(load.memory) - 1, 10).astype(int)]
    rows = [[f"{mib:.0f}" for _, mib in picked]]
    early, late = (mean(mib for _, mib in part) for part in _fifths(load.memory))
    word = "flat" if late <= early * (1 + FLAT) else "growing"
    said = f"Memory: {word}, {early:.0f} MiB in the second fifth of the time, {late:.0f} MiB in the last."
    return [*table([f"MiB at {seconds:.0f} s" for seconds, _ in picked], rows), said]


def _fifths(memory: list[tuple[float, float]]) -> tuple[list, list]:
    count = max(1, len(memory) // 5)
    return memory[count : 2 * count] or memory[:1], memory[-count:]


def model_version(arguments: argparse.Namespace, folder: Path) -> Path:
    """The newest version of the model that is asked for, or one made in `folder`."""
    if arguments.model_base is None:
        return Path(_own_process("write", folder, arguments.preset))
    versions = versions_on_disk(arguments.model_base / arguments.name)
    if not versions:
        raise UserError(f"{arguments.model_base / arguments.name}: no exported model here")
    return versions[max(versions)].resolve()


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--model-base", type=Path, help="folder of exported models; none: one is made")
    parser.add_argument("--name", default="scsampler", help="name of the model (scsampler)")
    parser.add_argument("--preset", default="small", help="of the networks that are made (small)")
    parser.add_argument("--clients", type=int, default=64, help="at a time (64)")
    parser.add_argument("--minutes", type=float, default=5.0, help="of load (5)")
    parser.add_argument("--clips", type=int, default=20, help="of the video in a request (20)")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of the server (one a processor)")
    parser.add_argument("--packed", action="store_true", help="bodies are gzipped, as for servers elsewhere")
    arguments = parser.parse_args(argv)
    for name in ("clients", "minutes", "clips", "threads"):
        if getattr(arguments, name) <= 0:
            parser.error(f"--{name} must be positive")

    def body() -> None:
        with tempfile.TemporaryDirectory(prefix="serving-") as folder:
            print(report(measure(model_version(arguments, Path(folder)), arguments), arguments))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())
