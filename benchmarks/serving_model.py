"""A model to serve and the requests of a client, for `benchmarks.serving`; and the same without a server."""

import gzip
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np

from pipelines.files import read_json
from pipelines.settings import MEL_BINS, MEL_FRAMES, FeatureSettings, settings_from_dict
from pipelines.wire import pack_log_mel, pack_md, pack_strip
from scsampler_tf.predict import CLIP_QUALITY

ABOUT = "assets.extra/scsampler.json"
KINDS = ("sample", "classify")  # the two requests of a client for a video of so many clips


def write_model(base: Path, preset: str) -> Path:
    """Exports freshly initialised networks of a preset under `base`; returns the version folder."""
    import tensorflow as tf

    from benchmarks.network_cases import CLASSES, build, classifier, samplers
    from scsampler_tf import config as configs
    from scsampler_tf.composite import Composite
    from scsampler_tf.models.sampler import AC
    from scsampler_tf.serving.warmup import write_warmup

    config = configs.preset(preset)
    about = {
        "labels": [f"class {number}" for number in range(CLASSES)],
        "features": configs.to_dict(config)["features"],
        "clip_size": config.classifier.size,
        "selection": configs.to_dict(config)["selection"],
    }
    networks = {
        kind: (build(case, CLASSES if objective == AC else 1), objective)
        for kind, (case, objective, _) in samplers(config).items()
    }
    f = build(classifier(config))
    graph = Composite(f, networks, config.features, config.selection, about["labels"], about)
    version = base / "scsampler" / "1"
    tf.saved_model.save(graph, str(version), signatures=graph.signatures())
    (version / ABOUT).parent.mkdir()
    (version / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    write_warmup(version, config.features, *f.input_shape[1:3])
    return version


def inputs_of(version: Path, clips: int) -> dict[str, dict[str, list]]:
    """Inputs of both requests for one video of `clips` clips, as bytes; what is seen costs the same."""
    about = read_json(version / ABOUT)
    settings = settings_from_dict(about["features"])
    rng = np.random.default_rng(0)
    size, frames = about["clip_size"], settings.clip_frames
    chosen = min(about["selection"]["K"], clips)
    strips = [pack_strip(_pictures(rng, frames, size), CLIP_QUALITY) for _ in range(chosen)]
    weights = {"saliency": [[0.0] * chosen]} if about["selection"].get("temperature") else {}
    return {
        "sample": {**_features(rng, settings, clips), "mask": [[True] * clips]},
        "classify": {"clips": [strips], **weights},
    }


def _features(rng: np.random.Generator, settings: FeatureSettings, clips: int) -> dict[str, list]:
    grid, side = settings.grid, settings.residual_size
    moved = (settings.md_cells, grid, grid, 2)
    return {
        "md": [[pack_md(rng.integers(-64, 65, moved)) for _ in range(clips)]],
        "rgb_r": [
            [
                pack_strip(_pictures(rng, settings.residual_cells, side), settings.jpeg_quality)
                for _ in range(clips)
            ]
        ],
        "log_mel": [[pack_log_mel(rng.normal(size=(MEL_BINS, MEL_FRAMES))) for _ in range(clips)]],
    }


def _pictures(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Smooth pictures with some noise, which JPEG packs about as far as it packs videos."""
    ramp = np.linspace(60, 190, size)[:, None] + rng.normal(0, 3, (count, size, size))
    return np.repeat(ramp[..., None], 3, -1).clip(0, 255).astype(np.uint8)


def bodies_of(inputs: dict[str, dict[str, list]], packed: bool) -> dict[str, bytes]:
    """The requests' bodies as `scsampler_tf.serving.client` writes them."""
    from scsampler_tf.serving.client import PACKING, encode

    plain = {}
    for name, values in inputs.items():
        document = {"signature_name": name, "inputs": {key: encode(value) for key, value in values.items()}}
        plain[name] = json.dumps(document).encode()
    return {name: gzip.compress(body, PACKING, mtime=0) if packed else body for name, body in plain.items()}


def in_process(version: Path, clips: int, threads: int, seconds: float) -> dict:
    """Answers a second and processor seconds an answer of the model in this process, in `threads` threads."""
    import tensorflow as tf

    from scsampler_tf.serving.loaded_model import LoadedModel

    model = LoadedModel(version)
    inputs = inputs_of(version, clips)
    arrays = {
        kind: {name: tf.constant(value).numpy() for name, value in inputs[kind].items()} for kind in KINDS
    }
    counts, end = [0] * threads, threading.Event()

    def work(number: int) -> None:
        while not end.is_set():
            for kind in KINDS:
                model.run(kind, arrays[kind])
            counts[number] += len(KINDS)

    for kind in KINDS:
        model.run(kind, arrays[kind])
    begun, used = time.perf_counter(), time.process_time()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    end.set()
    for worker in workers:
        worker.join()
    total = sum(counts)
    return {
        "requests_per_s": total / (time.perf_counter() - begun),
        "processor_s": (time.process_time() - used) / total,
    }


if __name__ == "__main__":  # in a process of its own: `benchmarks.serving` itself does not load TensorFlow
    task, folder, *rest = sys.argv[1:]
    if task == "write":
        print(write_model(Path(folder), rest[0]))
    else:
        print(json.dumps(in_process(Path(folder), int(rest[0]), int(rest[1]), float(rest[2]))))
