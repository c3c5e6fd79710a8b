"""Where the weights of channel-separated networks lie in public checkpoints.

Three sources keep the same network under other names: VMZ (`pt/vmz/models/csn.py`, on torchvision's
`VideoResNet`), PyTorchVideo (`create_csn`, ir-CSN only) and mmaction2 (`ResNet3dCSN` with `I3DHead`).
"""

from scsampler_tf.models.layout import Layout
from scsampler_tf.models.weights_resnet import PLAIN_STEM, SHORTCUT, torch_key

VMZ_PARTS = {
    **PLAIN_STEM,
    "conv1": "conv1.0",
    "bn1": "conv1.1",
    "bn2": "conv2.1",
    "conv3": "conv3.0",
    "bn3": "conv3.1",
    **SHORTCUT,
    "logits": "fc",
}
VMZ_REDUCED = {"conv2": "conv2.0"}
VMZ_PRESERVED = {"conv2_mix": "conv2.0.0", "conv2_bn": "conv2.0.1", "conv2": "conv2.0.2"}

# A unit of mmaction2 is a convolution with its BatchNorm, and conv2 a sequence of one unit or of two.
MM_PARTS = {
    "stem_conv": "backbone.conv1.conv",
    "stem_bn": "backbone.conv1.bn",
    "conv1": "conv1.conv",
    "bn1": "conv1.bn",
    "conv3": "conv3.conv",
    "bn3": "conv3.bn",
    "shortcut": "downsample.conv",
    "shortcut_bn": "downsample.bn",
    "logits": "cls_head.fc_cls",
}
MM_REDUCED = {"conv2": "conv2.0.conv", "bn2": "conv2.0.bn"}
MM_PRESERVED = {
    "conv2_mix": "conv2.0.conv",
    "conv2_bn": "conv2.0.bn",
    "conv2": "conv2.1.conv",
    "bn2": "conv2.1.bn",
}

PYTORCHVIDEO_PARTS = {
    "stem_conv": "blocks.0.conv",
    "stem_bn": "blocks.0.norm",
    "conv1": "branch2.conv_a",
    "bn1": "branch2.norm_a",
    "conv2": "branch2.conv_b",
    "bn2": "branch2.norm_b",
    "conv3": "branch2.conv_c",
    "bn3": "branch2.norm_c",
    "shortcut": "branch1_conv",
    "shortcut_bn": "branch1_norm",
    "logits": "blocks.5.proj",
}


def vmz(middle: dict[str, str]) -> Layout:
    """VMZ's layout of a network with this `middle` in its bottlenecks."""
    options = {"pixels": "kinetics", "norm_epsilon": 1e-3}
    return Layout("vmz", torch_key({**VMZ_PARTS, **middle}), mark="stem.0.weight", options=options)


def mmaction2(middle: dict[str, str]) -> Layout:
    """mmaction2's layout of a network with this `middle` in its bottlenecks."""
    key = torch_key({**MM_PARTS, **middle}, "backbone.layer{stage}.{number}.")
    options = {"pixels": "kinetics", "norm_epsilon": 1e-3}
    return Layout("mmaction2", key, mark="backbone.conv1.conv.weight", options=options)


# Its last pooling is over windows of 4x7x7 places, which is all there are for the 32 frames of 224x224 it
# was trained on. From larger pictures it takes the mean over several windows, in which the middle counts
# more than the edges; there its logits are not ours.
PYTORCHVIDEO = Layout(
    "pytorchvideo",
    torch_key(PYTORCHVIDEO_PARTS, "blocks.{stage}.res_blocks.{number}."),
    mark="blocks.0.conv.weight",
    options={"pixels": "pytorchvideo"},
)

DEPTHS = (50, 101, 152)
CSN_LAYOUTS: dict[str, tuple[Layout, ...]] = {
    **{f"ir_csn_{depth}": (vmz(VMZ_REDUCED), PYTORCHVIDEO, mmaction2(MM_REDUCED)) for depth in DEPTHS},
    **{f"ip_csn_{depth}": (vmz(VMZ_PRESERVED), mmaction2(MM_PRESERVED)) for depth in DEPTHS},
}
