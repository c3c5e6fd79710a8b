"""Settings of the choice: which clips the classifier sees, and what becomes of its answers."""

from collections.abc import Collection
from dataclasses import dataclass

from pipelines.errors import UserError

FAR = 2**31 - 1  # clips are counted as int32
ACTIVATIONS = "activations"  # the table of what `diversity` compares clips by
SEERS = ("md", "rgb_r")  # the samplers of sight that an experiment trains


@dataclass(frozen=True)
class SelectionConfig:
    """Which clips f sees: K clips by the fusion scheme, scored every `stride`-th clip.

    The settings after `stride` go beyond the paper and are off unless given.
    """

    K: int = 10
    K_prime: int = 8
    alpha: float = 0.8
    fusion: str = "union_list"
    stride: int = 1
    nms_gap: int = 0
    """Chosen clips lie at least this many clips apart where the video allows it; 0 and 1: anywhere."""
    diversity: float = 0.0
    """What unlikeness to the clips chosen before counts against saliency (marginal relevance); 0: nothing."""
    stop_margin: float = 0.0
    """Classify by saliency until the mean's best class leads the second by this much; 0: always K clips."""
    stop_least: int = 1
    """Clips that are classified before it may stop."""
    temperature: float = 0.0
    """The answer weights chosen clips by softmax(saliency / temperature); 0: all alike."""


def seer(kinds: Collection[str]) -> str | None:
    """The sampler among `kinds` by whose activations clips are compared, MD or else RGB-R; None without."""
    return next((kind for kind in SEERS if kind in kinds), None)


def check_selection(selection: SelectionConfig) -> None:
    """Raises `UserError` for settings that contradict each other or cannot work."""
    limits = {"K_prime": (selection.K, "K="), "alpha": (1, ""), "diversity": (1, "")}
    limits |= {"stop_margin": (1, ""), "nms_gap": (FAR, "")}
    for name, (highest, called) in limits.items():
        value = getattr(selection, name)
        if not 0 <= value <= highest:
            raise UserError(f"selection.{name}: {value} is not within 0..{called}{highest}")
    if selection.diversity and selection.nms_gap > 1:
        raise UserError(
            f"selection.nms_gap: {selection.nms_gap} and selection.diversity {selection.diversity} both keep "
            "clips from being alike; give one of them"
        )
    if selection.stop_least > selection.K:
        raise UserError(f"selection.stop_least: {selection.stop_least} is not within 1..K={selection.K}")
    if selection.stop_least > 1 and not selection.stop_margin:
        raise UserError(
            f"selection.stop_least: {selection.stop_least} without selection.stop_margin changes nothing; "
            "give both or neither"
        )
