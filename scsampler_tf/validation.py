"""What a network is worth on the validation videos: a row of numbers a video, and what they sum up to.

Rows are of fixed length, so that several processes can each measure their share of the videos and add up.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from pipelines.decoding import ClipJob, decode_job, draw_clips
from pipelines.errors import UserError
from pipelines.index import FeatureIndex, VideoRecord
from pipelines.workers import run_jobs
from scsampler_tf.config import ClassifierConfig
from scsampler_tf.runtime import summed, worker_of
from scsampler_tf.scoring import clip_probabilities, probability_function

TOP = 5
MOST_K = 20  # of the accuracy against K


class ClassifierValidation:
    """Measures a classifier on clips of the val videos, which are the same every time.

    A row is `[4 + C]`: the sum of the clips' log-likelihoods, how many of them are right, and right among
    the first five, how many there are, and the mean class probabilities. A video that cannot be decoded any
    more has zeros.
    """

    def __init__(
        self, network, index: FeatureIndex, config: ClassifierConfig, inside: bool, workers: int, seed: int
    ):
        self.videos = index.of_split("val")
        self.latest: np.ndarray | None = None
        """The rows of the last measurement, `[videos, 4 + C]`."""
        self._index, self._workers = index, workers
        self._function = probability_function(network)
        self._kept: dict[int, np.ndarray] | None = {} if config.cache else None
        rng = np.random.default_rng(seed)
        self._jobs = [
            ClipJob(
                video,
                draw_clips(video, index.settings, config.clips_per_video, inside, rng),
                config.resize,
                config.size,
            )
            for video in self.videos
        ]

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return 4 + len(self._index.labels)

    def rows(self, places: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """The row of each of the videos at `places`, with its place."""
        for place, clips in self._clips(places):
            label = self._index.label_id(self.videos[place])
            yield place, _classifier_row(clip_probabilities(self._function, clips), label)

    def summary(self) -> dict[str, float]:
        """Means over all clips of the latest rows."""
        likelihood, right, among, clips = self.latest[:, :4].sum(axis=0)
        if not clips:
            return {}
        values = {"log_likelihood": likelihood, "accuracy": right, "top5_accuracy": among}
        return {name: float(value / clips) for name, value in values.items()}

    @property
    def probabilities(self) -> np.ndarray:
        """Mean class probabilities of each video's clips at the last measurement, `[videos, C]`."""
        return self.latest[:, 4:]

    @property
    def labels_of_videos(self) -> np.ndarray:
        """The true class of each video, `[videos]`."""
        return np.array([self._index.label_id(video) for video in self.videos], int)

    def _clips(self, places: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        if self._kept:
            yield from self._kept.items()
            return
        jobs = [self._jobs[place] for place in places]
        done = run_jobs(decode_job, jobs, self._workers, ordered=True)
        for place, (_, clips) in zip(places, done, strict=True):
            if isinstance(clips, UserError):
                continue
            if self._kept is not None:
                self._kept[place] = clips
            yield place, clips


def _classifier_row(probabilities: np.ndarray, label: int) -> np.ndarray:
    own = probabilities[:, label]
    better = (probabilities > own[:, None]).sum(axis=1)
    right = probabilities.argmax(axis=1) == label
    likelihood = np.log(np.maximum(own, 1e-7)).sum(dtype=float)
    counts = [likelihood, right.sum(), (better < TOP).sum(), len(probabilities)]
    return np.concatenate([counts, probabilities.mean(axis=0)])


class SamplerValidation:
    """Measures how well a sampler chooses K clips of the val videos.

    A row is `[2 + MOST_K]`: the classifier's mean score of the true class over the K most salient clips and
    over the K best ones, and whether the video's answer is right (1) with the 1, 2, ... most salient clips.

    `saliency(video)` gives `[L]` values, NaN where there was nothing to see or hear; `table` maps video ids
    to the classifier's probabilities `[L, C]`.
    """

    def __init__(
        self,
        saliency: Callable[[VideoRecord], np.ndarray],
        index: FeatureIndex,
        videos: list[VideoRecord],
        table: dict[str, np.ndarray],
        K: int,
    ):
        self.videos, self.K = videos, K
        self.latest: np.ndarray | None = None
        """The rows of the last measurement, `[videos, 2 + MOST_K]`."""
        self.saliency, self.table, self._index = saliency, table, index

    width = 2 + MOST_K

    def rows(self, places: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """The row of each of the videos at `places`, with its place."""
        for place in places:
            yield place, self._row(self.videos[place])

    def summary(self) -> dict[str, float]:
        """Means over the videos of the latest rows."""
        chosen, best = self.latest[:, :2].mean(axis=0)
        return {"chosen_score": float(chosen), "oracle_score": float(best)}

    @property
    def right_at_K(self) -> np.ndarray:
        """Whether a video's answer was right with its K = 1, 2, ... most salient clips, `[videos, K]`."""
        return self.latest[:, 2:] > 0.5

    def _row(self, video: VideoRecord) -> np.ndarray:
        probabilities, label = self.table[video.video_id], self._index.label_id(video)
        scores = probabilities[:, label]
        order = np.argsort(-np.nan_to_num(self.saliency(video), nan=-1.0), kind="stable")
        means = probabilities[order].cumsum(axis=0, dtype=float)[:MOST_K]
        right = means.argmax(axis=1) == label
        right = np.pad(right, (0, MOST_K - len(right)), mode="edge")  # all clips, however large K is
        return np.concatenate([[scores[order[: self.K]].mean(), np.sort(scores)[-self.K :].mean()], right])


def measured_by_all(
    validation: ClassifierValidation | SamplerValidation,
    strategy: tf.distribute.Strategy,
    between_videos: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """The summary of a measurement of which every process does its share; all of them get the whole."""
    worker, workers = worker_of(strategy)
    rows = np.zeros((len(validation.videos), validation.width))
    for place, row in validation.rows(range(worker, len(rows), workers)):
        rows[place] = row
        between_videos()
    validation.latest = summed(strategy, rows)
    return validation.summary()
