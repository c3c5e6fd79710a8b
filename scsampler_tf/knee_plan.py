"""The points of the knee as plain data: the visual sampler by residual size, P-frames a clip and network.

A sampler that comes out as the run's own is that one. MD does not see the size of the residuals, so it is
trained once for each number of P-frames.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UserError
from pipelines.settings import RESIDUAL_SHARES, FeatureSettings
from scsampler_tf.config import ExperimentConfig
from scsampler_tf.models.presets import PRESETS
from scsampler_tf.variant_plan import Variant, vary
from scsampler_tf.workdir import Workdir

NAME = "knee"
FRAMES = (0, 4, 1)
EYES = {"md": ("md",), "rgb_r": ("rgb_r",), "both": ("md", "rgb_r")}
OF_FRAMES = ("resnet2d", "shufflenet")  # families of networks that take single frames


@dataclass(frozen=True)
class Setting:
    """Residuals of `size` pixels and `frames` P-frames a clip (0 for all) for both samplers of sight."""

    size: int
    frames: int
    features: FeatureSettings

    @property
    def name(self) -> str:
        """Its folder in the run's folder `knee`."""
        return f"r{self.size}-{_short(self.frames)}"


@dataclass(frozen=True)
class Point:
    """A sampler of the grid, trained on the features of a setting."""

    kind: str
    setting: Setting

    @property
    def place(self) -> str:
        """Its folder in the run's folder `knee`: one for all residual sizes if it sees none."""
        return self.setting.name if self.kind == "rgb_r" else f"{self.kind}-{_short(self.setting.frames)}"

    @property
    def name(self) -> str:
        """Unique among all samplers of the plan."""
        return f"{self.kind}-{self.setting.name}" if self.kind == "rgb_r" else self.place

    def model(self, workdir: Workdir) -> Path:
        """Folder of the network."""
        return self._place(workdir).model(self.kind)

    def table(self, workdir: Workdir) -> Path:
        """Its score table."""
        return self._place(workdir).table(self.kind)

    def features(self, workdir: Workdir) -> Path:
        """Folder of the features that it is trained on."""
        return Workdir(knee_folder(workdir) / self.setting.name).features

    def _place(self, workdir: Workdir) -> Workdir:
        return Workdir(knee_folder(workdir) / self.place)


@dataclass(frozen=True)
class Row:
    """A row of the table: the mean score of one or two samplers.

    `features` is what a video has to be read for. `curve` names the rows of the grid that differ in P-frames
    only, or those of one network at the run's own settings, which are not `on_grid`.
    """

    key: str
    title: str
    curve: str
    samplers: tuple[Point | Variant, ...]
    features: FeatureSettings
    on_grid: bool = True


@dataclass(frozen=True)
class Asked:
    """What the command was asked for: (size, frames) of the grid, and other networks."""

    grid: tuple[tuple[int, int], ...]
    archs: tuple[str, ...] = ()

    def joined(self, other: "Asked") -> "Asked":
        """Both together, in the order in which they were asked for."""
        return Asked(
            tuple(dict.fromkeys((*other.grid, *self.grid))), tuple(dict.fromkeys((*other.archs, *self.archs)))
        )

    def to_dict(self) -> dict:
        """Plain data, ready for JSON."""
        return {"grid": [list(pair) for pair in self.grid], "archs": list(self.archs)}


def knee_folder(workdir: Workdir) -> Path:
    """Where everything of the knee lies."""
    return workdir.path / NAME


def asked_from_dict(values: dict) -> Asked:
    """What `Asked.to_dict` gave; raises `UserError` for anything else."""
    try:
        return Asked(
            tuple((int(size), int(frames)) for size, frames in values["grid"]), tuple(values["archs"])
        )
    except (TypeError, KeyError, ValueError):
        raise UserError(f"{NAME}/plan.json: holds no plan; delete it and give the command again") from None


