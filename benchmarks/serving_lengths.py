"""Decoding and classifying K chosen clips of short and long videos: it must take the same time.

    python -m benchmarks.serving_lengths

The exported graph without samplers, whose work does grow with the video: what is left of `serving_default` is
choosing, gathering, decoding and classifying. All clips travel as JPEG strips; only chosen ones are decoded.
"""

import argparse
import sys

import numpy as np
import tensorflow as tf

from benchmarks.machine import machine
from benchmarks.markdown import header, table
from benchmarks.network_cases import CLASSES, build, classifier
from benchmarks.timing import medians, ratio, turns
from pipelines.errors import run_command
from pipelines.wire import pack_strip
from scsampler_tf import config as configs
from scsampler_tf.composite import Composite
from scsampler_tf.predict import CLIP_QUALITY

LENGTHS = (20, 500)


def graphs(preset: str, k: int):
    """The signatures of a preset's classifier, and a strip `bytes` of one clip."""
    config = configs.with_settings(configs.preset(preset), [f"selection.K={k}", "selection.K_prime=0"])
    f = build(classifier(config))
    labels = [f"class {number}" for number in range(CLASSES)]
    graph = Composite(f, {}, config.features, config.selection, labels, {})
    frames, size = f.input_shape[1:3]
    noise = np.random.default_rng(0).integers(90, 160, (frames, size, size, 3)).astype(np.uint8)
    return graph.signatures(), pack_strip(noise, CLIP_QUALITY)


def measure(preset: str, k: int, rounds: int) -> str:
    """The table as Markdown."""
    signatures, strip = graphs(preset, k)

    def asking(length: int):
        empty = tf.constant([[b""] * length])
        inputs = {"md": empty, "rgb_r": empty, "log_mel": empty, "mask": tf.constant([[True] * length])}
        inputs["clips"] = tf.constant([[strip] * length])
        return lambda: signatures["serving_default"](**inputs)["probabilities"].numpy()

    runs = {f"serving_default, L = {length}": asking(length) for length in LENGTHS}
    chosen = tf.constant([[strip] * k])
    runs[f"classify, K = {k}"] = lambda: signatures["classify"](clips=chosen)["probabilities"].numpy()
    spent = turns(runs, rounds)
    base = spent[f"serving_default, L = {LENGTHS[0]}"]
    rows = []
    for name, each in spent.items():
        middle, times = medians(each), ratio(each, base)
        rows.append(
            [name, *(f"{value * 1000:.1f}" for value in middle), *(f"{value:.2f}" for value in times)]
        )
    columns = [
        "request",
        "ms by the clock",
        "ms of processors",
        "times L = 20, clock",
        "times L = 20, processors",
    ]
    return "\n".join([header(machine(preset=preset, rounds=str(rounds))), "", *table(columns, rows)])


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving_lengths", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--preset", default="small", help="whose classifier (small)")
    parser.add_argument("--K", type=int, default=10, help="clips to classify (10)")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each (15)")
    arguments = parser.parse_args(argv)
    return run_command(lambda: print(measure(arguments.preset, arguments.K, arguments.rounds)))


if __name__ == "__main__":
    sys.exit(main())
