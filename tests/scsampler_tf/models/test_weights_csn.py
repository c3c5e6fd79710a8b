import functools

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import models
from scsampler_tf.models.convert import choose_layout, convert
from scsampler_tf.models.layout import weights_by_path
from scsampler_tf.models.weights_csn import CSN_LAYOUTS
from tests.scsampler_tf.models.test_weights_resnet import checkpoint_of

THIN = {"stem_width": 6, "widths": (2, 4, 6, 8), "repeats": (1, 2, 1, 1)}
CLIP = (8, 32, 32, 3)
LAYOUTS = [
    ("ir_csn_50", "vmz"),
    ("ir_csn_101", "pytorchvideo"),
    ("ir_csn_152", "mmaction2"),
    ("ip_csn_50", "vmz"),
    ("ip_csn_152", "mmaction2"),
]


def layout_of(arch, name):
    return {layout.name: layout for layout in CSN_LAYOUTS[arch]}[name]


@functools.cache
def narrow(arch, classes):
    return models.create(arch, num_classes=classes, input_shape=CLIP, **THIN)


def checkpoint(arch, layout, classes=3):
    return checkpoint_of(narrow(arch, classes), layout_of(arch, layout).key)


@pytest.mark.parametrize(("arch", "layout"), LAYOUTS)
def test_every_weight_comes_from_a_key_of_its_own(arch, layout):
    tensors, ours = checkpoint(arch, layout, classes=5)
    made = convert(tensors, arch, input_shape=CLIP, **THIN)
    assert made.layout == layout
    assert (made.kept, made.left) == ([], [])
    assert made.model.output_shape == (None, 5)
    found = {path: weight for path, _, weight in weights_by_path(made.model)}
    assert sorted(found) == sorted(ours)
    for path, array in ours.items():
        np.testing.assert_array_equal(found[path], array, err_msg=path)


@pytest.mark.parametrize(
    ("arch", "layout", "path", "key"),
    [
        ("ir_csn_152", "vmz", "stem_conv/kernel", "stem.0.weight"),
        ("ir_csn_152", "vmz", "layer3_35_conv1/kernel", "layer3.35.conv1.0.weight"),
        ("ir_csn_152", "vmz", "layer1_0_conv2/kernel", "layer1.0.conv2.0.weight"),
        ("ir_csn_152", "vmz", "layer1_0_bn2/beta", "layer1.0.conv2.1.bias"),
        ("ir_csn_152", "vmz", "layer1_0_bn3/gamma", "layer1.0.conv3.1.weight"),
        ("ir_csn_152", "vmz", "layer1_0_shortcut/kernel", "layer1.0.downsample.0.weight"),
        ("ir_csn_152", "vmz", "logits/kernel", "fc.weight"),
        ("ip_csn_152", "vmz", "layer1_0_conv2_mix/kernel", "layer1.0.conv2.0.0.weight"),
        ("ip_csn_152", "vmz", "layer1_0_conv2_bn/beta", "layer1.0.conv2.0.1.bias"),
        ("ip_csn_152", "vmz", "layer1_0_conv2/kernel", "layer1.0.conv2.0.2.weight"),
        ("ip_csn_152", "vmz", "layer1_0_bn2/moving_mean", "layer1.0.conv2.1.running_mean"),
        ("ir_csn_101", "pytorchvideo", "stem_bn/gamma", "blocks.0.norm.weight"),
        (
            "ir_csn_101",
            "pytorchvideo",
            "layer1_0_conv1/kernel",
            "blocks.1.res_blocks.0.branch2.conv_a.weight",
        ),
        (
            "ir_csn_101",
            "pytorchvideo",
            "layer3_22_bn2/moving_variance",
            "blocks.3.res_blocks.22.branch2.norm_b.running_var",
        ),
        (
            "ir_csn_101",
            "pytorchvideo",
            "layer4_0_shortcut/kernel",
            "blocks.4.res_blocks.0.branch1_conv.weight",
        ),
        (
            "ir_csn_101",
            "pytorchvideo",
            "layer4_0_shortcut_bn/beta",
            "blocks.4.res_blocks.0.branch1_norm.bias",
        ),
        ("ir_csn_101", "pytorchvideo", "logits/bias", "blocks.5.proj.bias"),
        ("ir_csn_50", "mmaction2", "stem_conv/kernel", "backbone.conv1.conv.weight"),
        ("ir_csn_50", "mmaction2", "layer1_0_conv1/kernel", "backbone.layer1.0.conv1.conv.weight"),
        ("ir_csn_50", "mmaction2", "layer1_0_conv2/kernel", "backbone.layer1.0.conv2.0.conv.weight"),
        ("ir_csn_50", "mmaction2", "layer1_0_bn2/gamma", "backbone.layer1.0.conv2.0.bn.weight"),
        ("ir_csn_50", "mmaction2", "layer2_0_shortcut_bn/beta", "backbone.layer2.0.downsample.bn.bias"),
        ("ir_csn_50", "mmaction2", "logits/kernel", "cls_head.fc_cls.weight"),
        ("ip_csn_152", "mmaction2", "layer1_0_conv2_mix/kernel", "backbone.layer1.0.conv2.0.conv.weight"),
        ("ip_csn_152", "mmaction2", "layer1_0_conv2_bn/gamma", "backbone.layer1.0.conv2.0.bn.weight"),
        ("ip_csn_152", "mmaction2", "layer1_0_conv2/kernel", "backbone.layer1.0.conv2.1.conv.weight"),
        ("ip_csn_152", "mmaction2", "layer1_0_bn2/gamma", "backbone.layer1.0.conv2.1.bn.weight"),
    ],
)
def test_keys(arch, layout, path, key):
    assert layout_of(arch, layout).key(path) == key


