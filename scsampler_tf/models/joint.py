"""The mean of the audio and the visual samplers' scores as one model, so that `fit` trains all of them."""

import functools

import keras
from keras import ops

from pipelines.settings import FeatureSettings
from scsampler_tf.config import RECORD_FIELDS
from scsampler_tf.fusion import joint
from scsampler_tf.models.sampler import frames_per_clip
from scsampler_tf.saliency import clip_saliency, visual_saliency

AUDIO = "audio"


def joint_model(
    networks: dict[str, tuple[keras.Model, str]], clips: int, settings: FeatureSettings
) -> keras.Model:
    """What `fit` trains: the joint score `[V, N]` float32 of N = `clips` clips of each of V videos.

    `networks` maps kinds to (network, objective). Inputs are, for the record's field F of every kind,
    "F_frames" `[V, N, P, h, w, c]` and "F_mask" `[V, N, P]` (0 or 1). The score is `fusion.joint` of the
    visual networks' mean and the audio network's score, among clips of which any network has a frame; the
    others get 0. Heard are the clips that the audio mask has.
    """
    inputs, saliency, there = {}, {}, {}
    for kind, (network, objective) in networks.items():
        shape = (clips, frames_per_clip(kind, settings), *network.input_shape[1:])
        frames = keras.Input(shape, name=f"{RECORD_FIELDS[kind]}_frames")
        mask = keras.Input(shape[:2], dtype="float32", name=f"{RECORD_FIELDS[kind]}_mask")
        inputs |= {frames.name: frames, mask.name: mask}
        saliency[kind] = ClipSaliency(network, objective, name=f"{kind}_saliency")(frames, mask)
        there[kind] = ops.any(mask > 0, axis=-1)
    known = functools.reduce(ops.logical_or, there.values())
    visual = visual_saliency([scores for kind, scores in saliency.items() if kind != AUDIO])
    return keras.Model(inputs, joint(visual, saliency[AUDIO], known, there[AUDIO]), name="joint")


class ClipSaliency(keras.layers.Layer):
    """A sampler's scores of clips, with its network as it runs when scoring.

    A layer, because Keras runs all networks of a functional model that is being fitted in training mode.
    """

    def __init__(self, network: keras.Model, objective: str, **options):
        super().__init__(**options)
        self.network, self.objective = network, objective
        for layer in network.layers:  # its own training may have left the class layer alone to learn
            layer.trainable = True

    def call(self, frames, mask):
        """Frames `[V, N, P, h, w, c]` and mask `[V, N, P]` -> saliency `[V, N]` float32."""
        logits = self.network(ops.reshape(frames, (-1, *frames.shape[3:])), training=False)
        return clip_saliency(
            ops.reshape(logits, (-1, *mask.shape[1:], logits.shape[-1])), mask, self.objective
        )


def bundle(networks: dict[str, tuple[keras.Model, str]]) -> keras.Model:
    """All networks as one model, frames to logits by kind, so that one file holds the best epoch of all.

    The networks are renamed to their kinds; `get_layer(kind)` gives them back.
    """
    inputs, logits = {}, {}
    for kind, (network, _) in networks.items():
        network.name = kind  # two networks of one architecture have the same name
        inputs[f"{kind}_frame"] = keras.Input(network.input_shape[1:], name=f"{kind}_frame")
        logits[kind] = network(inputs[f"{kind}_frame"])
    return keras.Model(inputs, logits, name="networks")
