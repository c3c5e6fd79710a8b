"""RGB clips of the train videos for the classifier: what an epoch holds depends on seed and epoch alone."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from pipelines.augment import random_colours, random_crop, random_flip, random_resized_crop
from pipelines.datasets import epoch_steps
from pipelines.decoding import ClipJob, decode_job, draw_clips
from pipelines.errors import UserError, VideoError
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.workers import run_jobs

SHUFFLE_BYTES = 256e6
SHUFFLE_LEAST = 64  # clips
REMEMBERED = 10_000  # clips that may be drawn ahead of training


@dataclass
class TrainingClips:
    """Endless clips, `clips_per_video` of each video an epoch, in an order that mixes the videos.

    An epoch is as many whole batches of `batch` clips as there are. Fresh clips are drawn every epoch
    (appendix A.2: random clips with temporal jittering); with `cache` those of the first one are kept in
    memory and used again. Clips, their order and the changes to them follow from `seed` and the epoch's
    number, so that a training that goes on after an interruption sees what it would have seen. A video that
    cannot be decoded any more is left out with a line on stdout, and others come again in its place.
    """

    index: FeatureIndex
    videos: list[VideoRecord]
    resize: int
    clips_per_video: int
    batch: int
    seed: int
    inside_action: bool = False
    workers: int = 0
    cache: bool = False
    failure: UserError | None = None
    """Why there are no clips any more, where that ends a training."""
    _kept: list[tuple[np.ndarray, int]] = field(default_factory=list)
    _drawn: dict[int, list[int]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Batches in an epoch, at least one."""
        return epoch_steps(len(self.videos) * self.clips_per_video, self.batch)

    def clips(self, first_epoch: int = 0) -> tf.data.Dataset:
        """(clip `[F, resize, resize, 3]` uint8, label int64) pairs from an epoch on, without end."""
        shape = [self.index.settings.clip_frames, self.resize, self.resize, 3]
        signature = (tf.TensorSpec(shape, tf.uint8), tf.TensorSpec([], tf.int64))
        return tf.data.Dataset.from_generator(lambda: self._epochs(first_epoch), output_signature=signature)

    def batch_videos(self, epoch: int, step: int) -> list[VideoRecord]:
        """The videos whose clips are a batch that has been trained on just now."""
        drawn = self._drawn.get(epoch, [])[step * self.batch : (step + 1) * self.batch]
        return [self.videos[place] for place in drawn]

    def _epochs(self, first: int) -> Iterator[tuple[np.ndarray, int]]:
        for epoch in itertools.count(first):
            drawn = self._drawn[epoch] = []
            self._forget()
            for clip, place in itertools.islice(self._mixed(epoch), self.steps * self.batch):
                drawn.append(place)
                yield clip, self.index.label_id(self.videos[place])

    def _forget(self) -> None:
        while len(self._drawn) > 2 and sum(map(len, list(self._drawn.values())[1:])) > REMEMBERED:
            del self._drawn[min(self._drawn)]

    def _mixed(self, epoch: int) -> Iterator[tuple[np.ndarray, int]]:
        """All clips of an epoch in a random order, and further rounds of other ones where they are needed."""
        size = math.prod([self.index.settings.clip_frames, self.resize, self.resize, 3])
        # At least a batch, so that an epoch's whole batches never end before its clips are all decoded.
        room = max(SHUFFLE_LEAST, self.batch, int(SHUFFLE_BYTES // size))
        for again in itertools.count():
            some = False
            rng = np.random.default_rng([self.seed, epoch, again, 1])
            for pair in mixed(self._round(epoch, again), room, rng):
                some = True
                yield pair
            if not some:
                self.failure = UserError(f"{self.index.folder}: none of the train videos can be decoded")
                raise self.failure

    def _round(self, epoch: int, again: int) -> Iterator[tuple[np.ndarray, int]]:
        if not self.cache:
            yield from self._decoded(np.random.default_rng([self.seed, epoch, again, 0]))
            return
        if self._kept:
            yield from self._kept
            return
        kept = []
        for pair in self._decoded(np.random.default_rng([self.seed, 0, 0, 0])):
            kept.append(pair)
            yield pair
        self._kept = kept

    def _decoded(self, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
        order = rng.permutation(len(self.videos))
        jobs = (self._job(self.videos[place], rng) for place in order)
        done = run_jobs(decode_job, jobs, self.workers, ordered=True)
        for place, (_, clips) in zip(order, done, strict=True):
            if isinstance(clips, VideoError):
                print(f"left out: {clips}")
                continue
            for clip in clips:
                yield clip, int(place)

    def _job(self, video: VideoRecord, rng: np.random.Generator) -> ClipJob:
        settings = self.index.settings
        wanted = draw_clips(video, settings, self.clips_per_video, self.inside_action, rng)
        return ClipJob(video, wanted, self.resize, self.resize)


def mixed(items: Iterable, room: int, rng: np.random.Generator) -> Iterator:
    """The items in a random order, of which at most `room` are in memory at a time."""
    waiting: list = []
    for item in items:
        waiting.append(item)
        if len(waiting) > room:
            yield _taken(waiting, rng)
    while waiting:
        yield _taken(waiting, rng)


def _taken(waiting: list, rng: np.random.Generator):
    place = int(rng.integers(len(waiting)))
    waiting[place], waiting[-1] = waiting[-1], waiting[place]
    return waiting.pop()


def augmented(
    data: tf.data.Dataset,
    size: int,
    flip: bool,
    seed: int,
    least_area: float = 0.0,
    colour: float = 0.0,
    first: int = 0,
) -> tf.data.Dataset:
    """Clips changed at random (`augment`): float32 `[F, size, size, 3]`.

    Each is cropped to `size`, or with `least_area` above 0 to a window of at least that share of its area;
    `flip` mirrors it at even odds; `colour` above 0 is the strength of other colours. What happens to a clip
    follows from `seed` and its number; `first` is that of the first clip of `data`.
    """

    def change(pair, count):
        clip, label = pair
        # Crops and mirror images of one seed stay the same whatever else is asked for.
        draws = (2 * count, 2 * count + 1, -count - 1)
        crop, mirror, hue = (tf.stack([tf.constant(seed, tf.int64), number]) for number in draws)
        if least_area:
            clip = random_resized_crop(clip, size, least_area, crop)
        else:
            clip = random_crop(clip, size, crop)
        if flip:
            clip = random_flip(clip, mirror)
        if colour:
            clip = random_colours(clip, colour, hue)
        return tf.cast(clip, tf.float32), label

    counted = tf.data.Dataset.zip(data, tf.data.Dataset.counter(first))
    return counted.map(change, num_parallel_calls=tf.data.AUTOTUNE)
