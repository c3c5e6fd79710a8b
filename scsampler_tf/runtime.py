"""Where and how networks run: distribution strategy, seeds, versions."""

import keras
import tensorflow as tf

from pipelines.errors import UserError
from scsampler_tf.versions import versions

__all__ = ["even_batch", "make_strategy", "set_seed", "versions"]


def make_strategy(name: str) -> tf.distribute.Strategy:
    """`one_device` or `mirrored` (all GPUs, or all logical CPU devices where there is no GPU)."""
    if name == "one_device":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        gpus = tf.config.list_logical_devices("GPU")
        if gpus:
            return tf.distribute.MirroredStrategy()
        # The default all-reduce is made for GPUs and fails on the second strategy of a CPU process.
        reduce = tf.distribute.ReductionToOneDevice()
        devices = [device.name for device in tf.config.list_logical_devices("CPU")]
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=reduce)
    raise UserError(f"strategy: '{name}' is none of one_device, mirrored")


def even_batch(batch: int, strategy: tf.distribute.Strategy) -> int:
    """The largest batch up to `batch` of which every replica gets an equal share, at least one each."""
    replicas = strategy.num_replicas_in_sync
    return max(replicas, batch - batch % replicas)


def set_seed(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, which weights, dropout and shuffling draw from."""
    keras.utils.set_random_seed(seed)
