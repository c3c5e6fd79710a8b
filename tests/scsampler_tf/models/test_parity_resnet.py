"""Logits of converted ResNets and CSNs beside those of the same weights in PyTorch.

Sizes such as 9 frames of 33x35 pixels tell at which side a strided convolution puts its padding.
"""

import functools
import re
import warnings

import numpy as np
import pytest

from scsampler_tf.models.convert import convert
from tests import torch_reference as reference

# Measured is 1e-6, and another epsilon of BatchNorm alone makes more than 1e-3.
CLOSE = 1e-5
KINETICS = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
PYTORCHVIDEO = ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
CLIPS = [(8, 32, 32, 3), (9, 33, 35, 3)]


def pixels(shape):
    """Two examples `[2, *shape]` of noise in [0, 255] that fades, the second one also from side to side."""
    noise = np.random.default_rng(0).uniform(0, 255, (2, *shape))
    noise *= np.linspace(1, 0.2, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    noise[1] *= np.linspace(0, 0.5, shape[-2])[:, None]
    return noise.astype("float32")


def difference(net, arch, shape, normalisation, as_graph=False, **options):
    """How far apart the logits of `net` and of its conversion are, relative to the largest one.

    Called layer by layer, a model holds what each of them made until the end: gigabytes of large clips,
    which TensorFlow then keeps. As a graph it needs a fraction, but tracing takes longer than small clips.
    """
    made = convert(reference.state(net), arch, input_shape=shape, **options)
    assert (made.kept, made.left) == ([], [])
    images, (mean, std) = pixels(shape), normalisation
    theirs = reference.outputs(net, (images / 255 - np.float32(mean)) / np.float32(std))
    apart = reference.relative_difference(theirs[1], theirs[0])
    assert apart > 100 * CLOSE, "the logits say next to nothing about the pixels"
    ours = made.model.predict_on_batch(images) if as_graph else made.model(images, training=False).numpy()
    return reference.relative_difference(ours, theirs)


def published_normalisation(weights):
    """Mean and deviation, of pixels in [0, 1], that torchvision publishes with a network's weights."""
    transforms = weights.DEFAULT.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


VIDEO = {"r3d_18": "R3D_18_Weights", "mc3_18": "MC3_18_Weights", "r2plus1d_18": "R2Plus1D_18_Weights"}


def torchvision_video(arch, classes):
    """torchvision's network and its normalisation."""
    video = reference.torchvision().models.video
    reference.torch().manual_seed(0)
    net = reference.randomised(getattr(video, arch)(num_classes=classes))
    return net, published_normalisation(getattr(video, VIDEO[arch]))


@pytest.mark.parametrize(
    ("arch", "shape"),
    # 7 frames are too few for the others, which shrink them by 8.
    [*((arch, shape) for arch in VIDEO for shape in CLIPS), ("mc3_18", (7, 33, 35, 3))],
)
def test_torchvision_video(arch, shape):
    net, normalisation = torchvision_video(arch, classes=5)
    assert normalisation == KINETICS
    assert difference(net, arch, shape, normalisation) < CLOSE


@pytest.mark.parametrize("arch", VIDEO)
def test_torchvision_video_at_its_published_size(arch):
    net, normalisation = torchvision_video(arch, classes=400)
    assert difference(net, arch, (16, 112, 112, 3), normalisation, as_graph=True) < CLOSE


@pytest.mark.parametrize("shape", [(64, 64, 3), (65, 67, 3), (224, 224, 3)])
def test_torchvision_resnet18(shape):
    models = reference.torchvision().models
    reference.torch().manual_seed(0)
    net = reference.randomised(models.resnet18())
    normalisation = published_normalisation(models.ResNet18_Weights)
    assert difference(net, "resnet18", shape, normalisation) < CLOSE


def video_resnet(block, maker, layers, stem, classes=4, epsilon=1e-3):
    """torchvision's network of these parts, with VMZ's epsilon of BatchNorm."""
    parts = reference.torchvision().models.video.resnet
    reference.torch().manual_seed(0)
    net = parts.VideoResNet(getattr(parts, block), [maker] * 4, layers, stem, num_classes=classes)
    for module in net.modules():
        if isinstance(module, reference.torch().nn.BatchNorm3d):
            module.eps = epsilon
    return net


def r2plus1d_of_vmz(layers, classes):
    """R(2+1)D as VMZ and ig65m-pytorch have it: middle channels follow from each convolution's input.

    Where torchvision takes the block's input this makes a difference in the second convolution of a
    stage's first block: 27 * 128 * 128 // (9 * 128 + 3 * 128) is 288, and so on.
    """
    parts = reference.torchvision().models.video.resnet
    net = video_resnet("BasicBlock", parts.Conv2Plus1D, layers, parts.R2Plus1dStem, classes)
    for stage, width, middle in ((2, 128, 288), (3, 256, 576), (4, 512, 1152)):
        unit = parts.Conv2Plus1D(width, width, middle)
        unit[1].eps = 1e-3
        getattr(net, f"layer{stage}")[0].conv2[0] = unit
    return reference.randomised(net)


def test_r2plus1d_of_vmz():
    net = r2plus1d_of_vmz([1, 2, 1, 1], classes=4)
    odd, layers = CLIPS[1], {"repeats": (1, 2, 1, 1)}
    assert difference(net, "r2plus1d_34", odd, KINETICS, **layers) < CLOSE
    # Were the layout wrong about the epsilon, this would have been seen.
    assert difference(net, "r2plus1d_34", odd, KINETICS, **layers, norm_epsilon=1e-5) > 1e-3


@pytest.mark.slow
def test_r2plus1d_34_of_ig65m_at_its_published_size():
    net = r2plus1d_of_vmz([3, 4, 6, 3], classes=359)
    assert difference(net, "r2plus1d_34", (8, 112, 112, 3), KINETICS, as_graph=True) < CLOSE


def csn_of_vmz(kind, layers):
    """ir-CSN or ip-CSN as VMZ builds them from torchvision's parts: the middle of a bottleneck and a stem."""
    nn = reference.torch().nn

    def middle(planes, _, midplanes=None, stride=1, padding=1):
        depthwise = nn.Conv3d(planes, planes, 3, stride, padding, groups=planes, bias=False)
        if kind == "ir":
            return depthwise
        return nn.Sequential(nn.Conv3d(planes, planes, 1, bias=False), nn.BatchNorm3d(planes), depthwise)

    def stem():
        first = nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
        pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        return nn.Sequential(first, nn.BatchNorm3d(64), nn.ReLU(), pool)

    middle.get_downsample_stride = lambda stride: (stride,) * 3
    return reference.randomised(video_resnet("Bottleneck", middle, layers, stem))


@pytest.mark.parametrize("kind", ["ir", "ip"])
@pytest.mark.parametrize("shape", CLIPS)
def test_csn_of_vmz(kind, shape):
    net = csn_of_vmz(kind, [1, 2, 1, 1])
    assert difference(net, f"{kind}_csn_152", shape, KINETICS, repeats=(1, 2, 1, 1)) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ir", "ip"])
def test_csn_152_of_vmz(kind):
    net = csn_of_vmz(kind, [3, 8, 36, 3])
    assert difference(net, f"{kind}_csn_152", (8, 64, 64, 3), KINETICS) < CLOSE


FROM_VMZ_TO_MMACTION2 = {
    "both": {
        "stem.0": "backbone.conv1.conv",
        "stem.1": "backbone.conv1.bn",
        "conv1.0": "conv1.conv",
        "conv1.1": "conv1.bn",
        "conv3.0": "conv3.conv",
        "conv3.1": "conv3.bn",
        "downsample.0": "downsample.conv",
        "downsample.1": "downsample.bn",
        "fc": "cls_head.fc_cls",
    },
    "ir": {"conv2.0": "conv2.0.conv", "conv2.1": "conv2.0.bn"},
    "ip": {
        "conv2.0.0": "conv2.0.conv",
        "conv2.0.1": "conv2.0.bn",
        "conv2.0.2": "conv2.1.conv",
        "conv2.1": "conv2.1.bn",
    },
}


def under_mmaction2s_names(state, kind):
    """The arrays of a CSN of VMZ as mmaction2 calls them."""
    names, renamed = FROM_VMZ_TO_MMACTION2["both"] | FROM_VMZ_TO_MMACTION2[kind], {}
    for key, array in state.items():
        block, module, weight = re.fullmatch(r"(layer\d\.\d+\.)?(.+)\.(\w+)", key).groups()
        renamed[f"{'backbone.' + block if block else ''}{names[module]}.{weight}"] = array
    assert len(renamed) == len(state)
    return renamed


@pytest.mark.parametrize("kind", ["ir", "ip"])
def test_the_same_csn_under_mmaction2s_names(kind):
    state = reference.state(csn_of_vmz(kind, [1, 1, 1, 1]))
    shape = CLIPS[0]
    vmz, mm = (
        convert(tensors, f"{kind}_csn_50", input_shape=shape, repeats=(1, 1, 1, 1))
        for tensors in (state, under_mmaction2s_names(state, kind))
    )
    assert (vmz.layout, mm.layout) == ("vmz", "mmaction2")
    images = pixels(shape)
    np.testing.assert_array_equal(vmz.model(images), mm.model(images))


@functools.cache
def create_csn():
    """PyTorchVideo's function of that name, or the test is skipped."""
    reference.torchvision()
    with warnings.catch_warnings():
        # It compiles its activations with what torch 2.13 has deprecated.
        warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated", DeprecationWarning)
        reason = "PyTorchVideo is not installed: no reference to compare with"
        return pytest.importorskip("pytorchvideo.models.csn", reason=reason).create_csn


def csn_of_pytorchvideo(depth, **options):
    nn = reference.torch().nn
    reference.torch().manual_seed(0)
    make = create_csn()
    return reference.randomised(make(model_depth=depth, stem_pool=nn.MaxPool3d, model_num_class=6, **options))


@pytest.mark.parametrize("shape", CLIPS)
def test_csn_of_pytorchvideo(shape):
    net = csn_of_pytorchvideo(50, stem_dim_out=8, head_pool=None)
    thin = {"stem_width": 8, "widths": (8, 16, 32, 64)}
    assert difference(net, "ir_csn_50", shape, PYTORCHVIDEO, **thin) < CLOSE


@pytest.mark.slow
def test_csn_101_of_pytorchvideo_with_its_own_pooling():
    # A map of 4x7x7 places before the class layer, as in the published network.
    net = csn_of_pytorchvideo(101, head_pool_kernel_size=(4, 7, 7))
    assert difference(net, "ir_csn_101", (32, 224, 224, 3), PYTORCHVIDEO, as_graph=True) < CLOSE
