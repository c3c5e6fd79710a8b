"""How fast the samplers' clips come, against reading their records and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.timing import medians, ratio, turns
from pipelines.datasets import sampler_videos
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.shards import record_offsets
from scsampler_tf.config import RECORD_FIELDS, SAMPLERS, ExperimentConfig

LIMIT = "reading the drawn records"
WHOLE = "reading whole shards"


def rows(
    index: FeatureIndex, videos: list[VideoRecord], config: ExperimentConfig, rounds: int, least: int
) -> list[dict]:
    """Clips a second of each sampler's input, and that over what reading gives in the same round."""
    count = config.md.clips_per_video
    offsets = [record_offsets(index, video) for video in videos]
    times = max(1, least // (len(videos) * count))
    clips = times * sum(min(count, len(own)) for own in offsets)
    runs: dict[str, Callable] = {
        LIMIT: lambda: [_read(index, videos, offsets, count) for _ in range(times)],
        WHOLE: lambda: [_read_all(index, videos) for _ in range(times)],
    }
    for kind in SAMPLERS:
        runs[f"{kind} input"] = _input(index, videos, config, kind, times)
    found = turns(runs, rounds)
    return [
        {
            "input": name,
            "clips a second": clips / medians(spent).clock_s,
            "of the limit": 1 / ratio(spent, found[LIMIT]).clock_s,
        }
        for name, spent in found.items()
    ]


def _read(index: FeatureIndex, videos: list[VideoRecord], offsets: list[np.ndarray], count: int) -> int:
    """Reads the bytes of `count` drawn records of every video."""
    rng, total = np.random.default_rng(0), 0
    for video, own in zip(videos, offsets, strict=True):
        with Path(index.shard_path(video)).open("rb") as stream:
            ends = [*own[1:], os.fstat(stream.fileno()).st_size]
            for place in sorted(rng.permutation(len(own))[:count]):
                total += len(os.pread(stream.fileno(), int(ends[place] - own[place]), int(own[place])))
    return total


def _read_all(index: FeatureIndex, videos: list[VideoRecord]) -> int:
    """Reads all records of every video and compares their checksums."""
    return sum(sum(1 for _ in tf.data.TFRecordDataset(index.shard_path(video)).batch(64)) for video in videos)


def sampler_batches(
    index: FeatureIndex, videos: list[VideoRecord], config: ExperimentConfig, kind: str, batch: int
) -> tf.data.Dataset:
    """A sampler's endless training input."""
    scores = [np.zeros(video.clips, np.float32) for video in videos]
    count = getattr(config, kind).clips_per_video
    options = {"clips_per_video": count, "batch": batch, "seed": 0}
    return sampler_videos(index, videos, RECORD_FIELDS[kind], scores, **options)


def _input(index, videos, config: ExperimentConfig, kind: str, times: int) -> Callable[[], None]:
    data = sampler_batches(index, videos, config, kind, len(videos)).take(times)

    def run() -> None:
        for _ in data:  # from the beginning every time: nothing is made while others are measured
            pass

    return run
