"""What a sampler of sight sees in a clip, as numbers by which `diversity` compares clips."""

import keras
from keras import ops

from scsampler_tf.models.layout import CLASS_LAYER
from scsampler_tf.models.sampler import clip_logits


def before_class_layer(network: keras.Model) -> keras.Model:
    """The network up to the input of its class layer: frames `[B, h, w, c]` -> activations `[B, D]`."""
    return keras.Model(network.input, network.get_layer(CLASS_LAYER).input, name="before_class_layer")


def clip_activations(trunk: keras.Model, frames, frame_mask):
    """Mean activations of a clip's frames: `[..., P, h, w, c]`, `[..., P]` -> `[..., D]` float16.

    trunk: of `before_class_layer`. Zeros for a clip without any frame. float16, in which tables hold them,
    so that the exported graph compares the same numbers; values beyond its range are cut to it.
    """
    weight = ops.expand_dims(ops.cast(frame_mask, "float32"), -1)
    values = ops.cast(clip_logits(trunk, frames), "float32")
    # Padding is replaced: whatever it holds, even infinities, must not reach the mean.
    values = ops.where(weight > 0, values, 0.0)
    mean = ops.sum(values, axis=-2) / ops.maximum(ops.sum(weight, axis=-2), 1.0)
    return ops.cast(ops.clip(mean, -65504.0, 65504.0), "float16")
