"""The whole method as one module of graphs: score, select, classify only the chosen clips, average.

All signatures take padded batches `[B, L]` of clips as bytes (layouts: `pipelines.wire`), with B and L
free. The computation is that of offline evaluation: the same saliency, fusion and selection functions.
"""

import json

import keras
import tensorflow as tf

from pipelines.settings import FeatureSettings
from pipelines.unpack import unpack_features, unpack_strips
from scsampler_tf.config import FIELDS, SelectionConfig
from scsampler_tf.fusion import fuse
from scsampler_tf.models.sampler import clip_logits
from scsampler_tf.saliency import clip_saliency, visual_saliency
from scsampler_tf.selection import strided, top_k

STRINGS = tf.TensorSpec([None, None], tf.string)


class Composite(tf.Module):
    """Classifier f and samplers in one SavedModel.

    `samplers` maps "md", "rgb_r" and "audio" to (network, objective); any may be missing, but not all.
    `about` is what the `describe` signature tells a client.
    """

    def __init__(
        self,
        classifier: keras.Model,
        samplers: dict[str, tuple[keras.Model, str]],
        settings: FeatureSettings,
        selection: SelectionConfig,
        labels: list[str],
        about: dict,
    ):
        super().__init__(name="scsampler")
        self.classifier = classifier
        self.networks = {kind: network for kind, (network, _) in samplers.items()}
        self._objectives = {kind: objective for kind, (_, objective) in samplers.items()}
        self._settings, self._selection = settings, selection
        self._frames, self._size = classifier.input_shape[1:3]
        self.labels = tf.constant(labels)
        self._about = json.dumps(about)

    def signatures(self) -> dict:
        """The concrete functions to save, by signature name."""
        numbers = tf.TensorSpec([None, None], tf.float32)
        flags = tf.TensorSpec([None, None], tf.bool)
        features = {name: _named(STRINGS, name) for name in ("md", "rgb_r", "log_mel")}
        mask = {"mask": _named(flags, "mask")}
        scores = {"visual": _named(numbers, "visual"), "audio": _named(numbers, "audio")}
        heard = {"has_audio": _named(flags, "has_audio")}
        clips = {"clips": _named(STRINGS, "clips")}
        query = {"query": tf.TensorSpec([None], tf.string, "query")}
        specs = {
            "score": (self.score, features),
            "select": (self.select, {**scores, **heard, **mask}),
            "sample": (self.sample, {**features, **mask}),
            "classify": (self.classify, clips),
            "serving_default": (self.sample_and_classify, {**features, **clips, **mask}),
            "describe": (self.describe, query),
        }
        return {
            name: tf.function(body).get_concrete_function(**inputs) for name, (body, inputs) in specs.items()
        }

    def score(self, md, rgb_r, log_mel) -> dict:
        """Saliency `[B, L]` float32 of every clip by each network, the visual mean, where sound was."""
        data = {"md": md, "rgb_r": rgb_r, "log_mel": log_mel}
        shape = tf.shape(md)
        saliency, there = {}, {}
        for kind, network in self.networks.items():
            frames, mask = unpack_features(FIELDS[kind], tf.reshape(data[FIELDS[kind]], [-1]), self._settings)
            scores = clip_saliency(clip_logits(network, frames), mask, self._objectives[kind])
            saliency[kind] = tf.reshape(scores, shape)
            there[kind] = tf.reshape(tf.reduce_any(mask, axis=1), shape)
        eyes = [saliency[kind] for kind in ("md", "rgb_r") if kind in saliency]
        nothing = tf.zeros(shape, tf.float32)
        return {
            **{f"{kind}_saliency": saliency[kind] for kind in ("md", "rgb_r") if kind in saliency},
            "visual": visual_saliency(eyes) if eyes else nothing,
            "audio": saliency.get("audio", nothing),
            "has_audio": there.get("audio", tf.zeros(shape, tf.bool)),
        }

    def select(self, visual, audio, has_audio, mask) -> dict:
        """Chosen clips `[B, K]` int32, most salient first, -1 for none; their ranking score `[B, L]`."""
        config = self._selection
        mask = strided(mask, config.stride)  # lists are made of the clips that were looked at
        fused = fuse(
            config.fusion, visual, audio, mask, has_audio, alpha=config.alpha, k_prime=config.K_prime
        )
        return {"indices": top_k(fused, mask, config.K), "saliency": fused}

    def sample(self, md, rgb_r, log_mel, mask) -> dict:
        """Features -> chosen clips and the scores behind the choice."""
        scores = self.score(md, rgb_r, log_mel)
        shown = {name: scores[name] for name in ("visual", "audio", "has_audio")}
        return {**shown, **self.select(**shown, mask=mask)}

    def classify(self, clips) -> dict:
        """RGB strips `[B, K]` (empty for none) -> probabilities of clips `[B, K, C]`, of videos `[B, C]`.

        Only strips that are there are decoded and classified; a video's probabilities are their mean.
        """
        there = tf.strings.length(clips) > 0
        places = tf.where(there)
        pictures, _ = unpack_strips(tf.gather_nd(clips, places), self._frames, self._size)
        probabilities = tf.nn.softmax(self.classifier(tf.cast(pictures, tf.float32), training=False))
        shape = tf.concat([tf.shape(clips, tf.int64), [tf.shape(probabilities, tf.int64)[1]]], axis=0)
        spread = tf.scatter_nd(places, probabilities, shape)
        count = tf.reduce_sum(tf.cast(there, tf.float32), axis=1, keepdims=True)
        video = tf.reduce_sum(spread, axis=1) / tf.maximum(count, 1.0)
        return {
            "clip_probabilities": spread,
            "probabilities": video,
            "label": tf.gather(self.labels, tf.argmax(video, axis=1)),
        }

    def sample_and_classify(self, md, rgb_r, log_mel, clips, mask) -> dict:
        """Both in one request: of the strips of all clips `[B, L]` only the chosen ones are decoded."""
        sampled = self.sample(md, rgb_r, log_mel, mask)
        indices = sampled["indices"]
        chosen = tf.gather(clips, tf.maximum(indices, 0), batch_dims=1)
        classified = self.classify(tf.where(indices >= 0, chosen, ""))
        return {"indices": indices, "saliency": sampled["saliency"], **classified}

    def describe(self, query) -> dict:
        """`about` `[1]`: one JSON text with labels, sizes and settings; the query is not looked at."""
        return {"about": tf.constant([self._about])}


def _named(spec: tf.TensorSpec, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(spec.shape, spec.dtype, name)
