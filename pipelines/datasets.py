"""`tf.data` inputs: RGB clips for the classifier, clips grouped by video for the samplers."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from pipelines.augment import random_colours, random_crop, random_flip, random_resized_crop
from pipelines.decoding import ClipJob, decode_job, draw_clips
from pipelines.errors import VideoError
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.records import parse
from pipelines.unpack import unpack_features
from pipelines.workers import run_jobs

SHUFFLE_BYTES = 256e6


def training_clips(
    index: FeatureIndex,
    videos: list[VideoRecord],
    *,
    resize: int,
    clips_per_video: int,
    inside_action: bool,
    workers: int,
    seed: int,
    cache: bool,
) -> tf.data.Dataset:
    """(clip `[F, resize, resize, 3]` uint8, label int64) pairs of one epoch, `clips_per_video` of each video.

    Fresh clips are drawn every epoch (appendix A.2: random clips with temporal jittering); with `cache`
    the first epoch's clips are kept in memory and used again. A video that cannot be decoded any more is
    left out with a line on stdout.
    """
    draws = np.random.SeedSequence(seed)

    def epoch() -> Iterator[tuple[np.ndarray, int]]:
        rng = np.random.default_rng(draws.spawn(1)[0])
        jobs = (
            ClipJob(
                video, draw_clips(video, index.settings, clips_per_video, inside_action, rng), resize, resize
            )
            for video in (videos[place] for place in rng.permutation(len(videos)))
        )
        for job, clips in run_jobs(decode_job, jobs, workers, ordered=True):
            if isinstance(clips, VideoError):
                print(f"left out: {clips}")
                continue
            for clip in clips:
                yield clip, index.label_id(job.video)

    shape = [index.settings.clip_frames, resize, resize, 3]
    data = tf.data.Dataset.from_generator(
        epoch, output_signature=(tf.TensorSpec(shape, tf.uint8), tf.TensorSpec([], tf.int64))
    )
    return data.cache() if cache else data


def augmented(
    data: tf.data.Dataset, size: int, flip: bool, seed: int, least_area: float = 0.0, colour: float = 0.0
) -> tf.data.Dataset:
    """Endless shuffled clips, changed at random (`augment`): float32 `[F, size, size, 3]`.

    Each is cropped to `size`, or with `least_area` above 0 to a window of at least that share of its area;
    `flip` mirrors it at even odds; `colour` above 0 is the strength of other colours.
    """
    counter = tf.data.Dataset.counter()

    def change(pair, count):
        clip, label = pair
        # Crops and mirror images of one seed stay the same whatever else is asked for.
        first, second, third = (_seed(seed, number) for number in (2 * count, 2 * count + 1, -count - 1))
        if least_area:
            clip = random_resized_crop(clip, size, least_area, first)
        else:
            clip = random_crop(clip, size, first)
        if flip:
            clip = random_flip(clip, second)
        if colour:
            clip = random_colours(clip, colour, third)
        return tf.cast(clip, tf.float32), label

    clip_bytes = math.prod(data.element_spec[0].shape)
    data = data.shuffle(
        max(64, int(SHUFFLE_BYTES // clip_bytes)), seed=seed, reshuffle_each_iteration=True
    ).repeat()
    return tf.data.Dataset.zip(data, counter).map(change, num_parallel_calls=tf.data.AUTOTUNE)


def _seed(seed: int, number: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int64), number])


def sampler_videos(
    index: FeatureIndex,
    videos: list[VideoRecord],
    field: str | Sequence[str],
    true_scores: list[np.ndarray],
    *,
    clips_per_video: int,
    batch: int,
    seed: int,
) -> tf.data.Dataset:
    """Endless batches of videos with `clips_per_video` (N) clips drawn from each, for training a sampler.

    Yields ({"frames": `[V, N, P, ...]`, "frame_mask": `[V, N, P]` bool}, target `[V, N, 3]` float32 with
    the label, the classifier's score of the true class and 1 for a clip that counts). `true_scores` holds
    `[L]` values a video. Clips beyond a short video's own, and clips without sound for the audio
    sampler, do not count.

    With several fields each has its own inputs, "FIELD_frames" and "FIELD_mask", of the same drawn clips;
    then a clip counts if any of the fields has something of it. A batch holds V N clips of all of them.
    """
    names = _input_names(field)
    rows = tf.data.Dataset.from_tensor_slices(
        (
            [index.shard_path(video) for video in videos],
            [index.label_id(video) for video in videos],
            tf.ragged.constant([np.asarray(scores, np.float32) for scores in true_scores], dtype=tf.float32),
        )
    )
    rows = rows.shuffle(len(videos), seed=seed, reshuffle_each_iteration=True).repeat()
    rows = tf.data.Dataset.zip(rows, tf.data.Dataset.counter())

    def one_video(row, count):
        path, label, scores = row
        chosen = _draw(tf.size(scores), clips_per_video, tf.stack([tf.constant(seed, tf.int64), count]))
        return _chosen_clips(path, chosen, names, index, clips_per_video, label, scores)

    data = rows.interleave(one_video, cycle_length=4, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _draw(clips: tf.Tensor, count: int, seed: tf.Tensor) -> tf.Tensor:
    order = tf.argsort(tf.random.stateless_uniform([clips], seed))
    return tf.sort(order[:count])


def _input_names(field: str | Sequence[str]) -> dict[str, tuple[str, str]]:
    """What the frames and the mask of each field are called among the inputs."""
    if isinstance(field, str):
        return {field: ("frames", "frame_mask")}
    return {each: (f"{each}_frames", f"{each}_mask") for each in field}


def _chosen_clips(
    path, chosen, names: dict[str, tuple[str, str]], index: FeatureIndex, count: int, label, scores
) -> tf.data.Dataset:
    """A dataset of one element: the chosen clips of a video, padded to `count` clips."""
    wanted = tf.cast(chosen, tf.int64)
    shard = tf.data.TFRecordDataset(path).enumerate()
    shard = shard.filter(lambda place, _: tf.reduce_any(wanted == place))  # unread clips are never parsed
    shard = shard.map(lambda _, serialized: _fields_of(serialized, tuple(names)))

    def gather(data):
        inputs, there = {}, []
        for field, (frames_name, mask_name) in names.items():
            frames, mask = unpack_features(field, data[field], index.settings)
            inputs[frames_name], inputs[mask_name] = _padded(frames, count), _padded(mask, count)
            there.append(tf.reduce_any(inputs[mask_name], axis=1))
        score = _padded(tf.gather(scores, chosen), count)
        counts = tf.cast(tf.reduce_any(there, axis=0), tf.float32)
        return inputs, tf.stack([tf.fill([count], tf.cast(label, tf.float32)), score, counts], axis=-1)

    return shard.batch(count).map(gather)


def _fields_of(serialized: tf.Tensor, fields: tuple[str, ...]) -> dict[str, tf.Tensor]:
    record = parse(serialized, fields)
    return {field: record[field] for field in fields}


def _padded(clips: tf.Tensor, count: int) -> tf.Tensor:
    """Clips `[n, ...]` with zeros after them: `[count, ...]`."""
    padding = [[0, count - tf.shape(clips)[0]]] + [[0, 0]] * (len(clips.shape) - 1)
    return tf.ensure_shape(tf.pad(clips, padding), [count, *clips.shape[1:]])


def feature_clips(index: FeatureIndex, video: VideoRecord, field: str, batch: int) -> tf.data.Dataset:
    """All clips of one video in order, in batches: (frames `[N, P, ...]`, frame mask `[N, P]`)."""
    data = tf.data.TFRecordDataset(index.shard_path(video)).batch(batch)

    def gather(serialized):
        schema = {field: tf.io.FixedLenFeature([], tf.string)}
        return unpack_features(field, tf.io.parse_example(serialized, schema)[field], index.settings)

    return data.map(gather).prefetch(2)
