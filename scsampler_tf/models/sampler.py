"""Samplers: a 2D network on single frames (or one sound window), its scores averaged over a clip's frames."""

import keras
from keras import ops

from pipelines.settings import MEL_BINS, MEL_FRAMES, FeatureSettings
from scsampler_tf.models import create
from scsampler_tf.models.layout import CLASS_LAYER
from scsampler_tf.saliency import clip_log_probs, clip_saliency

AC = "ac"


def frame_shape(kind: str, settings: FeatureSettings) -> tuple[int, int, int]:
    """Shape of one input of a sampler: MD `[g, g, 2]`, RGB-R `[s, s, 3]`, I-frame `[i, i, 3]`, log-mel
    `[40, 200, 1]`."""
    return {
        "md": (settings.grid, settings.grid, 2),
        "rgb_r": (settings.residual_size, settings.residual_size, 3),
        "iframe": (settings.iframe_size, settings.iframe_size, 3),
        "audio": (MEL_BINS, MEL_FRAMES, 1),
    }[kind]


def input_kind(kind: str) -> str:
    """What `create` calls the input of a sampler."""
    return {"audio": "log_mel", "iframe": "rgb"}.get(kind, kind)


def frames_per_clip(kind: str, settings: FeatureSettings) -> int:
    """P, how many frames of a clip the sampler looks at; one window for sound, one I-frame."""
    return {"md": settings.md_cells, "rgb_r": settings.residual_cells, "iframe": 1, "audio": 1}[kind]


def frame_network(
    kind: str, arch: str, objective: str, settings: FeatureSettings, num_classes: int, **options
) -> keras.Model:
    """The network on one frame: logits `[B, C]` for AC, one saliency logit `[B, 1]` otherwise."""
    inputs = input_kind(kind)
    units = num_classes if objective == AC else 1
    return create(arch, num_classes=units, input_shape=frame_shape(kind, settings), inputs=inputs, **options)


def train_only_head(network: keras.Model) -> None:
    """Leaves only the class layer to be trained; BatchNorm then keeps its statistics (table 6)."""
    for layer in network.layers:
        layer.trainable = layer.name == CLASS_LAYER


def clip_logits(network: keras.Model, frames):
    """Logits `[..., P, C]` of frames `[..., P, h, w, c]`; the leading axes may be of unknown size."""
    shape = network.input_shape[1:]
    logits = network(ops.reshape(frames, (-1, *shape)))
    leading = [ops.shape(frames)[axis] for axis in range(len(frames.shape) - 3)]
    return ops.reshape(logits, (*leading, logits.shape[-1]))


def training_model(network: keras.Model, objective: str, clips: int, frames: int) -> keras.Model:
    """What `fit` trains, on `{"frames": [V, N, P, h, w, c], "frame_mask": [V, N, P]}` (0 or 1).

    AC: mean log-probabilities over a clip's frames `[V, N, C]`, so that their cross-entropy is that of
    every single frame (section 3.2.1). Otherwise the saliency `[V, N]`. Both in float32.
    """
    shape = network.input_shape[1:]
    pictures = keras.Input((clips, frames, *shape), name="frames")
    mask = keras.Input((clips, frames), dtype="float32", name="frame_mask")
    logits = network(ops.reshape(pictures, (-1, *shape)))
    logits = ops.reshape(logits, (-1, clips, frames, logits.shape[-1]))
    outputs = clip_log_probs(logits, mask) if objective == AC else clip_saliency(logits, mask, objective)
    return keras.Model({"frames": pictures, "frame_mask": mask}, outputs, name=f"{network.name}_{objective}")
