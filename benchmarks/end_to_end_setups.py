"""Which classifiers are measured from file to label, and with which samplers."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from scsampler_tf.config import ExperimentConfig, small, tiny, with_settings

NAMES = ("cheap", "costly")
LIGHT = ("features.motion=fast",)
"""Motion that is read faster from streams with B-frames than with the default settings."""


@dataclass(frozen=True)
class Setup:
    """A classifier with its clips and K, and its SCSamplers by the name of their row.

    Dense evaluation is measured on at most `most` clips and scaled; 0 classifies all of them.
    """

    name: str
    config: ExperimentConfig
    sampled: dict[str, ExperimentConfig]
    most: int = 0


def setups(quick: bool, most: int, k: int | None, settings: Sequence[str]) -> list[Setup]:
    """The cheap classifier with the samplers of the small preset, and the costly one, R(2+1)D-18.

    The costly one is measured with the default settings and with `LIGHT`, or with `settings` alone. In a
    quick run both are tiny. `k` None keeps the K of the configurations. Raises `UserError` for settings
    that do not fit.
    """
    cheap = _with_k(tiny() if quick else small(), k)
    costly = _with_k(tiny() if quick else ExperimentConfig(), k)
    if settings:
        costly = with_settings(costly, list(settings))
        sampled = {"SCSampler, as set": costly}
    else:
        sampled = {"SCSampler": costly, "SCSampler, light": with_settings(costly, list(LIGHT))}
    return [Setup("cheap", cheap, {"SCSampler": cheap}), Setup("costly", costly, sampled, most)]


def _with_k(config: ExperimentConfig, k: int | None) -> ExperimentConfig:
    if k is None:
        return config
    selection = config.selection
    chosen = dataclasses.replace(selection, K=k, K_prime=min(selection.K_prime, k))
    return dataclasses.replace(config, selection=chosen)
