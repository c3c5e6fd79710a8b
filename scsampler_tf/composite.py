"""The whole method as one module of graphs: score, select, classify only the chosen clips, average.

All signatures take padded batches `[B, L]` of clips as bytes (layouts: `pipelines.wire`), with B and L
free. The computation is that of offline evaluation: the same saliency, fusion and selection functions.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf

from pipelines.settings import FeatureSettings
from pipelines.unpack import unpack_features, unpack_strips
from scsampler_tf.activations import before_class_layer, clip_activations
from scsampler_tf.adaptive import Stopping, running_margins
from scsampler_tf.config import FIELDS, SelectionConfig
from scsampler_tf.diversity import salient_clips
from scsampler_tf.fusion import fuse
from scsampler_tf.models.sampler import clip_logits
from scsampler_tf.saliency import clip_saliency, visual_saliency
from scsampler_tf.selection import gather_clips, strided
from scsampler_tf.selection_config import seer
from scsampler_tf.strip_sizes import require_strips
from scsampler_tf.weighting import weighted_probabilities

STRINGS = tf.TensorSpec([None, None], tf.string)
OWN_K = "_k"  # ends the names of signatures with an input K


@dataclass(frozen=True)
class _Networks:
    """What a module refers to in an object of another kind is not saved with it."""

    classifier: keras.Model
    samplers: dict[str, keras.Model]
    trunk: keras.Model | None


class Composite(tf.Module):
    """Classifier f and samplers in one SavedModel.

    `samplers` maps "md", "rgb_r" and "audio" to (network, objective); any may be missing, but not all.
    `about` is what the `describe` signature tells a client. Raises `ValueError` for a diversity without a
    sampler of sight.
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
        networks = {kind: network for kind, (network, _) in samplers.items()}
        self._seer = seer(networks) if selection.diversity else None
        if selection.diversity and self._seer is None:
            raise ValueError("diversity compares clips by the activations of md or rgb_r; neither is there")
        trunk = before_class_layer(networks[self._seer]) if self._seer else None
        self._networks = _Networks(classifier, networks, trunk)
        # A SavedModel of Keras' own variables restores copies of them, and a session, which TF-Serving runs,
        # finds those of the graph empty (tensorflow/tensorflow#72963). So these are saved.
        self._weights = [
            variable.value for network in (classifier, *networks.values()) for variable in network.variables
        ]
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
        # Without diversity and weights the signatures are as they always were.
        seen = tf.TensorSpec([None, None, None], tf.float32, "features")
        compared = {"features": seen} if self._selection.diversity else {}
        weights = {"saliency": _named(numbers, "saliency")} if self._selection.temperature else {}
        query = {"query": tf.TensorSpec([None], tf.string, "query")}
        specs = {
            "score": (self.score, features),
            "classify": (self.classify, {**clips, **weights}),
            "describe": (self.describe, query),
        }
        # A server takes a request with all inputs of a signature only, so K makes signatures of its own.
        for name, (body, inputs) in {
            "select": (self.select, {**scores, **heard, **mask, **compared}),
            "sample": (self.sample, {**features, **mask}),
            "serving_default": (self.sample_and_classify, {**features, **clips, **mask}),
        }.items():
            specs[name] = (body, inputs)
            specs[name + OWN_K] = (body, {**inputs, "K": tf.TensorSpec([None], tf.int32, "K")})
        return {
            name: tf.function(_without_options(body)).get_concrete_function(**inputs)
            for name, (body, inputs) in specs.items()
        }

    @tf.function(input_signature=[STRINGS] * 3)  # traced once for all signatures
    def score(self, md, rgb_r, log_mel) -> dict:
        """Saliency `[B, L]` float32 of every clip by each network, the visual mean, where sound was.

        With a `diversity` also `features` `[B, L, D]` float32, by which clips are compared.
        """
        data = {"md": md, "rgb_r": rgb_r, "log_mel": log_mel}
        _require_alike(**data)
        shape = tf.shape(md)
        saliency, there, seen = {}, {}, {}
        for kind, network in self._networks.samplers.items():
            packed = tf.reshape(data[FIELDS[kind]], [-1])
            if FIELDS[kind] == "rgb_r":
                cells, size = self._settings.residual_cells, self._settings.residual_size
                packed = require_strips(packed, cells, size, "rgb_r")
            frames, mask = unpack_features(FIELDS[kind], packed, self._settings)
            scores = clip_saliency(clip_logits(network, frames), mask, self._objectives[kind])
            saliency[kind] = tf.reshape(scores, shape)
            there[kind] = tf.reshape(tf.reduce_any(mask, axis=1), shape)
            if kind == self._seer:
                values = tf.cast(clip_activations(self._networks.trunk, frames, mask), tf.float32)
                sizes = tf.concat([shape, [self._networks.trunk.output_shape[-1]]], axis=0)
                seen["features"] = tf.reshape(values, sizes)
        eyes = [saliency[kind] for kind in ("md", "rgb_r") if kind in saliency]
        nothing = tf.zeros(shape, tf.float32)
        return {
            **{f"{kind}_saliency": saliency[kind] for kind in ("md", "rgb_r") if kind in saliency},
            "visual": visual_saliency(eyes) if eyes else nothing,
            "audio": saliency.get("audio", nothing),
            "has_audio": there.get("audio", tf.zeros(shape, tf.bool)),
            **seen,
        }

    def select(self, visual, audio, has_audio, mask, features=None, K=None) -> dict:
        """Clips `[B, K]` int32 in the order to classify them, -1 for none; the ranking score `[B, L]`.

        K: int32 `[B]`, how many clips of each video; `[1]` is for all of them. None: that of the settings.
        """
        config = self._selection
        _require_alike(visual=visual, audio=audio, has_audio=has_audio, mask=mask)
        mask = strided(mask, config.stride)  # lists are made of the clips that were looked at
        fused = fuse(
            config.fusion, visual, audio, mask, has_audio, alpha=config.alpha, k_prime=config.K_prime
        )
        if K is None:
            return {"indices": salient_clips(fused, mask, config, features), "saliency": fused}
        return {"indices": self._as_many(fused, mask, features, K), "saliency": fused}

    def _as_many(self, fused, mask, features, K):
        """Indices with a K `[B]` of each video's own: `[B, M]`, M the largest of them, at most L."""
        alone_or_each = (tf.size(K) == 1) | (tf.size(K) == tf.shape(mask)[0])
        tf.debugging.assert_equal(
            alone_or_each, True, "K: one number for all videos is needed, or one for each"
        )
        tf.debugging.assert_positive(K, "K: at least 1 clip of a video has to be chosen")
        return salient_clips(fused, mask, self._selection, features, K)

    def sample(self, md, rgb_r, log_mel, mask, K=None) -> dict:
        """Features -> chosen clips and the scores behind the choice; K: as in `select`."""
        scores = self.score(md, rgb_r, log_mel)
        shown = {name: scores[name] for name in ("visual", "audio", "has_audio")}
        return {**shown, **self.select(**shown, mask=mask, features=scores.get("features"), K=K)}

    def classify(self, clips, saliency=None) -> dict:
        """RGB strips `[B, K]` (empty for none) -> probabilities of clips `[B, K, C]`, of videos `[B, C]`.

        Only strips that are there are decoded and classified; with a `stop_margin` in the order given, until
        the answer is confident. The others have zeros. A video's probabilities are the mean of its classified
        strips, with a `temperature` weighted by their `saliency` `[B, K]`.
        """
        there, config = tf.strings.length(clips) > 0, self._selection
        if config.stop_margin:
            rule = Stopping(config.stop_margin, config.stop_least)
            spread, there = self._until_confident(clips, there, rule)
        else:
            spread = self._classified(clips, there)
        saliency = tf.zeros(tf.shape(clips)) if saliency is None else saliency
        _require_alike(clips=clips, saliency=saliency)
        video = weighted_probabilities(spread, there, saliency, config.temperature or None)
        return {
            "clip_probabilities": spread,
            "probabilities": video,
            "label": tf.gather(self.labels, tf.argmax(video, axis=1)),
        }

    def _classified(self, clips, there):
        """Probabilities `[B, K, C]` of the strips that are `there` `[B, K]`, zeros for the others."""
        places = tf.where(there)
        strips = require_strips(tf.gather_nd(clips, places), self._frames, self._size, "clips")
        pictures, _ = unpack_strips(strips, self._frames, self._size)
        logits = self._networks.classifier(tf.cast(pictures, tf.float32), training=False)
        probabilities = tf.cast(tf.nn.softmax(logits), tf.float32)
        shape = tf.concat([tf.shape(clips, tf.int64), [tf.shape(probabilities, tf.int64)[1]]], axis=0)
        return tf.scatter_nd(places, probabilities, shape)

    def _until_confident(self, clips, there, rule: Stopping):
        """As `_classified`, and which strips `[B, K]` were; all videos' next ones together, turn by turn."""
        turns = tf.cumsum(tf.cast(there, tf.int32), axis=1)
        last = tf.reduce_sum(tf.cast(there, tf.int32), axis=1)

        def next_clips(turn, unsure, spread, used):
            now = there & (turns == turn) & unsure[:, None]
            spread, used = spread + self._classified(clips, now), used | now
            leads = running_margins(spread, used)[:, -1]
            confident = (leads >= rule.margin) & (turn >= rule.least)
            return turn + 1, unsure & ~confident & (last > turn), spread, used

        shape = tf.concat([tf.shape(clips), [self._networks.classifier.output_shape[-1]]], axis=0)
        start = (tf.constant(1), last > 0, tf.zeros(shape), tf.zeros_like(there))
        _, _, spread, used = tf.while_loop(
            lambda turn, unsure, *_: tf.reduce_any(unsure),
            next_clips,
            start,
            tuple(tf.TensorShape([None] * rank) for rank in (0, 1, 3, 2)),
        )
        return tf.ensure_shape(spread, [None, None, self._networks.classifier.output_shape[-1]]), used

    def sample_and_classify(self, md, rgb_r, log_mel, clips, mask, K=None) -> dict:
        """Both in one request: of the strips of all clips `[B, L]` only the chosen ones are decoded."""
        _require_alike(clips=clips, mask=mask)
        sampled = self.sample(md, rgb_r, log_mel, mask, K)
        indices = sampled["indices"]
        chosen = tf.gather(clips, tf.maximum(indices, 0), batch_dims=1)
        saliency = gather_clips(sampled["saliency"], indices)
        classified = self.classify(tf.where(indices >= 0, chosen, ""), saliency)
        return {"indices": indices, "saliency": sampled["saliency"], **classified}

    def describe(self, query) -> dict:
        """`about` `[1]`: one JSON text with labels, sizes and settings; the query is not looked at."""
        return {"about": tf.constant([self._about])}


def _without_options(body: Callable) -> Callable:
    """The function without inputs that may be left out: TensorFlow takes long to see that they were."""

    def given(**inputs):
        return body(**inputs)

    return given


def _require_alike(**inputs: tf.Tensor) -> None:
    """Sizes that differ are a mistake of the request, also where one of them is 1 and could be spread out."""
    first, *others = inputs.values()
    for other in others:
        said = f"{', '.join(inputs)}: must have the same numbers of videos and clips"
        tf.debugging.assert_equal(tf.shape(other)[:2], tf.shape(first)[:2], said)


def _named(spec: tf.TensorSpec, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(spec.shape, spec.dtype, name)
