"""How a public checkpoint stores the weights of one of our networks.

A checkpoint is a dictionary of arrays. A layout says under which key each weight of a network lies there
and in which order its axes are; `scsampler_tf.models.convert` does the rest.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from scsampler_tf.models.depthwise import DepthwiseConv3D
from scsampler_tf.models.shufflenet import GroupedPointwise

CLASS_LAYER = "logits"
# Weights of BatchNorm under PyTorch's names.
TORCH_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
DEPTHWISE = (keras.layers.DepthwiseConv2D, DepthwiseConv3D)


@dataclass(frozen=True)
class Layout:
    """One way in which weights are published.

    `key` gives for the path of a weight, such as "layer1_0_conv1/kernel", its key in the checkpoint, or
    None when the checkpoint has nothing for it and the weight keeps its initial value.
    `mark` is a key by which such checkpoints are known.
    `order` is that of the axes: "torch" `[out, in, *kernel]`, "tensorflow" `[*kernel, in, out]`.
    `options` are arguments of `scsampler_tf.models.create` that these weights need.
    `ignored` are ends of keys that belong to no weight, such as counters.
    `partial`: some of the checkpoint's arrays may be left over, because only a part fits by design.
    `turn` makes of an array, already in the order of our axes, the value of the weight with that path.
    """

    name: str
    key: Callable[[str], str | None]
    mark: str
    order: str = "torch"
    options: Mapping = field(default_factory=dict)
    ignored: tuple[str, ...] = ("num_batches_tracked",)
    partial: bool = False
    turn: Callable[[str, np.ndarray], np.ndarray] | None = None


def weights_by_path(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer, keras.Variable]]:
    """(path, layer, weight) of every weight of a functional model without models inside.

    The path is `LAYER/WEIGHT` by their names. States of dropout's random numbers are not weights.
    """
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name != "seed_generator_state":
                yield f"{layer.name}/{weight.name}", layer, weight


def arranged(array: np.ndarray, layer: keras.layers.Layer, weight: keras.Variable, order: str) -> np.ndarray:
    """A checkpoint's array with its axes in the order of `weight`; the sizes may still differ.

    Class layers that are stored as 1x1 convolutions lose those axes, and so do statistics of BatchNorm
    `[1, 1, 1, 1, C]`.
    """
    rank = len(weight.shape)
    if rank == 1:
        return array.reshape(-1) if array.size == max(array.shape, default=0) else array
    if weight.name != "kernel":
        return array
    if isinstance(layer, keras.layers.Dense):
        return _dense(array, order)
    if order == "tensorflow":
        return array
    if isinstance(layer, GroupedPointwise):
        return _grouped(array, layer.groups)
    if array.ndim != rank:
        return array
    turned = array.transpose(*range(2, rank), 1, 0)
    return turned.swapaxes(-1, -2) if isinstance(layer, DEPTHWISE) else turned


def _dense(array: np.ndarray, order: str) -> np.ndarray:
    """`[in, out]` of a matrix or of a 1x1 convolution."""
    if order == "torch":
        flat = array.reshape(array.shape[:2]) if array.size == np.prod(array.shape[:2]) else array
        return flat.T if flat.ndim == 2 else flat
    return array.reshape(array.shape[-2:]) if array.size == np.prod(array.shape[-2:]) else array


def _grouped(array: np.ndarray, groups: int) -> np.ndarray:
    """`[groups, in / groups, out / groups]` of a grouped 1x1 convolution `[out, in / groups, 1, 1]`."""
    out, narrow = array.shape[:2] if array.ndim > 1 else (1, 1)
    if out % groups or array.size != out * narrow:
        return array
    return array.reshape(groups, out // groups, narrow).transpose(0, 2, 1)
