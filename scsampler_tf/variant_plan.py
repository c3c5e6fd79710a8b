"""The samplers that tables 4, 5 and 6 and figure 3 of the paper compare, as plain data.

A variant is a sampler with some settings of its own and the run's for all else. One that comes out as the
run's own sampler is that one, so nothing is trained twice.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from scsampler_tf.config import OBJECTIVES, SAMPLERS, ExperimentConfig, SamplerConfig
from scsampler_tf.models.presets import PRESETS
from scsampler_tf.workdir import Workdir

OBJECTIVE_NAMES = {"ac": "AC", "sal_cl": "SAL-CL", "sal_rank": "SAL-RANK"}
KIND_NAMES = {"md": "MD", "rgb_r": "RGB-R", "iframe": "IF", "audio": "audio"}
EYES = ("md", "rgb_r")
FEATURE_SETS = (("iframe",), ("md",), ("rgb_r",), ("md", "rgb_r"), ("iframe", "md", "rgb_r"))
SHUFFLENET = "shufflenet_26"
FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 3 / 4)


@dataclass(frozen=True)
class Variant:
    """A sampler: `kind` says what it sees; `own` that it is the run's.

    With `begins_with` its training begins with the weights of that variant, which is trained before.
    """

    name: str
    kind: str
    config: SamplerConfig
    own: bool = False
    begins_with: "Variant | None" = None

    def model(self, workdir: Workdir) -> Path:
        """Folder of the network."""
        return workdir.model(self.kind) if self.own else workdir.variant_model(self.name)

    def table(self, workdir: Workdir) -> Path:
        """Its score table."""
        return workdir.table(self.kind) if self.own else workdir.variant_table(self.name)


@dataclass(frozen=True)
class Row:
    """A row of a table: the mean score of one or more variants, all of sight or one of sound.

    `group` says which rows belong together; the first of a group is what the others are compared with.
    """

    key: str
    title: str
    group: str
    variants: tuple[Variant, ...]

    @property
    def scheme(self) -> str:
        """ "audio" or "visual"."""
        return "audio" if self.variants[0].kind == "audio" else "visual"


def vary(config: ExperimentConfig, kind: str, begins_with: Variant | None = None, **changes) -> Variant:
    """The run's sampler `kind` with other settings.

    Another architecture leaves the run's weights for this kind aside, which would not fit.
    """
    own = getattr(config, kind)
    if changes.get("arch", own.arch) != own.arch:
        changes = {"weights": "", "trainable": "all", "features": "", **changes}
    varied = dataclasses.replace(own, **changes)
    words = _words(varied, own)
    if not words and begins_with is None:
        return Variant(kind, kind, own, own=True)
    if begins_with is not None:
        words.append(f"from_{begins_with.name}")
    return Variant("-".join((kind, *words)), kind, varied, begins_with=begins_with)


def _words(varied: SamplerConfig, own: SamplerConfig) -> list[str]:
    """What makes a folder's name: the settings in which a variant differs, of those that change anything."""
    varied, own = effective(varied), effective(own)
    words = []
    for key, value in dataclasses.asdict(varied).items():
        if value == getattr(own, key):
            continue
        if key in ("arch", "objective", "trainable", "features"):
            words.append(value or "whole")
        elif key == "ktr_fraction":
            words.append(f"ktr_{value:g}")
        elif key == "weights":
            words.append("fresh")
    return words


def effective(config: SamplerConfig) -> SamplerConfig:
    """The same with settings that this objective does not look at set back to their defaults."""
    idle = {"sal_rank": ("ktr_fraction",), "sal_cl": ("margin", "rank_form")}
    names = idle.get(config.objective, ("ktr_fraction", "margin", "rank_form"))
    defaults = SamplerConfig()
    return dataclasses.replace(config, **{name: getattr(defaults, name) for name in names})


def kinds_of(sound: bool) -> tuple[str, ...]:
    """The samplers of a run whose training videos have sound or not."""
    return tuple(kind for kind in SAMPLERS if sound or kind != "audio")


