"""The ways from a video file to its label, each with the seconds that its parts take."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.network_cases import CLASSES, build, classifier, samplers
from pipelines.clips import ClipPlan, require_clips
from pipelines.decoding import center_crop
from pipelines.video import decode_clips, iter_clips, scan_times
from scsampler_tf.composite import Composite
from scsampler_tf.config import ExperimentConfig, to_dict
from scsampler_tf.cost import Sampler, count
from scsampler_tf.models.sampler import AC
from scsampler_tf.predict import predict
from scsampler_tf.selection import random_clips, uniform_clips

PARTS = ("features", "sampling", "decoding", "classifying")
BATCH = 8  # clips that dense evaluation classifies at once; bounds its memory
WAITED_FOR = {"score": "features", "select": "sampling", "classify": "decoding"}
DONE_BY = {"score": "sampling", "select": "sampling", "classify": "classifying"}


class Stages:
    """What each part of a run takes, by the clock and on the processors; none is left out.

    `clock` adds up to the run's seconds, `processor` to those of all its threads together.
    """

    def __init__(self) -> None:
        self.clock, self.processor = dict.fromkeys(PARTS, 0.0), dict.fromkeys(PARTS, 0.0)
        self._since = time.perf_counter(), time.process_time()

    def note(self, part: str) -> None:
        """Counts what passed since the last note, or since the start, towards `part`."""
        now = time.perf_counter(), time.process_time()
        self.clock[part] += now[0] - self._since[0]
        self.processor[part] += now[1] - self._since[1]
        self._since = now


@dataclass(frozen=True)
class Answer:
    """What a run found and took: `[classes]` probabilities, the video's clips, how many were classified.

    `measured` is how many were classified while the clock ran; where it is fewer, what "classifying" takes
    is scaled to all of them, in `parts` (by the clock) as in `processor_s`.
    """

    probabilities: np.ndarray
    clips: int
    classified: int
    measured: int
    parts: dict[str, float]
    processor_s: float

    @property
    def seconds(self) -> float:
        """From file to label, by the clock."""
        return sum(self.parts.values())


def answer(probabilities: np.ndarray, clips: int, classified: int, measured: int, spent: Stages) -> Answer:
    """The answer of a run that classified `measured` clips instead of `classified`, all of them alike."""
    times = classified / measured
    parts, processor = (
        each | {"classifying": each["classifying"] * times} for each in (spent.clock, spent.processor)
    )
    return Answer(probabilities, clips, classified, measured, parts, sum(processor.values()))


class Classifier:
    """A freshly initialised f of a configuration, compiled once for any number of clips."""

    def __init__(self, config: ExperimentConfig) -> None:
        self.config = config
        self.network = build(classifier(config))
        frames, size = self.network.input_shape[1:3]
        shape = tf.TensorSpec([None, frames, size, size, 3], tf.uint8)
        self._graph = tf.function(self._answer, input_signature=[shape]).get_concrete_function()

    def __call__(self, clips: list[np.ndarray]) -> np.ndarray:
        """Class probabilities `[n, C]` of clips `[F, S, S, 3]` uint8 with a border that is cut off here."""
        cut = [center_crop(clip, self.config.classifier.size) for clip in clips]
        return self._graph(tf.constant(np.stack(cut))).numpy()

    def _answer(self, clips):
        return tf.nn.softmax(self.network(tf.cast(clips, tf.float32), training=False))


class SCSampler:
    """The signatures of the exported graph with freshly initialised samplers, without writing it out."""

    def __init__(self, f: Classifier, config: ExperimentConfig) -> None:
        self.config = config
        cases = samplers(config)
        self.shapes = {kind: case.shape for kind, (case, _, _) in cases.items()}
        networks = {
            kind: (build(case, CLASSES if objective == AC else 1), objective)
            for kind, (case, objective, _) in cases.items()
        }
        self.about = {
            "labels": [f"class {number}" for number in range(CLASSES)],
            "features": to_dict(config)["features"],
            "clip_size": config.classifier.size,
            "clip_resize": config.classifier.resize,
        }
        self.costs = {
            kind: Sampler(count(network).multiply_adds, cases[kind][2])
            for kind, (network, _) in networks.items()
        }
        settings, selection, labels = config.features, config.selection, self.about["labels"]
        self._composite = Composite(f.network, networks, settings, selection, labels, self.about)
        self._signatures = self._composite.signatures()

    def __call__(self, signature: str, inputs: dict) -> dict:
        """What `scsampler_tf.predict` asks of a model."""
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in self._signatures[signature](**tensors).items()}


def scsampler(path: Path, model: SCSampler) -> Answer:
    """As `python -m scsampler_tf.predict` does it, without the timeline picture."""
    stages = Stages()

    def watched(signature: str, inputs: dict) -> dict:
        stages.note(WAITED_FOR.get(signature, "features"))
        outputs = model(signature, inputs)
        stages.note(DONE_BY.get(signature, "features"))
        return outputs

    found = predict(path, watched)
    stages.note("classifying")
    whole, used = np.array(list(found.probabilities.values())), len(found.moments)
    return answer(whole, len(found.bounds_s), used, used, stages)


def chosen_clips(path: Path, f: Classifier, choose: Callable[[np.ndarray], np.ndarray]) -> Answer:
    """Clips chosen without a look at them: `choose` makes `[1, K]` numbers of a mask `[1, L]`.

    The file's packets are listed, not decoded, to know how many clips there are; then only the chosen ones
    are decoded, by seeking.
    """
    stages = Stages()
    times, features = scan_times(path), f.config.features
    plan = ClipPlan(times.count, features.clip_frames, features.clip_step)
    require_clips(plan, str(path))
    chosen = choose(np.ones((1, plan.count), bool))[0]
    wanted = [plan.frame_indices(clip) for clip in np.sort(chosen[chosen >= 0])]
    clips = list(decode_clips(path, wanted, f.config.classifier.resize, times))
    stages.note("decoding")
    whole = f(clips).mean(axis=0)
    stages.note("classifying")
    return answer(whole, plan.count, len(clips), len(clips), stages)


def uniform(path: Path, f: Classifier, k: int) -> Answer:
    """K evenly spaced clips."""
    return chosen_clips(path, f, lambda mask: uniform_clips(mask, k))


def random(path: Path, f: Classifier, k: int, seed: int) -> Answer:
    """K clips by chance."""
    return chosen_clips(path, f, lambda mask: random_clips(mask, k, seed))


def dense(path: Path, f: Classifier, most: int | None = None) -> Answer:
    """All clips: every frame is decoded in one pass, a batch of clips after the other is classified.

    With `most` no more than so many clips, evenly spread, are classified, and the time for that is scaled
    to all; all frames are decoded nevertheless.
    """
    features = f.config.features
    picked = _spread(path, f, most) if most else None
    stages = Stages()  # only now: looking ahead for what to pick is no part of dense evaluation
    clips = _Counted(iter_clips(path, features.clip_frames, features.clip_step, f.config.classifier.resize))
    kept = (clip for number, clip in enumerate(clips) if picked is None or number in picked)
    answers = []
    while batch := list(islice(kept, BATCH)):
        stages.note("decoding")
        answers.append(f(batch))
        stages.note("classifying")
    stages.note("decoding")
    each = np.concatenate(answers)
    return answer(each.mean(axis=0), clips.count, clips.count, len(each), stages)


def _spread(path: Path, f: Classifier, most: int) -> set[int]:
    features = f.config.features
    plan = ClipPlan(scan_times(path).count, features.clip_frames, features.clip_step)
    require_clips(plan, str(path))
    return set(uniform_clips(np.ones((1, plan.count), bool), most)[0].tolist())


class _Counted:
    """Passes items on and counts them."""

    def __init__(self, items: Iterator) -> None:
        self._items = items
        self.count = 0

    def __iter__(self) -> Iterator:
        for item in self._items:
            self.count += 1
            yield item
