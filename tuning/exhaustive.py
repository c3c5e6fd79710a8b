"""`assess` for thousands of settings at once.

A scheme with its K' or alpha and a stride ranks the clips of a video once; the K best of that ranking are
its choice for every K. So each ranking is made once, and running sums along it answer all K.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scsampler_tf import selection as choose
from scsampler_tf.answers import is_right
from scsampler_tf.config import SelectionConfig
from scsampler_tf.cost import GIGA
from scsampler_tf.evaluation_set import EvaluationSet
from scsampler_tf.fusion import fuse
from scsampler_tf.methods import Costs, gflops_per_video, scheme_networks
from tuning.assess import assess, class_means
from tuning.free import CONVEX

NEAR = 1e-5  # sums of probabilities this near are summed again as `assess` sums them
AT_ONCE = 1 << 24  # numbers held at a time


@dataclass(frozen=True)
class Assessed:
    """The numbers of `assess.Assessment` for S settings, `[S]` float64 each."""

    accuracy: np.ndarray
    mean_class_accuracy: np.ndarray
    true_score: np.ndarray
    gflops_per_video: np.ndarray


def assess_all(data: EvaluationSet, settings: list[SelectionConfig], costs: Costs) -> Assessed:
    """What every one of the settings gives; equal to `assess` of each."""
    found = np.zeros((len(dataclasses.fields(Assessed)), len(settings)))
    places: dict[tuple, dict[int, list[int]]] = {}
    for place, setting in enumerate(settings):
        if not is_plain(setting):
            found[:, place] = dataclasses.astuple(assess(data, setting, costs))
            continue
        places.setdefault(_ranking(setting), {}).setdefault(setting.stride, []).append(place)
    for of_stride in places.values():
        for part in _in_parts(data, of_stride):
            _assess_ranking(data, settings, costs, part, found)
    return Assessed(*found)


def is_plain(setting: SelectionConfig) -> bool:
    """Whether the choice is the K best of one ranking, and the answer their mean."""
    return setting.nms_gap <= 1 and not (setting.diversity or setting.stop_margin or setting.temperature)


def _ranking(setting: SelectionConfig) -> tuple:
    """What decides the order of clips, apart from the stride."""
    eyes = setting.K_prime if setting.fusion == "union_list" else None
    return setting.fusion, eyes, setting.alpha if setting.fusion in CONVEX else None


def _in_parts(data: EvaluationSet, of_stride: dict[int, list[int]]) -> Iterator[dict[int, list[int]]]:
    strides = list(of_stride)
    at_once = max(1, AT_ONCE // max(data.probabilities.size, 1))
    for first in range(0, len(strides), at_once):
        yield {stride: of_stride[stride] for stride in strides[first : first + at_once]}


def _assess_ranking(data, settings, costs, of_stride: dict[int, list[int]], found: np.ndarray) -> None:
    """Fills the columns of `found` whose settings share a ranking, for some strides together."""
    strides = list(of_stride)
    some = settings[of_stride[strides[0]][0]]
    masks = np.stack([np.asarray(choose.strided(data.mask, stride)) for stride in strides])
    most = max(settings[place].K for places in of_stride.values() for place in places)
    order = _orders(data, masks, some)[..., : min(most, data.mask.shape[1])]
    counts = masks.sum(axis=2)
    right, true = _along(data, order, counts)
    networks = scheme_networks(some.fusion, costs)
    for row, stride in enumerate(strides):
        sampling = gflops_per_video(data, costs, networks, 0, stride)
        places = of_stride[stride]
        last = np.minimum([settings[place].K for place in places], order.shape[-1]) - 1
        found[0, places] = right[row, last].mean(axis=-1)
        found[1, places] = class_means(right[row, last], data.labels)
        found[2, places] = true[row, last].mean(axis=-1)
        classified = np.minimum(last[:, None] + 1, counts[row]).mean(axis=-1)
        found[3, places] = sampling + classified * costs.classifier / GIGA


def _orders(data: EvaluationSet, masks: np.ndarray, setting: SelectionConfig) -> np.ndarray:
    """The ranked lists `[T, V, L]` among the clips of T masks `[T, V, L]`."""
    times, (videos, clips) = len(masks), data.mask.shape
    nothing = np.zeros(data.mask.shape, np.float32)

    def repeated(values):
        return np.tile(nothing if values is None else values, (times, 1))

    mask = masks.reshape(times * videos, clips)
    scores = fuse(
        setting.fusion,
        repeated(data.visual),
        repeated(data.audio),
        mask,
        repeated(data.has_audio),
        alpha=setting.alpha,
        k_prime=setting.K_prime,
    )
    return np.asarray(choose.order(scores, mask)).reshape(masks.shape)


def _along(data: EvaluationSet, order: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For the first 1, 2, ... M clips of rankings `[T, V, M]`: which videos are right `[T, M, V]`, and the
    mean score of the true class. counts `[T, V]`: clips that are ranked at all."""
    places = np.arange(order.shape[-1])
    there = places < counts[..., None]
    videos = np.arange(len(data.labels))
    ranked = data.probabilities[videos[None, :, None], order] * there[..., None]
    sums = np.cumsum(ranked, axis=2, dtype=np.float64)
    true = np.take_along_axis(sums, data.labels[None, :, None, None], axis=-1)[..., 0]
    others = sums.copy()
    np.put_along_axis(others, data.labels[None, :, None, None], -np.inf, axis=-1)
    lead = true - others.max(axis=-1, initial=-np.inf)
    right = (lead > 0) & (true > 0)
    near = np.abs(lead) <= NEAR * (places + 1)
    right[near] = _as_assessed(data, order, there, near)
    means = true / np.maximum(np.minimum(places + 1, counts[..., None]), 1)
    return right.transpose(0, 2, 1), means.transpose(0, 2, 1)


def _as_assessed(data: EvaluationSet, order: np.ndarray, there: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Which of the choices marked in `near` `[T, V, M]` are right, by the very sums of `assess`."""
    strides, videos, lasts = np.nonzero(near)
    answers = np.zeros(len(videos), bool)
    at_once = max(1, AT_ONCE // max(data.probabilities[0].size, 1))
    for first in range(0, len(videos), at_once):
        part = slice(first, first + at_once)
        row, video = strides[part], videos[part]
        chosen = np.zeros((len(video), data.mask.shape[1]), bool)
        taken = there[row, video] & (np.arange(order.shape[-1]) <= lasts[part][:, None])
        rows, places = np.nonzero(taken)
        chosen[rows, order[row[rows], video[rows], places]] = True
        some = dataclasses.replace(data, probabilities=data.probabilities[video], labels=data.labels[video])
        answers[part] = is_right(some, chosen)
    return answers