def asked(
    features: FeatureSettings,
    sizes: Sequence[int] | None = None,
    frames: Sequence[int] | None = None,
    archs: Sequence[str] = (),
) -> Asked:
    """The grid of `sizes` (default the canvas, its half and its quarter) and `frames` (default all, 4, 1).

    More frames than a clip has are all of them. Raises `UserError` for what cannot be.
    """
    for arch in archs:
        if arch not in PRESETS or PRESETS[arch]["family"] not in OF_FRAMES:
            known = [name for name, preset in PRESETS.items() if preset["family"] in OF_FRAMES]
            raise UserError(f"--archs {arch}: is no network of single frames; there are {', '.join(known)}")
    if sizes is None:
        sizes = [features.canvas // share for share in RESIDUAL_SHARES]
    counts = [0 if count >= features.span else count for count in (FRAMES if frames is None else frames)]
    grid = tuple(dict.fromkeys((size, count) for count in counts for size in sizes))
    for size, count in grid:
        setting(features, size, count)  # settings that cannot be are refused here
    return Asked(grid, tuple(dict.fromkeys(archs)))


def setting(base: FeatureSettings, size: int, frames: int) -> Setting:
    """The run's features with another residual size and number of P-frames."""
    features = dataclasses.replace(base, residual_size=size, residual_frames=frames, md_frames=frames)
    return Setting(size, frames, features)


def motion_alone(base: FeatureSettings, frames: int) -> FeatureSettings:
    """The least that reading a video can be asked for beside MD: one small residual a clip."""
    smallest = base.canvas // max(RESIDUAL_SHARES)
    return dataclasses.replace(base, md_frames=frames, residual_frames=1, residual_size=smallest)


def rows_of(config: ExperimentConfig, wanted: Asked) -> list[Row]:
    """Every row: the grid, then the run's own settings, then these with other networks."""
    rows = []
    for size, frames in wanted.grid:
        rows += _grid_rows(config, setting(config.features, size, frames))
    for arch in (None, *wanted.archs):
        rows += _arch_rows(config, arch)
    found: dict[tuple, Row] = {}
    for row in rows:
        found.setdefault(tuple(each.name for each in row.samplers), row)
    return list(found.values())


def samplers_of(rows: Sequence[Row]) -> list[Point | Variant]:
    """Every sampler of these rows once, in the order in which they are trained."""
    found = {each.name: each for row in rows for each in row.samplers}
    return list(found.values())


def _grid_rows(config: ExperimentConfig, at: Setting) -> list[Row]:
    samplers = {"md": _md(config, at), "rgb_r": _rgb_r(config, at)}
    titles = _titles(at.size)
    words = _long(at.frames)
    places = {"md": f"md-{_short(at.frames)}", "rgb_r": f"rgb_r-{at.name}", "both": f"both-{at.name}"}
    return [
        Row(
            places[which],
            f"{titles[which]}, {words}",
            titles[which],
            tuple(samplers[kind] for kind in kinds),
            motion_alone(config.features, at.frames) if which == "md" else at.features,
        )
        for which, kinds in EYES.items()
    ]


def _arch_rows(config: ExperimentConfig, arch: str | None) -> list[Row]:
    """The run's own feature settings with its own networks (None) or another one."""
    base = config.features
    changes = {} if arch is None else {"arch": arch}
    samplers = {kind: vary(config, kind, **changes) for kind in EYES["both"]}
    titles = _titles(base.residual_size)
    counts = {"md": _long(base.md_frames), "rgb_r": _long(base.residual_frames)}
    same = base.md_cells == base.residual_cells
    counts["both"] = counts["md"] if same else f"{base.md_frames or 'all'} and {counts['rgb_r']}"
    mark = "the run's" if arch is None else arch
    return [
        Row(
            which if arch is None else f"{which}-{arch}",
            f"{titles[which]}, {counts[which]} ({mark})",
            f"{mark}: MD, RGB-R, both",
            tuple(samplers[kind] for kind in kinds),
            motion_alone(base, base.md_frames) if which == "md" else base,
            on_grid=False,
        )
        for which, kinds in EYES.items()
    ]


def _md(config: ExperimentConfig, at: Setting) -> Point | Variant:
    own = config.features
    if at.features.md_cells == own.md_cells:
        return vary(config, "md")
    # The smallest residuals, whatever sizes were asked for, so that it is the same point in every command.
    return Point("md", setting(own, own.canvas // max(RESIDUAL_SHARES), at.frames))


def _rgb_r(config: ExperimentConfig, at: Setting) -> Point | Variant:
    own = config.features
    if (at.size, at.features.residual_cells) == (own.residual_size, own.residual_cells):
        return vary(config, "rgb_r")
    return Point("rgb_r", at)


def _titles(size: int) -> dict[str, str]:
    return {"md": "MD", "rgb_r": f"RGB-R {size}", "both": f"MD + RGB-R {size}"}


def _short(frames: int) -> str:
    return f"p{frames}" if frames else "all"


def _long(frames: int) -> str:
    return f"{frames or 'all'} P-frame{'' if frames == 1 else 's'}"
