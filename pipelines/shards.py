"""Shards as files: single records of them by where they begin, and which of them are broken.

A record of a TFRecord file is its length (8 bytes, little endian), a checksum of that (4), the data and a
checksum of those (4). A shard's records are found from the lengths alone, eight bytes read of each; after
that a few clips of a long video cost what they are, not the whole file.
"""

import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.errors import UserError
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.records import BYTES_FIELDS

LENGTH = struct.Struct("<Q")
AROUND = 16  # bytes of a record that are not its data
AT_ONCE = 8  # files looked at together: on network storage each waits for its answers
NAMED = 5  # broken files in one sentence
OF_DATA = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnknownError,
)
MEND = "delete it, prepare the features again, and give this command once more"


def record_offsets(index: FeatureIndex, video: VideoRecord) -> np.ndarray:
    """Where the records of a video's clips begin in its shard, in bytes `[L]` int64.

    Raises `UserError` for a shard that is missing, ends early, or holds other clips than the index says.
    """
    path = index.shard_path(video)
    try:
        with Path(path).open("rb") as stream:
            found = np.array(list(_offsets(stream.fileno())), np.int64)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; prepare the features again, and give this command once more"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); mend that and begin again") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; {MEND}") from None
    if len(found) != video.clips:
        raise UserError(f"{path}: has {len(found)} records of {video.clips}; {MEND}")
    return found


def all_offsets(index: FeatureIndex, videos: list[VideoRecord]) -> list[np.ndarray]:
    """`record_offsets` of every video: 8 bytes of memory and one short read a clip."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda video: record_offsets(index, video), videos))


def _offsets(handle: int) -> Iterator[int]:
    size, place = os.fstat(handle).st_size, 0
    while place < size:
        head = os.pread(handle, LENGTH.size, place)
        if len(head) < LENGTH.size:
            raise ValueError("ends in the middle of a record")
        yield place
        place += AROUND + LENGTH.unpack(head)[0]
    if place > size:
        raise ValueError("a record is broken, or the file ends in the middle of one")


def records_at(path: tf.Tensor, offsets: tf.Tensor) -> tf.data.Dataset:
    """The serialized records of a file that begin at `offsets` `[n]`; their checksums are compared."""

    def one(place):
        rest = tf.raw_ops.TFRecordDatasetV2(
            filenames=path[None],
            compression_type="",
            buffer_size=0,  # bytes read at a time; 0: those of the record alone
            byte_offsets=place[None],
        )
        return tf.data.experimental.from_variant(rest, tf.TensorSpec([], tf.string)).take(1)

    return tf.data.Dataset.from_tensor_slices(offsets).flat_map(one)


def shard_failure(error: Exception, index: FeatureIndex, videos: list[VideoRecord]) -> UserError | None:
    """The sentence for an error that broken shards among those of `videos` have caused, else None.

    TensorFlow names the place in a file but not the file: all of them are read to find it.
    """
    if not isinstance(error, OF_DATA):
        return None
    broken = [failure for video in videos if (failure := _broken(index, video))]
    if not broken:
        return None
    more = f" ({len(broken) - 1} more: {_named(broken[1:])})" if broken[1:] else ""
    return UserError(f"{broken[0]}{more}")


def _named(failures: list[UserError]) -> str:
    names = [str(failure).partition(": ")[0] for failure in failures[:NAMED]]
    return ", ".join([*names, *(["..."] if failures[NAMED:] else [])])


def _broken(index: FeatureIndex, video: VideoRecord) -> UserError | None:
    schema = {name: tf.io.FixedLenFeature([], tf.string) for name in BYTES_FIELDS}
    schema["clip"] = tf.io.FixedLenFeature([], tf.int64)
    path, count = index.shard_path(video), 0
    try:
        record_offsets(index, video)
        for serialized in tf.data.TFRecordDataset(path):
            if int(tf.io.parse_single_example(serialized, schema)["clip"]) != count:
                return UserError(f"{path}: record {count + 1} is of another clip; {MEND}")
            count += 1
    except UserError as error:
        return error
    except tf.errors.OpError:
        return UserError(f"{path}: record {count + 1} is broken; {MEND}")
    return None
