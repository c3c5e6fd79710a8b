"""Settings of a whole run as frozen dataclasses, and the named presets."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import UserError
from pipelines.settings import FeatureSettings
from scsampler_tf.config_values import check_number, check_word, parsed_settings, replaced
from scsampler_tf.selection_config import SelectionConfig, check_selection
from scsampler_tf.strategies import ONE_DEVICE, strategy_parts

OBJECTIVES = ("ac", "sal_cl", "sal_rank")
SCHEMES = ("visual", "audio", "convex_score", "convex_list", "intersect_list", "union_list", "joint")
RANK_FORMS = ("standard", "printed")
SCHEDULES = ("cosine", "step", "plateau")
SAMPLERS = ("md", "rgb_r", "audio")  # those that an experiment trains
SAMPLER_KINDS = (*SAMPLERS, "iframe")
FIELDS = {"md": "md", "rgb_r": "rgb_r", "audio": "log_mel"}  # the record field that each sampler reads
RECORD_FIELDS = {**FIELDS, "iframe": "iframe"}
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
CLIP_SOURCES = ("auto", "segments", "all")
TRAINABLE = ("all", "head")


@dataclass(frozen=True)
class ClassifierConfig:
    """The clip classifier f and its training."""

    arch: str = "r2plus1d_18"
    weights: str = ""
    """A file of scsampler_tf.convert to begin with; with `epochs` 0 it is used untrained."""
    size: int = 112
    """Side of its pictures, the central square of frames whose short side is `resize`."""
    resize: int = 128
    clips: str = "auto"
    """Where training clips come from: segments (inside the true action segments), all (anywhere, the
    paper's way), auto (segments where the manifest has them)."""
    clips_per_video: int = 10
    flip: bool = False
    """Mirror training clips at random; wrong where left and right tell classes apart."""
    crop_area: float = 0.0
    """Training clips are windows of at least this share of the picture, scaled to `size`; 0: not scaled."""
    colour: float = 0.0
    """Strength of random contrast, saturation and channel factors of training clips."""
    cache: bool = False
    """Keep the first epoch's clips in memory instead of decoding fresh ones every epoch."""
    epochs: int = 45
    warmup_epochs: int = 4
    batch: int = 32
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    """After the warm-up: cosine to zero, step, or plateau (`schedules`)."""
    step_epochs: int = 10
    """Epochs after which step divides the learning rate by 10, again and again (appendix A)."""
    patience: int = 3
    """Epochs without a better validation value after which plateau divides the learning rate by 10."""
    pretrained_rate: float = 1.0
    """Share of the learning rate for layers that begin with `weights`."""
    weight_decay: float = 1e-4
    dropout: float = 0.0


@dataclass(frozen=True)
class SamplerConfig:
    """One sampler network and its training. `batch` counts videos, `clips_per_video` is N clips of each."""

    arch: str = "resnet18"
    weights: str = ""
    trainable: str = "all"
    """What learns: all, or head, the class layer alone (table 6)."""
    features: str = ""
    """Layer of the audio network whose activations the class layer is put on (table 6); "" the last."""
    objective: str = "ac"
    margin: float = 0.1
    """eta of the ranking loss (equation 2)."""
    rank_form: str = "standard"
    """The ranking loss with the standard margin, or as equation 2 is printed (`objectives.sal_rank`)."""
    ktr_fraction: float = 0.5
    """K_tr / L: the share of a video's clips that SAL-CL calls salient (appendix C.1)."""
    clips_per_video: int = 10
    crop_area: float = 0.0
    """Training pictures and motion are windows of at least this share of the whole; 0: the whole."""
    flip: bool = False
    """Mirror a video's training clips at random; wrong where left and right tell classes apart."""
    mask: float = 0.0
    """At most this share of a sound window's time, and of its frequencies, is hidden in training."""
    epochs: int = 20
    warmup_epochs: int = 1
    batch: int = 8
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    """After the warm-up: cosine to zero, step, or plateau (`schedules`; appendix B)."""
    step_epochs: int = 5
    """Epochs after which step divides the learning rate by 10, again and again."""
    patience: int = 3
    """Epochs without a better validation value after which plateau divides the learning rate by 10."""
    pretrained_rate: float = 1.0
    """Share of the learning rate for layers that begin with `weights` (appendix B: 0.01, for sound 0.05)."""
    weight_decay: float = 1e-4
    dropout: float = 0.0


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that a run depends on."""

    features: FeatureSettings = field(default_factory=FeatureSettings)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    md: SamplerConfig = field(default_factory=SamplerConfig)
    rgb_r: SamplerConfig = field(default_factory=SamplerConfig)
    audio: SamplerConfig = field(
        default_factory=lambda: SamplerConfig(arch="vgg_audio_small", objective="sal_rank")
    )
    iframe: SamplerConfig = field(default_factory=SamplerConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    strategy: str = ONE_DEVICE
    """one_device, mirrored or multi_worker, with devices where they are named (`strategies`)."""
    precision: str = "float32"
    """What networks compute in while they are trained; weights, losses and saliency are float32 always."""
    seed: int = 0

    def __post_init__(self):
        check(self)


def standard() -> ExperimentConfig:
    """Real sizes: R(2+1)D-18 on 112x112, ResNet-18s on one P-frame a clip, residuals of 56 pixels.

    Sound has the small VGG: the paper's would cost six times what both ResNets cost. How little of a clip
    they need is measured in docs/experiments.md, "The knee". For a GPU, or for weights that are trained.
    """
    return ExperimentConfig()


def paper() -> ExperimentConfig:
    """The paper's sizes: R(2+1)D-18 on 224x224, ResNet-18 on every P-frame at 224, VGG audio; for GPUs."""
    return ExperimentConfig(
        features=FeatureSettings(md_frames=0, residual_frames=0, residual_size=224, iframe_size=224),
        classifier=ClassifierConfig(size=224, resize=256, clips="all"),
        audio=SamplerConfig(arch="vgg_audio", objective="sal_rank"),
    )


def small() -> ExperimentConfig:
    """Minutes on two CPU cores for a hundred short videos: 8 pictures of 56x56, small networks, K=5.

    All samplers are trained with SAL-RANK: AC, the paper's choice for the visual ones, takes every clip for
    its video's class, which so few videos cannot average out.
    """
    sampler = SamplerConfig(
        arch="resnet_small",
        objective="sal_rank",
        epochs=10,
        batch=6,
        clips_per_video=16,
        learning_rate=2e-3,
    )
    return ExperimentConfig(
        features=FeatureSettings(
            clip_frames=8,
            clip_step=2,
            canvas=112,
            md_frames=4,
            residual_frames=2,
            residual_size=28,
            iframe_size=56,
        ),
        classifier=ClassifierConfig(
            arch="r2plus1d_small",
            size=56,
            resize=64,
            clips_per_video=8,
            cache=True,
            epochs=10,
            warmup_epochs=1,
            batch=32,
            learning_rate=2e-3,
        ),
        md=sampler,
        rgb_r=sampler,
        audio=dataclasses.replace(sampler, arch="vgg_audio_small"),
        iframe=sampler,
        selection=SelectionConfig(K=5, K_prime=4),
    )


def tiny() -> ExperimentConfig:
    """Seconds, for tests: shows that the stages join, not that they learn."""
    base = small()
    sampler = dataclasses.replace(base.md, objective="ac", epochs=2, batch=2, clips_per_video=4)
    return dataclasses.replace(
        base,
        features=dataclasses.replace(base.features, canvas=64, residual_size=32, iframe_size=32),
        classifier=dataclasses.replace(
            base.classifier, size=32, resize=36, clips_per_video=3, epochs=2, batch=4
        ),
        md=sampler,
        rgb_r=sampler,
        audio=dataclasses.replace(sampler, arch="vgg_audio_small", objective="sal_rank"),
        iframe=sampler,
        selection=SelectionConfig(K=3, K_prime=2),
    )


PRESETS = {"small": small, "standard": standard, "paper": paper, "tiny": tiny}


def preset(name: str) -> ExperimentConfig:
    """A named preset; an unknown name is an error that lists the known ones."""
    if name not in PRESETS:
        raise UserError(f"unknown preset '{name}'; there are {', '.join(PRESETS)}")
    return PRESETS[name]()


def check(config: ExperimentConfig) -> None:
    """Raises `UserError` for values that cannot work, before any work is done."""
    for name, part in _parts(config):
        for key, value in dataclasses.asdict(part).items():
            check_number(f"{name}.{key}", key, value)
    _check_words(config)
    strategy_parts(config.strategy)
    _check_weights(config)
    if config.seed < 0:
        raise UserError(f"seed: {config.seed} is negative; use 0 or more")
    check_selection(config.selection)
    if config.classifier.size > config.classifier.resize:
        raise UserError("classifier.size: larger than classifier.resize, from which it is cut")


def _check_words(config: ExperimentConfig) -> None:
    words = [
        ("precision", config.precision, PRECISIONS),
        ("classifier.clips", config.classifier.clips, CLIP_SOURCES),
        ("classifier.schedule", config.classifier.schedule, SCHEDULES),
        ("selection.fusion", config.selection.fusion, SCHEMES),
    ]
    sampler_words = {
        "objective": OBJECTIVES,
        "trainable": TRAINABLE,
        "rank_form": RANK_FORMS,
        "schedule": SCHEDULES,
    }
    for kind in SAMPLER_KINDS:
        sampler = getattr(config, kind)
        words += [(f"{kind}.{key}", getattr(sampler, key), known) for key, known in sampler_words.items()]
    for name, word, known in words:
        check_word(name, word, known)


def _check_weights(config: ExperimentConfig) -> None:
    if not config.classifier.epochs and not config.classifier.weights:
        raise UserError("classifier.epochs: 0 is not positive; only with classifier.weights may it be 0")
    for name in SAMPLER_KINDS:
        sampler = getattr(config, name)
        if sampler.trainable == "head" and not sampler.weights:
            raise UserError(f"{name}.trainable: head leaves the rest as it begins; give {name}.weights")
        if sampler.features and name != "audio":
            raise UserError(f"{name}.features: '{sampler.features}' is for audio alone; leave it out")
        _check_jitter(name, sampler)


def _check_jitter(name: str, sampler: SamplerConfig) -> None:
    if name == "audio":
        for key in ("crop_area", "flip"):
            if getattr(sampler, key):
                raise UserError(f"audio.{key}: sound has no sides to be cut or mirrored; use audio.mask")
    elif sampler.mask:
        raise UserError(f"{name}.mask: hides parts of sound, which {name} has none of; use crop_area or flip")


def to_dict(config: ExperimentConfig) -> dict:
    """Plain data, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(values: dict, base: ExperimentConfig | None = None) -> ExperimentConfig:
    """A configuration from plain data; what is not given comes from `base`, unknown keys are errors.

    Without a base the I-frame sampler, which runs of old do not know, is that of the residuals.
    """
    if base is None and isinstance(values, dict) and "rgb_r" in values:
        values = {"iframe": values["rgb_r"], **values}
    return replaced(base or ExperimentConfig(), values, "")


def with_settings(config: ExperimentConfig, settings: list[str]) -> ExperimentConfig:
    """Applies `part.key=value` texts as given on a command line, e.g. `classifier.epochs=3`."""
    return from_dict(parsed_settings(settings), config)


def _parts(config: ExperimentConfig) -> list[tuple[str, Any]]:
    named = [(entry.name, getattr(config, entry.name)) for entry in dataclasses.fields(config)]
    return [(name, part) for name, part in named if dataclasses.is_dataclass(part)]
