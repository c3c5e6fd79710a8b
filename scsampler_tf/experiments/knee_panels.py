"""The points of the knee as curves: accuracy against GFLOPs and against seconds a video."""

from collections.abc import Sequence

from scsampler_tf.experiments.knee_rule import front
from scsampler_tf.experiments.knee_spots import Spot
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.rows import ACCURACY
from scsampler_tf.experiments.table import Panel, Series
from scsampler_tf.methods import Result

CAPTIONS = {"gflops": "GFLOPs per video (1e9 multiply-adds)", "seconds": "seconds per video"}
WORDS = {"gflops": "GFLOPs", "seconds": "seconds"}
# `figure.STYLES` of the curves, by what the samplers see.
STYLES = {
    "md": ("joint",),
    "rgb_r": ("convex_list", "convex_score", "intersect_list"),
    "both": ("visual", "audio", "union_list"),
}
OTHERS = ("uniform", "random", "empirical")
FRONT, KNEE = "oracle", "knee"


def panel(axis: str, spots: Sequence[Spot], others: dict[str, Result], at: int) -> Panel:
    """Curves over P-frames, the Pareto front, the knee (place `at`); dense and uniform as levels."""
    curves: dict[str, list[Spot]] = {}
    for spot in spots:
        curves.setdefault(spot.row.curve, []).append(spot)
    taken = dict.fromkeys((*STYLES, ""), 0)
    series = []
    for label, members in curves.items():
        what = _what(members[0])
        styles = STYLES.get(what, OTHERS)
        members = sorted(members, key=lambda spot: spot.cost(axis))
        series.append(_drawn(styles[taken[what] % len(styles)], label, axis, members))
        taken[what] += 1
    ahead = front([spot.cost(axis) for spot in spots], [spot.result.accuracy for spot in spots])
    best_ones = sorted(
        (spot for spot, on in zip(spots, ahead, strict=True) if on), key=lambda spot: spot.cost(axis)
    )
    series.append(_drawn(FRONT, "Pareto front", axis, best_ones))
    series.append(_drawn(KNEE, f"knee: {spots[at].row.title}", axis, [spots[at]]))
    for name in ("dense", "uniform"):
        series.append(Series(name, TITLES[name], [0.0], [others[name].accuracy]))
    return Panel(f"accuracy against {WORDS[axis]}", CAPTIONS[axis], ACCURACY, series)


def _what(spot: Spot) -> str:
    """What a curve's samplers see; "" off the grid."""
    if not spot.row.on_grid:
        return ""
    kinds = [each.kind for each in spot.row.samplers]
    return "both" if len(kinds) > 1 else kinds[0]


def _drawn(style: str, label: str, axis: str, spots: Sequence[Spot]) -> Series:
    # A single x would be drawn as a level, so a lone point is given twice.
    spots = list(spots) * (2 if len(spots) == 1 else 1)
    return Series(
        style, label, [float(spot.cost(axis)) for spot in spots], [spot.result.accuracy for spot in spots]
    )
