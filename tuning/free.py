"""The settings that cost nothing to try: fusion scheme, K, K', alpha and stride, all of them arithmetic on
score tables. What goes beyond the paper (`SelectionConfig` after `stride`) stays as the run has it."""

import dataclasses
import itertools
import random
from dataclasses import dataclass

import numpy as np

from pipelines.errors import UserError
from scsampler_tf.config import SelectionConfig

FUSIONS = ("union_list", "convex_score", "convex_list", "intersect_list", "visual", "audio")
CONVEX = ("convex_score", "convex_list")
MOST_CLIPS = 20
ALPHAS = tuple(step / 20 for step in range(1, 20))
STRIDES = (1, 2, 3, 4)


@dataclass(frozen=True)
class FreeSpace:
    """The values on offer. `own` are the run's settings; they are among `settings`, too."""

    own: SelectionConfig
    schemes: tuple[str, ...]
    clips: tuple[int, ...]
    strides: tuple[int, ...]
    alphas: tuple[float, ...] = ALPHAS

    def settings(self, budget: int | None = None, seed: int = 0) -> list[SelectionConfig]:
        """Every setting once, the run's own first; at most `budget` of them, then drawn by `seed`."""
        found = dict.fromkeys([self.own])
        for scheme in self.schemes:
            for stride in self.strides:
                found |= dict.fromkeys(self._of(scheme, stride))
        own, *others = found
        if budget is None or budget >= len(found):
            return [own, *others]
        drawn = sorted(random.Random(seed).sample(range(len(others)), budget - 1))
        return [own, *(others[place] for place in drawn)]

    def _of(self, scheme: str, stride: int) -> list[SelectionConfig]:
        base = dataclasses.replace(self.own, fusion=scheme, stride=stride)
        if scheme == "union_list":  # with K' = 0 or K it is one of the samplers alone
            pairs = [(K, {"K_prime": eyes}) for K in self.clips for eyes in range(1, K)]
        elif scheme in CONVEX:
            pairs = [(K, {"alpha": alpha}) for K in self.clips for alpha in self.alphas]
        else:
            pairs = [(K, {}) for K in self.clips]
        return [_with(base, K, **changed) for K, changed in pairs]


def _with(base: SelectionConfig, K: int, **changed) -> SelectionConfig:
    least = min(base.stop_least, K)
    values = {"K": K, "K_prime": min(base.K_prime, K), "stop_least": least, **changed}
    return dataclasses.replace(base, **values)


def make_free_space(
    own: SelectionConfig, *, visual: bool, audio: bool, longest: int, clips: tuple[int, ...] | None = None
) -> FreeSpace:
    """The space for a run with these samplers whose longest validation video has `longest` clips.

    `clips` are the K to try, by default 1 to 20 but at most twice the run's own. Raises `UserError` where
    nothing can be searched.
    """
    if not visual and not audio:
        raise UserError(
            "no sampler has a score table; run python -m scsampler_tf.train sampler and scsampler_tf.score"
        )
    both = visual and audio
    schemes = FUSIONS if both else ("visual",) if visual else ("audio",)
    if not both and own.fusion not in schemes:
        own = dataclasses.replace(own, K_prime=own.K, alpha=1.0, fusion=schemes[0])
    alphas = sorted({*ALPHAS, own.alpha}) if own.fusion in CONVEX else ALPHAS
    strides = sorted({own.stride, *(step for step in STRIDES if step < max(longest, 2))})
    return FreeSpace(own, schemes, _clips(own.K, longest, clips), tuple(strides), tuple(alphas))


def _clips(own: int, longest: int, given: tuple[int, ...] | None) -> tuple[int, ...]:
    if given is None:
        most = min(longest, 2 * own, MOST_CLIPS)
        return tuple(sorted({min(own, longest), *range(1, most + 1)}))
    for clips in given:
        if clips < 1:
            raise UserError(f"--clips {clips}: at least one clip has to be chosen")
        if clips > longest:
            raise UserError(f"--clips {clips}: the longest validation video has {longest} clips; give less")
    return tuple(sorted(set(given)))


def neighbours(settings: list[SelectionConfig]) -> np.ndarray:
    """The settings one step or less away in K, in K' or alpha and in stride, under the same scheme, each
    setting itself among them: places `[S, N]`, padded with -1."""
    orders = [sorted({getattr(each, name) for each in settings}) for name in ("K", "stride", "alpha")]
    steps = [{value: step for step, value in enumerate(order)} for order in orders]
    places = {_point(each, *steps): place for place, each in enumerate(settings)}
    near = []
    for scheme, K, stride, other in places:
        around = itertools.product((scheme,), *((step - 1, step, step + 1) for step in (K, stride, other)))
        near.append([places[point] for point in around if point in places])
    found = np.full((len(settings), max(map(len, near))), -1)
    for place, some in zip(places.values(), near, strict=True):
        found[place, : len(some)] = some
    return found


def _point(setting: SelectionConfig, K: dict, stride: dict, alpha: dict) -> tuple:
    other = alpha[setting.alpha] if setting.fusion in CONVEX else 0
    eyes = setting.K_prime if setting.fusion == "union_list" else other
    return setting.fusion, K[setting.K], stride[setting.stride], eyes


def describe(chosen: SelectionConfig) -> str:
    """The settings that matter under their scheme, on one line."""
    parts = [chosen.fusion, f"K={chosen.K}"]
    if chosen.fusion == "union_list":
        parts.append(f"K'={chosen.K_prime}")
    if chosen.fusion in CONVEX:
        parts.append(f"alpha={chosen.alpha:g}")
    return " ".join([*parts, f"stride={chosen.stride}"])
