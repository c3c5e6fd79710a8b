"""A classifier's ways from file to label, in turns on every file: seconds of all parts, work, what limits."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from benchmarks.end_to_end_setups import Setup
from benchmarks.file_to_label import Answer, Classifier, SCSampler, dense, random, scsampler, uniform
from pipelines.compressed import CompressedVideo
from pipelines.extraction import clips_with_sound
from pipelines.settings import FeatureSettings
from scsampler_tf.cost import GIGA, Sampler, count, video_gflops

Run = Callable[[Path, int], Answer]
"""A way from a file to a label; the number is a seed."""


@dataclass(frozen=True)
class Effort:
    """At most `rounds` in which all ways have their turn on a file; none begins after `budget_s` seconds."""

    rounds: int
    budget_s: float


def figures(setup: Setup, files: Sequence[Path], warm: Sequence[Path], effort: Effort) -> dict:
    """All figures of a classifier as plain data; `warm` are short files that everything sees beforehand."""
    keras.utils.clear_session()
    f = Classifier(setup.config)
    samplers = {name: SCSampler(f, config) for name, config in setup.sampled.items()}
    runs = _runs(f, samplers, setup)
    for path in warm:
        for run in runs.values():
            run(path, 0)
    for path in files:
        for model in samplers.values():
            _hear(path, model.config.features)
    multiply_adds = count(f.network).multiply_adds
    costs = {name: list(model.costs.values()) for name, model in samplers.items()}
    rows = [row for path in files for row in file_rows(path, runs, multiply_adds, costs, effort)]
    return {
        "classifier": setup.name,
        "network": f"{setup.config.classifier.arch} {'x'.join(map(str, f.network.input_shape[1:]))}",
        "gflops": multiply_adds / GIGA,
        "samplers": {name: _told(model) for name, model in samplers.items()},
        "rows": rows,
        "alone": [
            {"method": name, **features_alone(files[0], model.config.features)}
            for name, model in samplers.items()
        ],
        "limits": [limits(row, rows) for row in rows if row["method"] in samplers],
    }


def _runs(f: Classifier, samplers: dict[str, SCSampler], setup: Setup) -> dict[str, Run]:
    k = setup.config.selection.K
    return {
        "dense": lambda path, seed: dense(path, f, setup.most),
        **{name: lambda path, seed, model=model: scsampler(path, model) for name, model in samplers.items()},
        "uniform": lambda path, seed: uniform(path, f, k),
        "random": lambda path, seed: random(path, f, k, seed),
    }


def file_rows(
    path: Path, runs: dict[str, Run], classifier: int, costs: dict[str, list[Sampler]], effort: Effort
) -> list[dict]:
    """A row for each way: that of its runs whose seconds are the (lower) median, and its work.

    `classifier` is multiply-adds of a clip; `costs` are those of the samplers by the name of the way.
    """
    answers: dict[str, list[Answer]] = {name: [] for name in runs}
    start = time.perf_counter()
    for number in range(effort.rounds):
        if number and time.perf_counter() - start >= effort.budget_s:
            break
        # Each round begins with another one, so that none always follows the same.
        names = list(runs)[number % len(runs) :] + list(runs)[: number % len(runs)]
        for name in names:
            answers[name].append(runs[name](path, number))
    base = middle(answers["dense"])
    return [
        {
            "file": path.name,
            "method": name,
            "rounds": len(answers[name]),
            "clips": own.clips,
            "classified": own.classified,
            "measured": own.measured,
            "seconds": own.seconds,
            "processor_s": own.processor_s,
            "parts": own.parts,
            "gflops": video_gflops(
                own.clips, classifier=classifier, chosen=own.classified, samplers=costs.get(name, ())
            ),
            "times_faster": base.seconds / own.seconds,
            "times_less_processor": base.processor_s / own.processor_s,
        }
        for name, own in ((name, middle(answers[name])) for name in runs)
    ]


def middle(answers: Iterable[Answer]) -> Answer:
    """The one of median seconds, of an even number the faster of the middle two: its parts fit its whole."""
    ordered = sorted(answers, key=lambda answer: answer.seconds)
    return ordered[(len(ordered) - 1) // 2]


def limits(row: dict, rows: Sequence[dict]) -> dict:
    """How many times faster than dense evaluation a way of `rows` could be at most, on the same file.

    `endless`: in a video so long that its K clips no longer count. `free_features`, `free_sampling`: on
    this file, if that part took no time.
    """
    base = next(each for each in rows if (each["file"], each["method"]) == (row["file"], "dense"))
    parts = row["parts"]
    return {
        "file": row["file"],
        "method": row["method"],
        "endless": base["seconds"] / (parts["features"] + parts["sampling"]),
        "free_features": base["seconds"] / (row["seconds"] - parts["features"]),
        "free_sampling": base["seconds"] / (row["seconds"] - parts["sampling"]),
    }


def features_alone(path: Path, settings: FeatureSettings) -> dict:
    """Seconds to read a file's features and do nothing with them, and how many times faster it plays."""
    video = CompressedVideo(path, settings)
    start = time.perf_counter()
    clips = sum(1 for _ in clips_with_sound(path, video, settings))
    seconds = time.perf_counter() - start
    length = video.timing.seconds(video.timing.count)
    return {
        "file": path.name,
        "policy": video.policy,
        "clips": clips,
        "seconds": seconds,
        "times_real_time": length / seconds,
    }


def _hear(path: Path, settings: FeatureSettings) -> None:
    """Reads the first clips: the sound of every frame rate has a graph of its own, made at first sight."""
    clips = clips_with_sound(path, CompressedVideo(path, settings), settings)
    next(clips)
    clips.close()


def _told(model: SCSampler) -> dict[str, dict]:
    """What the samplers are: network, inputs a clip, GFLOPs of an input."""
    config = model.config
    return {
        kind: {
            "network": f"{getattr(config, kind).arch} {'x'.join(map(str, shape))}",
            "inputs": cost.examples_per_clip,
            "gflops": cost.multiply_adds / GIGA,
        }
        for kind, cost, shape in ((kind, cost, model.shapes[kind]) for kind, cost in model.costs.items())
    }
