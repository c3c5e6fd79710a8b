"""Where and how networks run: distribution strategy, this process's part in it, seeds, versions."""

import keras
import numpy as np
import tensorflow as tf

from pipelines.errors import LostWorker, UserError
from scsampler_tf.cluster import TF_CONFIG, read_cluster, wait_for_all
from scsampler_tf.strategies import MULTI_WORKER, ONE_DEVICE, strategy_parts
from scsampler_tf.versions import versions

__all__ = [
    "even_batch",
    "is_chief",
    "make_strategy",
    "set_seed",
    "summed",
    "versions",
    "worker_of",
]


def make_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy that a setting names, which may name devices too (`mirrored:GPU:0,GPU:1`).

    `one_device`; `mirrored`: all GPUs, or all logical CPU devices where there is no GPU; `multi_worker`: the
    processes that the environment variable TF_CONFIG lists, of which this is one. The last waits for the
    others, and has to be made before TensorFlow does anything else. Raises `UserError`.
    """
    kind, devices = strategy_parts(name)
    if kind == MULTI_WORKER:
        return _multi_worker()
    there = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    for device in devices:
        if device not in there:
            raise UserError(f"strategy: there is no device {device} here, but {', '.join(there)}")
    if kind == ONE_DEVICE:
        return tf.distribute.OneDeviceStrategy(devices[0]) if devices else tf.distribute.get_strategy()
    gpus = [name for name in there if name.startswith("GPU")]
    devices = devices or gpus or [name for name in there if name.startswith("CPU")]
    if any(device.startswith("CPU") for device in devices):
        # The default all-reduce is made for GPUs and fails on the second strategy of a CPU process.
        reduce = tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=reduce)
    return tf.distribute.MirroredStrategy(devices)


def _multi_worker() -> tf.distribute.Strategy:
    cluster = read_cluster()
    print(f"waiting for the {len(cluster.hosts)} workers of {TF_CONFIG}", flush=True)
    wait_for_all(cluster)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise LostWorker(f"{TF_CONFIG}: the workers do not come together ({why}); start all again") from None


def worker_of(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """The number of this process among the strategy's processes, from 0, and how many there are."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    jobs = resolver.cluster_spec().as_dict()
    before = len(jobs.get("chief", ())) if resolver.task_type == "worker" else 0
    return before + resolver.task_id, sum(map(len, jobs.values()))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes files."""
    return worker_of(strategy)[0] == 0


def summed(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    """The sum of the arrays float32 that all processes give, which are of one shape; each waits for all."""
    _, workers = worker_of(strategy)
    if workers == 1:
        return values
    devices = strategy.num_replicas_in_sync // workers

    @tf.function
    def total(own):
        def of_device(value):
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.where(number % devices == 0, value, tf.zeros_like(value))

        return strategy.reduce("SUM", strategy.run(of_device, args=(own,)), axis=None)

    return total(tf.constant(values, tf.float32)).numpy()


def even_batch(batch: int, strategy: tf.distribute.Strategy) -> int:
    """The largest batch up to `batch` of which every replica gets an equal share, at least one each."""
    replicas = strategy.num_replicas_in_sync
    return max(replicas, batch - batch % replicas)


def set_seed(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, which weights, dropout and shuffling draw from."""
    keras.utils.set_random_seed(seed)
