"""What a network and a whole video cost, in parameters and multiply-adds.

The paper's GFLOPs are counted as its classifiers' authors do: one multiplication with its addition is
one operation, 1 GFLOP = 1e9 of them. Only layers with a kernel count (convolutions, dense layers);
BatchNorm (which folds into the convolution before it), biases, poolings and activations count as 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

GIGA = 1e9


@dataclass(frozen=True)
class Cost:
    """Parameters (BatchNorm's moving statistics are none) and multiply-adds for one example."""

    parameters: int
    multiply_adds: int

    @property
    def gflops(self) -> float:
        """Multiply-adds of one example in 1e9."""
        return self.multiply_adds / GIGA


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer; `name` is `outer/inner` inside nested models, `calls` how often it is used.

    `parameters` of a layer listed in two places are given the first time only, so that the list adds up.
    """

    name: str
    kind: str
    calls: int
    parameters: int
    multiply_adds: int


def count(model: keras.Model) -> Cost:
    """Cost of a functional or sequential model with known input sizes, for one example.

    Raises as `per_layer`.
    """
    rows = per_layer(model)
    return Cost(sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows))


def per_layer(model: keras.Model) -> list[LayerCost]:
    """Cost of every layer in the order of the graph, nested models opened.

    A layer of another package may have a method `multiply_adds(input_shape) -> int` for one example.

    Raises `TypeError` for a model that is neither functional nor sequential, for a layer with weights or
    an operation that multiplies tensors whose count is not known here, and `ValueError` when a size that
    matters is not known.
    """
    return _model_rows(model, "", 1, set())


@dataclass(frozen=True)
class Sampler:
    """A sampler's cost: multiply-adds for one example and how many examples a clip has.

    A clip has as many examples as P-frames for MD and RGB-R, one for sound and I-frames.
    """

    multiply_adds: float
    examples_per_clip: float = 1


def scored_clips(clips: int, stride: int) -> int:
    """ceil(L / N): how many of `clips` are scored when every `stride`-th is (paper, appendix D)."""
    if clips < 1 or stride < 1:
        raise ValueError(f"{clips} clips with stride {stride}: both must be at least 1")
    return -(-clips // stride)


def sampling_gflops(clips: int, samplers: Sequence[Sampler], stride: int = 1) -> float:
    """GFLOPs (1e9 multiply-adds) to score every `stride`-th of a video's `clips` with all samplers."""
    a_clip = sum(sampler.multiply_adds * sampler.examples_per_clip for sampler in samplers)
    return scored_clips(clips, stride) * a_clip / GIGA


def video_gflops(
    clips: int,
    *,
    classifier: float,
    chosen: int | None,
    samplers: Sequence[Sampler] = (),
    stride: int = 1,
) -> float:
    """GFLOPs (1e9 multiply-adds) for a video of `clips`: sampling, then classifying `chosen` of them.

    `classifier` is multiply-adds a clip. `chosen` None classifies all scored clips: with no samplers
    and stride 1 that is the dense baseline. No more clips are classified than were scored, which with
    no samplers means every `stride`-th clip. Paper, appendix D and figure 6.
    """
    candidates = scored_clips(clips, stride)
    if chosen is not None and chosen < 0:
        raise ValueError(f"{chosen} chosen clips")
    classified = candidates if chosen is None else min(chosen, candidates)
    return sampling_gflops(clips, samplers, stride) + classified * classifier / GIGA


_CONVOLUTIONS = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
)
_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_FREE = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.Normalization,
    layers.Embedding,
    layers.PReLU,
)
# Without weights, yet they multiply tensors with each other.
_UNCOUNTED = {"Matmul", "Dot", "Einsum", "Tensordot", "Vdot", "Inner", "Outer"} | {
    "Attention",
    "AdditiveAttention",
    "DotProductAttention",
    "Conv",
    "DepthwiseConv",
    "SeparableConv",
    "ConvTranspose",
}
_STATISTICS = ("moving_mean", "moving_variance")


