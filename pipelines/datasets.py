"""`tf.data` inputs: RGB clips for the classifier, clips grouped by video for the samplers."""

import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from pipelines.augment import random_crop, random_flip
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


def augmented(data: tf.data.Dataset, size: int, flip: bool, seed: int) -> tf.data.Dataset:
    """Shuffled clips, each cropped to `size` at random and, with `flip`, mirrored at even odds: float32."""
    counter = tf.data.Dataset.counter()

    def change(pair, count):
        clip, label = pair
        clip = random_crop(clip, size, tf.stack([tf.constant(seed, tf.int64), 2 * count]))
        if flip:
            clip = random_flip(clip, tf.stack([tf.constant(seed, tf.int64), 2 * count + 1]))
        return tf.cast(clip, tf.float32), label

    clip_bytes = math.prod(data.element_spec[0].shape)
    data = data.shuffle(
        max(64, int(SHUFFLE_BYTES // clip_bytes)), seed=seed, reshuffle_each_iteration=True
    ).repeat()
    return tf.data.Dataset.zip(data, counter).map(change, num_parallel_calls=tf.data.AUTOTUNE)


def sampler_videos(
    index: FeatureIndex,
    videos: list[VideoRecord],
    field: str,
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
    """
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
        return _chosen_clips(path, chosen, field, index, clips_per_video, label, scores)

    data = rows.interleave(one_video, cycle_length=4, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def _draw(clips: tf.Tensor, count: int, seed: tf.Tensor) -> tf.Tensor:
    order = tf.argsort(tf.random.stateless_uniform([clips], seed))
    return tf.sort(order[:count])


def _chosen_clips(path, chosen, field, index: FeatureIndex, count: int, label, scores) -> tf.data.Dataset:
    """A dataset of one element: the chosen clips of a video, padded to `count` clips."""
    wanted = tf.cast(chosen, tf.int64)
    shard = tf.data.TFRecordDataset(path).enumerate()
    shard = shard.filter(lambda place, _: tf.reduce_any(wanted == place))  # unread clips are never parsed
    shard = shard.map(lambda _, serialized: parse(serialized, (field,))[field])

    def gather(data):
        frames, mask = unpack_features(field, data, index.settings)
        missing = count - tf.shape(data)[0]
        frames = tf.pad(frames, [[0, missing]] + [[0, 0]] * (len(frames.shape) - 1))
        mask = tf.pad(mask, [[0, missing], [0, 0]])
        counts = tf.cast(tf.reduce_any(mask, axis=1), tf.float32)
        score = tf.pad(tf.gather(scores, chosen), [[0, missing]])
        target = tf.stack([tf.fill([count], tf.cast(label, tf.float32)), score, counts], axis=-1)
        frames = tf.ensure_shape(frames, [count, *frames.shape[1:]])
        return {"frames": frames, "frame_mask": tf.ensure_shape(mask, [count, mask.shape[1]])}, target

    return shard.batch(count).map(gather)


def feature_clips(index: FeatureIndex, video: VideoRecord, field: str, batch: int) -> tf.data.Dataset:
    """All clips of one video in order, in batches: (frames `[N, P, ...]`, frame mask `[N, P]`)."""
    data = tf.data.TFRecordDataset(index.shard_path(video)).batch(batch)

    def gather(serialized):
        schema = {field: tf.io.FixedLenFeature([], tf.string)}
        return unpack_features(field, tf.io.parse_example(serialized, schema)[field], index.settings)

    return data.map(gather).prefetch(2)
