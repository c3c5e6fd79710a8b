"""`tf.data` inputs from records: clips grouped by video for the samplers, all clips of one video."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipelines.data_service import served
from pipelines.errors import UserError
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.jitter import Jitter, jittered
from pipelines.shards import all_offsets, records_at
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
    shard: tuple[int, int] = (0, 1),
    replica_batch: int | None = None,
    service: str | None = None,
    jitter: Jitter = Jitter(),  # noqa: B008 (it cannot be changed)
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

    `shard` (w, W) gives worker w of W, counted from 0, its share of each batch: the videos w `batch` / W
    and after. They come `replica_batch` at a time (V, by default the whole share), so that what all
    workers take in a step, one after the other, is the batch that a single one would see.

    `jitter` says how clips are changed at random, those of a video alike (`jitter`), by `seed` and the
    video's number as everything else.

    With the address of a tf.data `service` its workers do the work (`data_service`). Only the records of
    drawn clips are read; where they lie is looked up once, now.

    Raises `UserError` for a shard that is missing or ends early and for scores of another number of clips,
    and `ValueError` where a batch or a share cannot be split evenly.
    """
    own = _share(batch, shard, replica_batch)
    together = replica_batch or len(own)
    names = _input_names(field)
    paths = tf.constant([index.shard_path(video) for video in videos])
    labels = tf.constant([index.label_id(video) for video in videos])
    known = _rows(_checked(true_scores, videos), np.float32)
    offsets = _rows(all_offsets(index, videos), np.int64)
    wanted = epoch_steps(len(videos), batch) * batch

    def one_epoch(epoch):
        order = epoch_order(len(videos), wanted, seed, epoch)
        # Numbers of a video's place in the whole batch, so that all draws are those of a single worker.
        counts = epoch * wanted + tf.range(wanted, dtype=tf.int64)
        mine = [
            tf.reshape(tf.reshape(values, [-1, batch])[:, own.start : own.stop], [-1])
            for values in (order, counts)
        ]
        return tf.data.Dataset.from_tensor_slices(tuple(mine))

    def one_video(place, count):
        scores = known[place]
        chosen = _draw(tf.size(scores), clips_per_video, _seed(seed, count))
        records = records_at(paths[place], tf.gather(offsets[place], chosen)).batch(clips_per_video)
        parsed = _parsed(records.get_single_element(), tuple(names), chosen)
        unpacked = {
            field: (jittered(field, frames, jitter, _seed(seed, count)), mask)
            for field, (frames, mask) in _unpacked(parsed, index).items()
        }
        inputs, there = _inputs(unpacked, names, clips_per_video)
        score = _padded(tf.gather(scores, chosen), clips_per_video)
        label = tf.fill([clips_per_video], tf.cast(labels[place], tf.float32))
        return inputs, tf.stack([label, score, there], axis=-1)

    def work(groups: tf.data.Dataset) -> tf.data.Dataset:
        clips = groups.unbatch().map(one_video, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return clips.batch(together, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    groups = tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(one_epoch).batch(together)
    return served(groups, work, service) if service else work(groups)


def _share(batch: int, shard: tuple[int, int], replica_batch: int | None) -> range:
    """The places in a batch that a worker takes."""
    worker, workers = shard
    if not 0 <= worker < workers or batch % workers:
        raise ValueError(f"worker {worker} of {workers} has no even share of a batch of {batch}")
    share = batch // workers
    if replica_batch is not None and (replica_batch < 1 or share % replica_batch):
        raise ValueError(f"a worker's {share} videos do not come {replica_batch} at a time")
    return range(worker * share, (worker + 1) * share)


def _draw(clips: tf.Tensor, count: int, seed: tf.Tensor) -> tf.Tensor:
    order = tf.argsort(tf.random.stateless_uniform([clips], seed))
    return tf.sort(order[:count])


def _input_names(field: str | Sequence[str]) -> dict[str, tuple[str, str]]:
    """What the frames and the mask of each field are called among the inputs."""
    if isinstance(field, str):
        return {field: ("frames", "frame_mask")}
    return {each: (f"{each}_frames", f"{each}_mask") for each in field}


def _parsed(serialized: tf.Tensor, fields: tuple[str, ...], chosen: tf.Tensor) -> dict[str, tf.Tensor]:
    """The fields `[n]` of the records of the chosen clips, and of no others."""
    schema = {field: tf.io.FixedLenFeature([], tf.string) for field in fields}
    parsed = tf.io.parse_example(serialized, {**schema, "clip": tf.io.FixedLenFeature([], tf.int64)})
    same = tf.reduce_all(parsed["clip"] == tf.cast(chosen, tf.int64))
    with tf.control_dependencies([tf.debugging.Assert(same, [parsed["clip"], chosen])]):
        return {field: tf.identity(parsed[field]) for field in fields}


def _unpacked(parsed: dict[str, tf.Tensor], index: FeatureIndex) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    return {field: unpack_features(field, data, index.settings) for field, data in parsed.items()}


def _inputs(unpacked: dict, names: dict[str, tuple[str, str]], count: int):
    """The inputs, padded to `count` clips, and which clips `[count]` float32 have anything of any field."""
    inputs, there = {}, []
    for field, (frames_name, mask_name) in names.items():
        frames, mask = unpacked[field]
        inputs[frames_name], inputs[mask_name] = _padded(frames, count), _padded(mask, count)
        there.append(tf.reduce_any(inputs[mask_name], axis=1))
    return inputs, tf.cast(tf.reduce_any(there, axis=0), tf.float32)


def _rows(rows: list[np.ndarray], kind: type) -> tf.RaggedTensor:
    flat = np.concatenate([np.asarray(row, kind) for row in rows])
    return tf.RaggedTensor.from_row_lengths(flat, [len(row) for row in rows])


def _checked(true_scores: list[np.ndarray], videos: list[VideoRecord]) -> list[np.ndarray]:
    for scores, video in zip(true_scores, videos, strict=True):
        if len(scores) != video.clips:
            raise UserError(
                f"{video.path}: has {video.clips} clips, its scores are of {len(scores)}; score it again"
            )
    return true_scores


def _padded(clips: tf.Tensor, count: int) -> tf.Tensor:
    """Clips `[n, ...]` with zeros after them: `[count, ...]`."""
    padding = [[0, count - tf.shape(clips)[0]]] + [[0, 0]] * (len(clips.shape) - 1)
    return tf.ensure_shape(tf.pad(clips, padding), [count, *clips.shape[1:]])


def feature_clips(index: FeatureIndex, video: VideoRecord, field: str, batch: int) -> tf.data.Dataset:
    """All clips of one video in order, in batches: (frames `[N, P, ...]`, frame mask `[N, P]`)."""
    # Without the assertion a file that ends early between two records would be a shorter video.
    records = tf.data.TFRecordDataset(index.shard_path(video))
    data = records.apply(tf.data.experimental.assert_cardinality(video.clips)).batch(batch)

    def gather(serialized):
        schema = {field: tf.io.FixedLenFeature([], tf.string)}
        return unpack_features(field, tf.io.parse_example(serialized, schema)[field], index.settings)

    return data.map(gather).prefetch(2)
