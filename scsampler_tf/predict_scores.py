"""The clips of one video scored and chosen by a model: in groups of any number, or in one request."""

from collections.abc import Iterator

import numpy as np

from pipelines.settings import FeatureSettings
from pipelines.wire import pack_log_mel, pack_md, pack_strip
from scsampler_tf.predict_models import Call

SCORES = ("visual", "audio", "has_audio")


def scored_and_chosen(
    groups: Iterator[list],
    settings: FeatureSettings,
    call: Call,
    names: list[str],
    k: int | None,
    at_once: int = 0,
) -> tuple[dict[str, np.ndarray], list[int], np.ndarray, list[tuple[float, float]]]:
    """Scores `[L, ...]` of all clips, the chosen clips in the order to classify them, the score `[L]` that
    has ranked all, and (start, end) of each clip in seconds.

    groups: (clip features, log-mel or None) of the video's clips, a group at a time; names: the outputs of
    `score` that choosing needs; k: how many to choose, None for the model's own. A video whose one group is
    smaller than `at_once` is one request, `sample`; all others are `score` for each group and `select`.
    """
    parts, bounds = [], []
    for group in groups:
        bounds += [(clip.start_s, clip.end_s) for clip, _ in group]
        features = _features(group, settings)
        if not parts and len(group) < at_once:  # nothing can follow
            answer = _asked(call, "sample", features, len(group), k)
            return {name: np.asarray(answer[name])[0] for name in SCORES}, *_choice(answer), bounds
        outputs = call("score", features)
        parts.append({name: np.asarray(outputs[name])[0] for name in names})
    scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    inputs = {name: values[None] for name, values in scores.items()}
    return scores, *_choice(_asked(call, "select", inputs, len(bounds), k)), bounds


def _features(group: list, settings: FeatureSettings) -> dict[str, list]:
    return {
        "md": [[pack_md(clip.md) for clip, _ in group]],
        "rgb_r": [[pack_strip(clip.rgb_r, settings.jpeg_quality) for clip, _ in group]],
        "log_mel": [[pack_log_mel(mel) for _, mel in group]],
    }


def _asked(call: Call, signature: str, inputs: dict, clips: int, k: int | None) -> dict:
    inputs = {**inputs, "mask": np.ones([1, clips], bool)}
    if k is None:
        return call(signature, inputs)
    return call(f"{signature}_k", {**inputs, "K": np.array([min(k, clips)], np.int32)})


def _choice(answer: dict) -> tuple[list[int], np.ndarray]:
    chosen = [int(clip) for clip in np.asarray(answer["indices"])[0] if clip >= 0]
    return chosen, np.asarray(answer["saliency"])[0]
