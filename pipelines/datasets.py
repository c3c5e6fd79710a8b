"""`tf.data` inputs from records: clips grouped by video for the samplers, all clips of one video."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipelines.index import FeatureIndex, VideoRecord
from pipelines.records import parse
from pipelines.unpack import unpack_features


def epoch_steps(count: int, batch: int) -> int:
    """How many whole batches `count` examples are, at least one."""
    return max(1, count // batch)


def epoch_order(count: int, wanted: int, seed: int, epoch: tf.Tensor | int) -> tf.Tensor:
    """Which of `count` things an epoch takes, `[wanted]` int64, each as often as any other or once more.

    The random order follows from `seed` and `epoch` alone.
    """
    rounds = -(-wanted // count)
    number = tf.cast(epoch, tf.int64) * rounds
    orders = [
        # Negative, unlike the numbers from which clips are drawn: the same ones would draw alike.
        tf.argsort(tf.random.stateless_uniform([count], _seed(seed, -1 - number - again)))
        for again in range(rounds)
    ]
    return tf.cast(tf.concat(orders, axis=0)[:wanted], tf.int64)


def batch_videos(
    videos: list[VideoRecord], batch: int, seed: int, epoch: int, step: int
) -> list[VideoRecord]:
    """The videos of a batch of `sampler_videos`, counted from 0."""
    order = epoch_order(len(videos), epoch_steps(len(videos), batch) * batch, seed, epoch).numpy()
    return [videos[place] for place in order[step * batch : (step + 1) * batch]]


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
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Endless batches of videos with `clips_per_video` (N) clips drawn from each, for training a sampler.

    An epoch is as many whole batches as there are videos for. Its order and clips follow from `seed` and
    its number, so that a training that goes on at `first_epoch` sees what it would have seen.

    Yields ({"frames": `[V, N, P, ...]`, "frame_mask": `[V, N, P]` bool}, target `[V, N, 3]` float32 with
    the label, the classifier's score of the true class and 1 for a clip that counts). `true_scores` holds
    `[L]` values a video. Clips beyond a short video's own, and clips without sound for the audio
    sampler, do not count.

    With several fields each has its own inputs, "FIELD_frames" and "FIELD_mask", of the same drawn clips;
    then a clip counts if any of the fields has something of it. A batch holds V N clips of all of them.
    """
    names = _input_names(field)
    paths = tf.constant([index.shard_path(video) for video in videos])
    labels = tf.constant([index.label_id(video) for video in videos])
    known = tf.ragged.constant([np.asarray(scores, np.float32) for scores in true_scores], dtype=tf.float32)
    wanted = epoch_steps(len(videos), batch) * batch

    def one_epoch(epoch):
        order = epoch_order(len(videos), wanted, seed, epoch)
        return tf.data.Dataset.from_tensor_slices((order, epoch * wanted + tf.range(wanted, dtype=tf.int64)))

    def one_video(place, count):
        scores = known[place]
        chosen = _draw(tf.size(scores), clips_per_video, _seed(seed, count))
        clips = _chosen_clips(paths[place], chosen, names, index, clips_per_video, labels[place], scores)
        return clips.get_single_element()

    epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
    data = epochs.flat_map(one_epoch).map(one_video, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
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
