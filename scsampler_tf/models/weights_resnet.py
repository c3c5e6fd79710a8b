"""Where the weights of 3D and 2D ResNets lie in public checkpoints.

torchvision's `VideoResNet` keeps a convolution with what follows it in one sequence: in `layer2.0.conv1`
number 0 is the convolution, 1 its BatchNorm. A factored one is itself a sequence of the convolution over
space (0), BatchNorm (1), ReLU and the convolution over time (3), so that `layer2.0.conv1.0.3.weight` is
`layer2_0_conv1_time/kernel`.
"""

import re
from collections.abc import Callable, Mapping

from scsampler_tf.models.layout import TORCH_NORM, Layout

BLOCK_LAYER = re.compile(r"layer(?P<stage>\d+)_(?P<number>\d+)_(?P<part>\w+)")

SHORTCUT = {"shortcut": "downsample.0", "shortcut_bn": "downsample.1"}
PLAIN_STEM = {"stem_conv": "stem.0", "stem_bn": "stem.1"}
FACTORED_STEM = {
    "stem_space": "stem.0",
    "stem_space_bn": "stem.1",
    "stem_time": "stem.3",
    "stem_bn": "stem.4",
}
BASIC_BLOCK = {"conv1": "conv1.0", "bn1": "conv1.1", "conv2": "conv2.0", "bn2": "conv2.1", **SHORTCUT}
FACTORED_BLOCK = {
    **BASIC_BLOCK,
    "conv1_space": "conv1.0.0",
    "conv1_bn": "conv1.0.1",
    "conv1_time": "conv1.0.3",
    "conv2_space": "conv2.0.0",
    "conv2_bn": "conv2.0.1",
    "conv2_time": "conv2.0.3",
}
PICTURE_NET = {
    "stem_conv": "conv1",
    "stem_bn": "bn1",
    "conv1": "conv1",
    "bn1": "bn1",
    "conv2": "conv2",
    "bn2": "bn2",
    **SHORTCUT,
    "logits": "fc",
}


def torch_key(parts: Mapping[str, str], blocks: str = "layer{stage}.{number}.") -> Callable[[str], str]:
    """A layout's `key` for a network in PyTorch of a stem, blocks in stages and a class layer.

    `parts` says which module is a layer: of the stem and of the class layer by the layer's whole name, of a
    block by what stands behind its number ("conv1" of "layer2_0_conv1"). `blocks` comes before the modules
    of a block; stages count from 1, blocks from 0.

    A layer that such checkpoints lack has a key of its own name, which will be missing there.
    """

    def key(path: str) -> str:
        layer, weight = path.split("/")
        block = BLOCK_LAYER.fullmatch(layer)
        begin, part = (blocks.format(**block.groupdict()), block["part"]) if block else ("", layer)
        return f"{begin}{parts.get(part, part)}.{torch_weight(layer, weight)}"

    return key


def torch_weight(layer: str, weight: str) -> str:
    """PyTorch's name of a weight: "kernel" -> "weight", "beta" -> "bias" and so on."""
    if weight in ("kernel", "bias"):
        return "weight" if weight == "kernel" else "bias"
    return TORCH_NORM[weight]


VIDEO_KEY = torch_key({**PLAIN_STEM, **BASIC_BLOCK, "logits": "fc"})
FACTORED_KEY = torch_key({**FACTORED_STEM, **FACTORED_BLOCK, "logits": "fc"})

VIDEO = Layout("torchvision", VIDEO_KEY, mark="stem.0.weight", options={"pixels": "kinetics"})
FACTORED = Layout("torchvision", FACTORED_KEY, mark="stem.0.weight", options={"pixels": "kinetics"})
# Those of moabitcoin/ig65m-pytorch are the same. Both sources set PyTorch's momentum to 0.9, which is
# Caffe2's number and counts the other way round: what the weights were trained with is 0.9 in Keras too.
VMZ = Layout("vmz", FACTORED_KEY, mark="stem.0.weight", options={"pixels": "kinetics", "norm_epsilon": 1e-3})
PICTURES = Layout(
    "torchvision",
    torch_key(PICTURE_NET),
    mark="fc.weight",
    options={"pixels": "imagenet", "stem": "imagenet"},
)

# torchvision publishes weights of r3d_18, mc3_18, r2plus1d_18 and resnet18. Its code can also build the
# other networks of these convolutions, and would name their weights alike.
PLAIN = ("r3d_18", "r3d_34", *(f"{mixed}{group}_18" for mixed in ("mc", "rmc") for group in (2, 3, 4, 5)))
RESNET_LAYOUTS: dict[str, tuple[Layout, ...]] = {
    **dict.fromkeys(PLAIN, (VIDEO,)),
    "r2plus1d_18": (FACTORED,),
    "r2plus1d_34": (VMZ,),
    "resnet18": (PICTURES,),
}
