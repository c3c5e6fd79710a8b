"""How fast the classifier's clips come, against a bare decode of the very same clips."""

import itertools
from collections.abc import Callable, Iterator

import av
import numpy as np

from benchmarks.timing import medians, ratio, turns
from pipelines.decoding import ClipJob, decode_job, draw_clips
from pipelines.index import FeatureIndex, VideoRecord
from scsampler_tf.config import ClassifierConfig

LIMIT = "bare decode of the same clips"
WORKERS = (0, 1, 2)
EPOCHS = 3  # in a measurement, with the start of the workers


def jobs(index: FeatureIndex, videos: list[VideoRecord], config: ClassifierConfig) -> list[ClipJob]:
    """What one epoch decodes."""
    rng = np.random.default_rng(0)
    return [
        ClipJob(
            video,
            draw_clips(video, index.settings, config.clips_per_video, False, rng),
            config.resize,
            config.resize,
        )
        for video in videos
    ]


def bare_decode(job: ClipJob) -> int:
    """Decodes what is between each clip's key frame and its last frame, once; returns how many frames."""
    times, count, reached = job.video.times(), 0, -1
    with av.open(job.video.path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count, stream.codec_context.thread_type = 1, "NONE"
        frames: Iterator[av.VideoFrame] = iter(())
        for wanted in job.wanted:
            first, last = int(wanted[0]), int(wanted[-1])
            key = times.keyframe_before(first)
            if reached < 0 or key > reached:
                container.seek(times.pts[key], stream=stream)
                frames = container.decode(stream)
            while reached < last and (frame := next(frames, None)) is not None:
                count += 1
                if frame.pts >= times.pts[last]:
                    reached = last
    return count


def rows(index: FeatureIndex, videos: list[VideoRecord], config: ClassifierConfig, rounds: int) -> list[dict]:
    """Clips a second of each way, and that over what the bare decode gives in the same round."""
    epoch = jobs(index, videos, config)
    own = sum(len(job.wanted) for job in epoch)
    clips = EPOCHS * own
    runs: dict[str, Callable] = {
        LIMIT: lambda: [bare_decode(job) for job in EPOCHS * epoch],
        "the same as pictures": lambda: [decode_job(job) for job in EPOCHS * epoch],
    }
    for workers in WORKERS:
        name = f"training input, {workers} worker{'s' if workers != 1 else ''}"
        runs[name] = _fresh(index, videos, config, workers, own)
    runs["training input, cached"] = _cached(index, videos, config, own)
    found = turns(runs, rounds)
    return [
        {
            "input": name,
            "clips a second": clips / medians(spent).clock_s,
            "of the limit": 1 / ratio(spent, found[LIMIT]).clock_s,
        }
        for name, spent in found.items()
    ]


def source(index: FeatureIndex, videos: list[VideoRecord], config: ClassifierConfig, workers: int, **changes):
    """The clips of a training as `train_classifier` makes them, one batch an epoch's whole."""
    from pipelines.training_clips import TrainingClips

    options = {"batch": config.batch, "cache": False, **changes}
    return TrainingClips(
        index,
        videos,
        resize=config.resize,
        clips_per_video=config.clips_per_video,
        seed=0,
        workers=workers,
        **options,
    )


def _fresh(index, videos, config, workers: int, clips: int) -> Callable[[], None]:
    def run() -> None:
        for _ in source(index, videos, config, workers, batch=clips).clips().take(EPOCHS * clips):
            pass

    return run


def _cached(index, videos, config, clips: int) -> Callable[[], None]:
    kept = iter(source(index, videos, config, 0, batch=clips, cache=True).clips())

    def run() -> None:
        for _ in itertools.islice(kept, EPOCHS * clips):
            pass

    return run
