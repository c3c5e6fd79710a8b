"""VGGish's weights, trained on AudioSet, in the convolutions of "vgg_audio".

Published as TF-Slim's vggish_model.ckpt (tensorflow/models, research/audioset/vggish) and for PyTorch
(harritaylor/torchvggish). VGGish has times x bands where we have bands x times, no BatchNorm, and one
convolution each in blocks 1 and 2, so that

- kernels are turned, their first axis becomes the second;
- biases become BatchNorm's offsets; its other numbers stay 1, 0 and 1, with which it changes a value by five
  millionths (while its statistics are not learnt: in training it takes those of the batch);
- conv1_2 and conv2_2 begin as the identity, which ReLU's values pass unchanged.

The activations up to pool4 are then those of VGGish for a log-mel picture of even sides. The dense layers
begin afresh: theirs belong to a picture of 64 bands and 96 times and have other sizes.
"""

from collections.abc import Callable

import numpy as np

from scsampler_tf.models.layout import Layout

IDENTITIES = {"conv1_2": "conv1_1", "conv2_2": "conv2_1"}  # and the layer after which each of them comes
SLIM = {
    "1_1": "conv1",
    "2_1": "conv2",
    "3_1": "conv3/conv3_1",
    "3_2": "conv3/conv3_2",
    "4_1": "conv4/conv4_1",
    "4_2": "conv4/conv4_2",
}
TORCH = {"1_1": "0", "2_1": "3", "3_1": "6", "3_2": "8", "4_1": "11", "4_2": "13"}


def vggish_names(place: Callable[[str, str], str], kernel: str, bias: str) -> dict[str, str]:
    """Path of a weight of "vgg_audio" -> key, from the `place` of a convolution's `kernel` and `bias`."""
    names = {}
    for label in SLIM:
        names[f"conv{label}/kernel"] = place(label, kernel)
        names[f"bn{label}/beta"] = place(label, bias)
    # Any array with as many output channels does: `turned` makes an identity of it.
    return names | {f"{ours}/kernel": names[f"{before}/kernel"] for ours, before in IDENTITIES.items()}


def turned(path: str, array: np.ndarray) -> np.ndarray:
    """A kernel `[times, bands, in, out]` as `[bands, times, in, out]`, or the identity in its place."""
    layer, weight = path.split("/")
    if weight != "kernel" or array.ndim != 4:
        return array
    return identity(array) if layer in IDENTITIES else array.swapaxes(0, 1)


def identity(array: np.ndarray) -> np.ndarray:
    """The kernel `[h, w, out, out]` that changes nothing, beside one `[h, w, in, out]`."""
    height, width, _, channels = array.shape
    kernel = np.zeros((height, width, channels, channels), array.dtype)
    kernel[height // 2, width // 2] = np.eye(channels)
    return kernel


SLIM_NAMES = vggish_names(lambda label, weight: f"vggish/{SLIM[label]}/{weight}", "weights", "biases")
TORCH_NAMES = vggish_names(lambda label, weight: f"features.{TORCH[label]}.{weight}", "weight", "bias")
COMMON = {"options": {"levels": "log"}, "partial": True, "turn": turned}
AUDIO_LAYOUTS = {
    "vgg_audio": (
        Layout("vggish", SLIM_NAMES.get, mark="vggish/conv1/weights", order="tensorflow", **COMMON),
        Layout("torchvggish", TORCH_NAMES.get, mark="embeddings.0.weight", **COMMON),
    )
}
