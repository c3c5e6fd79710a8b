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
from pipelines.workers import KeptPool, run_jobs

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
    _kept: list[tuple[int, int, np.ndarray | None]] = field(default_factory=list)
    _drawn: dict[int, list[int]] = field(default_factory=dict)
    _workers: int = 1
    _pool: KeptPool | None = None
    _closed: bool = False

    @property
    def steps(self) -> int:
        """Batches in an epoch, at least one."""
        return epoch_steps(len(self.videos) * self.clips_per_video, self.batch)

    def clips(self, first_epoch: int = 0, shard: tuple[int, int] = (0, 1)) -> tf.data.Dataset:
        """(clip `[F, resize, resize, 3]` uint8, label int64) pairs from an epoch on, without end.

        `shard` (w, W): only the clips of worker w of W, who each have as many neighbours of every batch. A
        worker decodes no others, unless they are to be kept. Where a video cannot be decoded, its worker
        goes on with the next clips of its own.
        """
        shape = [self.index.settings.clip_frames, self.resize, self.resize, 3]
        signature = (tf.TensorSpec(shape, tf.uint8), tf.TensorSpec([], tf.int64))
        return tf.data.Dataset.from_generator(
            lambda: self._epochs(first_epoch, shard), output_signature=signature
        )

    def numbers(self, first_epoch: int = 0, shard: tuple[int, int] = (0, 1)) -> tf.data.Dataset:
        """The number of each of `clips` among those of all epochs and workers, int64."""
        (worker, workers), first = shard, first_epoch * self.steps * self.batch
        own = self.batch // workers
        return tf.data.Dataset.counter().map(
            lambda count: first + count // own * self.batch + worker * own + count % own
        )

    def close(self) -> None:
        """Ends the worker processes, which several epochs share; there are no more clips."""
        self._closed = True
        if self._pool is not None:
            self._pool.end()
            self._pool = None

    def batch_videos(self, epoch: int, step: int) -> list[VideoRecord]:
        """The videos whose clips are a batch that has been trained on just now; of several workers' batch
        the part that is this one's."""
        own = self.batch // self._workers
        drawn = self._drawn.get(epoch, [])[step * own : (step + 1) * own]
        return [self.videos[place] for place in drawn]

    def _epochs(self, first: int, shard: tuple[int, int]) -> Iterator[tuple[np.ndarray, int]]:
        self._workers = shard[1]
        for epoch in itertools.count(first):
            drawn = self._drawn[epoch] = []
            self._forget()
            own = self.steps * (self.batch // shard[1])
            for clip, place in itertools.islice(self._own(epoch, shard), own):
                drawn.append(place)
                yield clip, self.index.label_id(self.videos[place])

    def _forget(self) -> None:
        while len(self._drawn) > 2 and sum(map(len, list(self._drawn.values())[1:])) > REMEMBERED:
            del self._drawn[min(self._drawn)]

    def _own(self, epoch: int, shard: tuple[int, int]) -> Iterator[tuple[np.ndarray, int]]:
        """A worker's clips of an epoch in their random order, and further rounds of other ones where they are
        needed."""
        (worker, workers), count = shard, len(self.videos) * self.clips_per_video
        lost: set[int] = set()
        for again in itertools.count():
            rng = np.random.default_rng([self.seed, epoch, again, 1])
            order = enumerate(mixed(range(count), self._room(), rng), again * count)
            mine = [clip for place, clip in order if place % self.batch * workers // self.batch == worker]
            for clip, place in self._in_order(mine, self._round(epoch, again, set(mine))):
                if clip is None:
                    lost.add(place)
                else:
                    lost.clear()
                    yield clip, place
            if self._closed:
                return
            if len(lost) == len(self.videos):
                self.failure = UserError(f"{self.index.folder}: none of the train videos can be decoded")
                raise self.failure

    def _room(self) -> int:
        """How many clips wait at a time to be mixed: at least a batch, so that an epoch's whole batches never
        end before its clips are all decoded."""
        size = math.prod([self.index.settings.clip_frames, self.resize, self.resize, 3])
        return max(SHUFFLE_LEAST, self.batch, int(SHUFFLE_BYTES // size))

    @staticmethod
    def _in_order(order: list[int], decoded: Iterator[tuple[int, int, np.ndarray | None]]):
        """(clip, place of its video) by the clips' numbers in `order`, of which those that come too early
        wait."""
        waiting: dict[int, tuple[np.ndarray | None, int]] = {}
        for wanted in order:
            while wanted not in waiting:
                if (item := next(decoded, None)) is None:  # closed
                    return
                number, place, clip = item
                waiting[number] = clip, place
            yield waiting.pop(wanted)

    def _round(
        self, epoch: int, again: int, wanted: set[int]
    ) -> Iterator[tuple[int, int, np.ndarray | None]]:
        """The wanted clips of a round with their numbers and the places of their videos."""
        if not self.cache:
            yield from self._decoded(np.random.default_rng([self.seed, epoch, again, 0]), wanted)
            return
        if self._kept:
            yield from self._kept
            return
        kept = []
        for clip in self._decoded(np.random.default_rng([self.seed, 0, 0, 0]), None):
            kept.append(clip)
            if len(kept) == len(self.videos) * self.clips_per_video:
                self._kept = kept  # nobody asks for more after the last one
            if self._workers == 1:
                yield clip
        if self._workers > 1:  # a worker's own clips may all be there before the last one is decoded
            yield from kept

    def _decoded(
        self, rng: np.random.Generator, wanted: set[int] | None
    ) -> Iterator[tuple[int, int, np.ndarray | None]]:
        """The wanted clips of all that are drawn by `rng`, numbered as drawn; None for one that is lost."""
        order = rng.permutation(len(self.videos))
        drawn = (self._drawn_clips(number, place, rng, wanted) for number, place in enumerate(order))
        numbers, jobs = itertools.tee((numbers, job) for numbers, job in drawn if numbers)
        if self._closed:  # TensorFlow reads ahead in a thread that nobody stops
            return
        if self.workers and self._pool is None:
            self._pool = KeptPool(self.workers)
        wanted_jobs = (job for _, job in jobs)
        done = run_jobs(decode_job, wanted_jobs, self.workers, ordered=True, pool=self._pool)
        for (own, _), (_, clips) in zip(numbers, done, strict=True):
            place = int(order[own[0] // self.clips_per_video])
            if isinstance(clips, VideoError):
                print(f"left out: {clips}")
            for at, number in enumerate(own):
                yield number, place, None if isinstance(clips, VideoError) else clips[at]

    def _drawn_clips(
        self, number: int, place: int, rng: np.random.Generator, wanted: set[int] | None
    ) -> tuple[list[int], ClipJob]:
        """The wanted clips of the video at a place, which is the `number`-th of a round."""
        video, settings = self.videos[place], self.index.settings
        frames = draw_clips(video, settings, self.clips_per_video, self.inside_action, rng)
        first = number * self.clips_per_video
        own = [first + at for at in range(len(frames)) if wanted is None or first + at in wanted]
        return own, ClipJob(video, [frames[each - first] for each in own], self.resize, self.resize)


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
    numbers: tf.data.Dataset | None = None,
) -> tf.data.Dataset:
    """Clips changed at random (`augment`): float32 `[F, size, size, 3]`.

    Each is cropped to `size`, or with `least_area` above 0 to a window of at least that share of its area;
    `flip` mirrors it at even odds; `colour` above 0 is the strength of other colours. What happens to a clip
    follows from `seed` and its number, which `numbers` gives for every clip, from 0 without it.
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

    counted = tf.data.Dataset.zip(data, tf.data.Dataset.counter() if numbers is None else numbers)
    return counted.map(change, num_parallel_calls=tf.data.AUTOTUNE)