def _model_rows(model, prefix: str, calls: int, seen: set[int]) -> list[LayerCost]:
    rows = []
    for name, kind, layer, shapes in _uses(model):
        path = f"{prefix}{name}"
        if isinstance(layer, keras.Model):
            rows += _model_rows(layer, f"{path}/", calls * len(shapes), seen)
            continue
        if isinstance(layer, layers.TimeDistributed):
            rows += _time_distributed_rows(layer, path, calls, shapes, seen)
            continue
        multiply_adds = calls * sum(_multiply_adds(layer, kind, path, shape) for shape in shapes)
        rows.append(LayerCost(path, kind, calls * len(shapes), _parameters(layer, seen), multiply_adds))
    return rows


def _time_distributed_rows(wrapper, path: str, calls: int, shapes, seen: set[int]) -> list[LayerCost]:
    inner, kind = wrapper.layer, type(wrapper.layer).__name__
    steps = [_positions(shape[1:2], path) for shape in shapes]
    if isinstance(inner, keras.Model):
        return _model_rows(inner, f"{path}/", calls * sum(steps), seen)
    a_step = [_multiply_adds(inner, kind, path, (shape[0], *shape[2:])) for shape in shapes]
    multiply_adds = calls * sum(n * each for n, each in zip(steps, a_step, strict=True))
    return [LayerCost(path, kind, calls * sum(steps), _parameters(inner, seen), multiply_adds)]


def _uses(model):
    """Yields (name, class name, layer or None for a bare operation, input shape of every call)."""
    if isinstance(model, keras.Sequential):
        shape = model.input_shape
        for layer in model.layers:
            yield layer.name, type(layer).__name__, layer, [shape]
            shape = layer.compute_output_shape(shape)
        return
    # The public description of the graph: it holds this model's calls only, not those of other models
    # that share the layer.
    by_name = {layer.name: layer for layer in model.layers}
    graph = model.get_config().get("layers")
    if graph is None:
        raise TypeError(f"{model.name}: only functional and sequential models can be counted")
    for entry in graph:
        shapes = [_first_shape(node["args"]) for node in entry["inbound_nodes"]]
        if shapes:
            yield entry["name"], entry["class_name"], by_name.get(entry["name"]), shapes


def _first_shape(args) -> tuple | None:
    """Shape of a call's first tensor; None when it has none."""
    if isinstance(args, dict):
        if args.get("class_name") == "__keras_tensor__":
            return tuple(args["config"]["shape"])
        args = list(args.values())
    if isinstance(args, (list, tuple)):
        return next((shape for shape in map(_first_shape, args) if shape), None)
    return None


def _parameters(layer, seen: set[int]) -> int:
    """Numbers a layer learns and that were not counted yet."""
    fresh = [weight for weight in getattr(layer, "weights", []) if id(weight) not in seen]
    seen.update(map(id, fresh))
    if isinstance(layer, layers.Normalization):
        return 0
    return sum(math.prod(weight.shape) for weight in fresh if weight.name not in _STATISTICS)


def _multiply_adds(layer, kind: str, path: str, input_shape) -> int:
    """Multiply-adds of one call for one example: the size of the kernel times where it is applied."""
    if hasattr(layer, "multiply_adds"):
        return layer.multiply_adds(input_shape)
    if isinstance(layer, layers.Dense):
        return math.prod(layer.kernel.shape) * _positions(input_shape[1:-1], path)
    if isinstance(layer, _TRANSPOSED):
        return math.prod(layer.kernel.shape) * _positions(_places(layer, input_shape), path)
    if isinstance(layer, _SEPARABLE):
        kernel = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return kernel * _positions(_places(layer, layer.compute_output_shape(input_shape)), path)
    if isinstance(layer, _CONVOLUTIONS):
        places = _places(layer, layer.compute_output_shape(input_shape))
        return math.prod(layer.kernel.shape) * _positions(places, path)
    if not isinstance(layer, _FREE) and (getattr(layer, "weights", None) or kind in _UNCOUNTED):
        raise TypeError(f"{path}: multiply-adds of {kind} are not known; give it a method multiply_adds")
    return 0


def _places(layer, shape) -> tuple:
    """The sizes of a convolution's input or output without batch and channels."""
    return shape[2:] if layer.data_format == "channels_first" else shape[1:-1]


def _positions(sizes: Sequence[int | None], path: str) -> int:
    if any(size is None for size in sizes):
        raise ValueError(f"{path}: sizes {tuple(sizes)} are not all known, so it cannot be counted")
    return math.prod(sizes)
