"""What a search may change.

K, K', alpha, the fusion scheme and the stride are arithmetic on score tables and cost nothing to try; each
margin of the ranking loss is one training of the audio sampler.
"""

import dataclasses
import itertools
from dataclasses import dataclass

from pipelines.errors import UserError
from scsampler_tf.config import SelectionConfig

FUSIONS = ("union_list", "convex_score", "convex_list", "intersect_list", "visual", "audio")
HEARING = tuple(scheme for scheme in FUSIONS if scheme != "visual")
CLIPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
TENTHS = tuple(step / 10 for step in range(1, 10))
STRIDES = (1, 2, 3, 4)
MARGINS = (0.0, 0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True)
class Setting:
    """One point of the space. margin is None where no audio sampler takes part, or none with a margin."""

    selection: SelectionConfig
    margin: float | None

    def describe(self) -> str:
        """The settings that matter under this scheme, on one line."""
        chosen = self.selection
        parts = [chosen.fusion, f"K={chosen.K}"]
        if chosen.fusion == "union_list":
            parts.append(f"K'={chosen.K_prime}")
        if chosen.fusion.startswith("convex"):
            parts.append(f"alpha={chosen.alpha:g}")
        parts.append(f"stride={chosen.stride}")
        return " ".join(parts if self.margin is None else [*parts, f"margin={self.margin:g}"])


@dataclass(frozen=True)
class Choice:
    """One hyperparameter: the values that it may take and the fusion schemes under which it matters."""

    name: str
    values: tuple
    schemes: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """The values on offer. `own` and `own_margin` are the run's settings, which fill what does not matter.

    `margins` is empty without an audio sampler trained by SAL-RANK. K' is searched as a share of K, so
    that it never exceeds K and means alike at every K.
    """

    own: SelectionConfig
    own_margin: float | None
    schemes: tuple[str, ...]
    clips: tuple[int, ...]
    strides: tuple[int, ...]
    margins: tuple[float, ...]
    shares: tuple[float, ...] = TENTHS
    alphas: tuple[float, ...] = TENTHS

    def choices(self) -> list[Choice]:
        """The hyperparameters, the scheme first because others depend on it."""
        every = [
            Choice("fusion", self.schemes, self.schemes),
            Choice("K", self.clips, self.schemes),
            Choice("stride", self.strides, self.schemes),
            Choice("visual_share", self.shares, ("union_list",)),
            Choice("alpha", self.alphas, ("convex_score", "convex_list")),
            Choice("margin", self.margins, HEARING),
        ]
        return [each for each in every if each.values and set(each.schemes) & set(self.schemes)]

    def setting(self, values: dict) -> Setting:
        """The settings that a trial's values stand for."""
        scheme, K = values["fusion"], values["K"]
        share = values.get("visual_share", self.own.K_prime / self.own.K)
        # What goes beyond the paper is not searched and stays as the run has it.
        selection = dataclasses.replace(
            self.own,
            K=K,
            K_prime=visual_clips(share, K),
            alpha=values.get("alpha", self.own.alpha),
            fusion=scheme,
            stride=values["stride"],
            stop_least=min(self.own.stop_least, K),
        )
        return Setting(selection, values.get("margin", self.own_margin) if scheme in HEARING else None)

    def own_setting(self) -> Setting:
        """The run's own settings as a point of the space."""
        return Setting(self.own, self.own_margin if self.own.fusion in HEARING else None)

    def grid(self) -> list[dict]:
        """The values of all different settings, all of the first margin before any of the second."""
        found: dict[Setting, dict] = {}
        for scheme in self.schemes:
            matter = [choice for choice in self.choices()[1:] if scheme in choice.schemes]
            names = [choice.name for choice in matter]
            for values in itertools.product(*(choice.values for choice in matter)):
                point = {"fusion": scheme, **dict(zip(names, values, strict=True))}
                found.setdefault(self.setting(point), point)
        place = {margin: number for number, margin in enumerate(self.margins)}
        return sorted(found.values(), key=lambda point: place.get(point.get("margin"), 0))


def visual_clips(share: float, K: int) -> int:
    """K': the visual sampler's share of K, halves rounded up, within 0..K."""
    return min(K, int(share * K + 0.5))


def make_space(
    own: SelectionConfig,
    own_margin: float | None,
    *,
    visual: bool,
    audio: bool,
    longest: int,
    clips: tuple[int, ...] | None = None,
    max_trainings: int | None = None,
) -> Space:
    """The space for a run with these samplers whose longest validation video has `longest` clips.

    `clips` are the K to try (by default up to twice the run's own). At most `max_trainings` margins other
    than the run's own are on offer, the nearest first. Raises `UserError` where nothing can be searched.
    """
    if not visual and not audio:
        raise UserError(
            "no sampler has a score table; run python -m scsampler_tf.train sampler and scsampler_tf.score"
        )
    both = visual and audio
    schemes = FUSIONS if both else ("visual",) if visual else ("audio",)
    if both and own.fusion in FUSIONS:
        schemes = (own.fusion, *(scheme for scheme in FUSIONS if scheme != own.fusion))
    return Space(
        own=own
        if both or own.fusion in schemes
        else dataclasses.replace(own, K_prime=own.K, alpha=1.0, fusion=schemes[0]),
        own_margin=own_margin,
        schemes=schemes,
        clips=_clips_to_try(own.K, longest, clips),
        strides=tuple(sorted({own.stride, *(step for step in STRIDES if step < max(longest, 2))})),
        margins=_margins_to_try(own_margin, max_trainings) if audio and own_margin is not None else (),
    )


def _clips_to_try(own: int, longest: int, given: tuple[int, ...] | None) -> tuple[int, ...]:
    if given is None:
        most = min(longest, 2 * own)
        return tuple(sorted({min(own, longest), *(clips for clips in CLIPS if clips <= most)}))
    for clips in given:
        if clips < 1:
            raise UserError(f"--clips {clips}: at least one clip has to be chosen")
        if clips > longest:
            raise UserError(f"--clips {clips}: the longest validation video has {longest} clips; give less")
    return tuple(sorted(set(given)))


def _margins_to_try(own: float, most: int | None) -> tuple[float, ...]:
    if most is not None and most < 0:
        raise UserError(f"--max-trainings {most}: give 0 (no training) or more")
    others = sorted((each for each in MARGINS if each != own), key=lambda each: abs(each - own))
    return (own, *others[:most])
