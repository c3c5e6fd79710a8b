"""Which networks are measured, on which inputs, and against which samplers."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.errors import UserError
from scsampler_tf.config import FIELDS, ClassifierConfig, ExperimentConfig, paper, small, standard

CLASSES = 400


@dataclass(frozen=True)
class Case:
    """A network and the shape `[*sizes, C]` and kind of what it is fed."""

    arch: str
    shape: tuple[int, ...]
    inputs: str

    @property
    def title(self) -> str:
        """As a table shows it: the network, what it sees and the sizes."""
        return f"{self.arch}, {self.inputs} {'x'.join(map(str, self.shape))}"


CLIP, PICTURE = (16, 112, 112, 3), (224, 224, 3)
CASES = (
    Case("r3d_18", CLIP, "rgb"),
    Case("mc3_18", CLIP, "rgb"),
    Case("r2plus1d_18", CLIP, "rgb"),
    Case("s3d", (16, *PICTURE), "rgb"),
    Case("resnet18", PICTURE, "rgb_r"),
    Case("resnet18", (14, 14, 2), "md"),
    Case("shufflenet_26", PICTURE, "rgb_r"),
    Case("vgg_audio", (40, 200, 1), "log_mel"),
    Case("r2plus1d_small", (8, 56, 56, 3), "rgb"),
    Case("csn_small", (8, 56, 56, 3), "rgb"),
    Case("s3d_small", (8, 56, 56, 3), "rgb"),
    Case("resnet_small", (28, 28, 3), "rgb_r"),
    Case("vgg_audio_small", (40, 200, 1), "log_mel"),
)


@dataclass(frozen=True)
class Pairing:
    """A run's classifier against its samplers, on so many clips at once."""

    name: str
    config: ExperimentConfig
    clips: int = 1


PAIRINGS = (
    Pairing("standard", standard()),
    Pairing("paper's samplers", dataclasses.replace(paper(), classifier=ClassifierConfig())),
    Pairing(
        "paper's samplers",
        dataclasses.replace(
            paper(),
            features=dataclasses.replace(paper().features, clip_frames=32),
            classifier=ClassifierConfig(arch="ir_csn_152", size=224, resize=256),
        ),
    ),
    Pairing("small", small()),
    Pairing("small", small(), clips=8),
)


def chosen(names: Sequence[str]) -> list[Case]:
    """The cases of these networks; one that has none is taken as its preset describes it.

    Raises `UserError` for an unknown network.
    """
    from scsampler_tf.models import PRESETS

    found = []
    for name in dict.fromkeys(names):
        if name not in PRESETS:
            raise UserError(f"--arch {name}: no such network; known are {', '.join(PRESETS)}")
        preset = PRESETS[name]
        own = [case for case in CASES if case.arch == name]
        found += own or [Case(name, tuple(preset["input_shape"]), preset["inputs"])]
    return found


def samplers(config: ExperimentConfig) -> dict[str, tuple[Case, str, int]]:
    """Case, objective and examples a clip of each sampler; of P-frames as many as a clip can have."""
    from scsampler_tf.models.sampler import frame_shape, frames_per_clip

    found = {}
    for kind, field in FIELDS.items():
        own = getattr(config, kind)
        case = Case(own.arch, frame_shape(kind, config.features), field)
        found[kind] = case, own.objective, frames_per_clip(kind, config.features)
    return found


def classifier(config: ExperimentConfig) -> Case:
    """The case of a run's classifier."""
    size = config.classifier.size
    return Case(config.classifier.arch, (config.features.clip_frames, size, size, 3), "rgb")


def build(case: Case, units: int = CLASSES):
    """The network of a case with `units` outputs."""
    from scsampler_tf.models import create

    return create(case.arch, num_classes=units, input_shape=case.shape, inputs=case.inputs)


def pictures(case: Case, batch: int) -> np.ndarray:
    """Random numbers `[batch, *case.shape]` in [0, 1), float32: what is seen costs the same."""
    return np.random.default_rng(0).random((batch, *case.shape), dtype=np.float32)
