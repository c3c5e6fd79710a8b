"""Chosen clips of one video decoded and classified: all at once, or in turns until the answer is confident.

Numpy only, because a client of a server has no Keras; the rule is that of `adaptive`, the mean `weighting`'s.
"""

from collections.abc import Callable

import numpy as np

from scsampler_tf.predict_models import Call

Decode = Callable[[list[int]], dict[int, np.ndarray]]
"""Clip numbers in order of time -> pictures `[F, S, S, 3]` by clip."""
Pack = Callable[[np.ndarray], bytes]


def classified(
    call: Call, chosen: list[int], fused: np.ndarray, options: dict, decode: Decode, pack: Pack
) -> tuple[dict[int, np.ndarray], np.ndarray, np.ndarray]:
    """Pictures by clip, probabilities `[N, C]` of the first N chosen clips and `[C]` of the video.

    chosen: clip numbers in the order to classify them; fused: the score `[L]` that has ranked all clips;
    options: the model's settings of the choice. Without a `stop_margin` N is K. With one each clip is a
    request of its own, because an exported model begins its rule anew in every request.
    """

    def asked(clips: list[int]) -> dict:
        # Only a model that weights its clips asks for their saliency.
        weights = {"saliency": fused[None, clips]} if options.get("temperature") else {}
        return call("classify", {"clips": [[pack(pictures[clip]) for clip in clips]], **weights})

    if not options.get("stop_margin"):
        pictures = decode(sorted(chosen))
        answer = asked(chosen)
        return pictures, np.asarray(answer["clip_probabilities"])[0], np.asarray(answer["probabilities"])[0]
    pictures, rows, least = {}, [], options.get("stop_least", 1)
    for turn, clip in enumerate(chosen):
        if clip not in pictures:
            # As many again as were needed so far: a file without key frames is read anew for every group.
            pictures |= decode(sorted(chosen[turn : turn + max(turn, least)]))
        rows.append(np.asarray(asked([clip])["clip_probabilities"], np.float32)[0, 0])
        if turn + 1 >= least and _lead(rows) >= options["stop_margin"]:
            break
    each = np.stack(rows)
    return pictures, each, _mean(each, fused[chosen[: len(each)]], options.get("temperature"))


def _lead(rows: list[np.ndarray]) -> np.float32:
    """How far the best class of the clips' mean leads the second; a single class leads by all it has."""
    mean = np.sort(sum(rows) / np.float32(len(rows)))
    return mean[-1] - (mean[-2] if len(mean) > 1 else 0)


def _mean(each: np.ndarray, saliency: np.ndarray, temperature: float | None) -> np.ndarray:
    """The clips' mean `[C]`, weighted by softmax(saliency / temperature) where there is one."""
    lowest, highest = np.finfo(np.float32).min, np.finfo(np.float32).max
    saliency = np.clip(np.where(np.isnan(saliency), lowest, saliency), lowest, highest).astype(float)
    lag = saliency - saliency.max()
    return np.average(each, axis=0, weights=np.exp(lag / temperature) if temperature else None)