def test_a_published_checkpoint_of_mmaction2_has_as_many_arrays():
    # 155 units of a convolution and BatchNorm with its counter, and the class layer: 932.
    key = layout_of("ir_csn_152", "mmaction2").key
    model = models.create("ir_csn_152", num_classes=2, input_shape=CLIP, stem_width=2, widths=(1, 1, 1, 1))
    keys = [key(path) for path, _, _ in weights_by_path(model)]
    assert len(set(keys)) == 155 * 5 + 2 == 932 - 155


def test_what_the_weights_expect_of_the_network():
    caffe2 = {"pixels": "kinetics", "norm_epsilon": 1e-3}
    expected = {"vmz": caffe2, "mmaction2": caffe2, "pytorchvideo": {"pixels": "pytorchvideo"}}
    for arch, layouts in CSN_LAYOUTS.items():
        names = [name for name in expected if arch.startswith("ir") or name != "pytorchvideo"]
        assert {layout.name: layout.options for layout in layouts} == {name: expected[name] for name in names}
    made = convert(checkpoint("ip_csn_50", "vmz")[0], "ip_csn_50", input_shape=CLIP, **THIN)
    assert made.model.get_layer("layer1_0_conv2_bn").epsilon == 1e-3


def test_interaction_preserved_weights_are_not_those_of_a_reduced_network():
    for layout in ("vmz", "mmaction2"):
        tensors, _ = checkpoint("ip_csn_50", layout)
        with pytest.raises(UserError, match=f"not that of ir_csn_50 in the layout '{layout}'.*check --arch"):
            convert(tensors, "ir_csn_50", input_shape=CLIP, **THIN)


def test_a_missing_and_a_misshaped_array_are_named():
    tensors, _ = checkpoint("ir_csn_101", "pytorchvideo")
    del tensors["blocks.2.res_blocks.1.branch2.norm_c.bias"]
    tensors["blocks.1.res_blocks.0.branch2.conv_b.weight"] = np.zeros((2, 2, 3, 3, 3))
    told = r"norm_c.bias.*conv_b.weight \[2, 2, 3, 3, 3\] for layer1_0_conv2/kernel \[3, 3, 3, 2, 1\]"
    with pytest.raises(UserError, match=told):
        convert(tensors, "ir_csn_101", input_shape=CLIP, **THIN)


def test_a_checkpoint_that_none_of_the_sources_wrote():
    with pytest.raises(
        UserError, match=r"none of stem.0.weight, blocks.0.conv.weight, backbone.conv1.conv.w"
    ):
        choose_layout({"conv1.weight": np.zeros(1)}, "ir_csn_152")