def objective_rows(config: ExperimentConfig, sound: bool) -> list[Row]:
    """Table 4: every sampler, and the visual ones together, with every objective."""
    groups = {"visual": EYES, **{kind: (kind,) for kind in kinds_of(sound)}}
    titles = {"visual": "visual (MD + RGB-R)", **KIND_NAMES}
    return [
        Row(
            f"{group}-{objective}",
            f"{titles[group]}, {OBJECTIVE_NAMES[objective]}",
            group,
            tuple(vary(config, kind, objective=objective) for kind in kinds),
        )
        for group, kinds in groups.items()
        for objective in OBJECTIVES
    ]


def feature_rows(config: ExperimentConfig, sound: bool) -> list[Row]:
    """Table 5: what the visual sampler sees, with the run's networks and with ShuffleNet."""
    rows = []
    for group, changes in (("own", {}), (SHUFFLENET, {"arch": SHUFFLENET})):
        for kinds in FEATURE_SETS:
            archs = dict.fromkeys(changes.get("arch", getattr(config, kind).arch) for kind in kinds)
            row = Row(
                f"{group}-{'+'.join(kinds)}",
                f"{' + '.join(KIND_NAMES[kind] for kind in kinds)}, {' and '.join(archs)}",
                f"{group} {len(kinds) > 1}",
                tuple(vary(config, kind, **changes) for kind in kinds),
            )
            if all(row.variants != other.variants for other in rows):
                rows.append(row)
    return rows


def audio_rows(config: ExperimentConfig, sound: bool) -> list[Row]:
    """Table 6: the audio network fine-tuned as a whole, and a class layer on its frozen activations.

    All with SAL-RANK and all from the same weights: those that the run's audio sampler begins with, or,
    when it begins at random, those of the same network trained for classification (AC) on the run's own
    videos, as the paper's is trained for classification on AudioSet.
    """
    if not sound:
        return []
    source = audio_source(config)
    rank = {"objective": "sal_rank"}
    rows = [
        Row(
            "whole",
            "whole network fine-tuned",
            "audio",
            (vary(config, "audio", source, features="", trainable="all", **rank),),
        )
    ]
    for layer in audio_layers(config.audio.arch):
        variant = vary(config, "audio", source, features=layer, trainable="head", **rank)
        rows.append(Row(layer, f"class layer on frozen {layer}", "audio", (variant,)))
    if source:
        fresh = vary(config, "audio", features="", trainable="all", **rank)
        rows.append(Row("fresh", "whole network, from random weights", "audio", (fresh,)))
    return rows


def audio_source(config: ExperimentConfig) -> Variant | None:
    """The sampler whose weights table 6 begins with; None where the run gives weights."""
    if config.audio.weights:
        return None
    return vary(config, "audio", objective="ac", features="", trainable="all")


def audio_layers(arch: str) -> list[str]:
    """Last convolution, last pooling and first dense layer of an audio network: conv4_2, pool4, fc1."""
    arguments = PRESETS[arch]["arguments"]
    blocks = len(arguments["widths"])
    layers = [f"conv{blocks}_{arguments['repeats'][-1]}", f"pool{blocks}"]
    return layers + (["fc1"] if arguments["units"] else [])


def ktr_rows(config: ExperimentConfig, sound: bool) -> list[Row]:
    """Figure 3: SAL-CL with several shares of salient clips."""
    groups = {"visual": EYES, **({"audio": ("audio",)} if sound else {})}
    return [
        Row(
            f"{group}-{fraction:g}",
            f"{group}, K_tr = {fraction:g} L",
            group,
            tuple(vary(config, kind, objective="sal_cl", ktr_fraction=fraction) for kind in kinds),
        )
        for group, kinds in groups.items()
        for fraction in FRACTIONS
    ]


# name of the table on the command line: its rows from a configuration and whether there is sound
PLANS = {
    "objectives": objective_rows,
    "features": feature_rows,
    "audio": audio_rows,
    "sweep-ktr": ktr_rows,
}


def variants_of(rows: list[Row]) -> list[Variant]:
    """Every variant of a table once, in an order in which they can be trained."""
    found: dict[str, Variant] = {}
    for row in rows:
        for variant in row.variants:
            if variant.begins_with:
                found.setdefault(variant.begins_with.name, variant.begins_with)
            found.setdefault(variant.name, variant)
    return list(found.values())
