import functools

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import models
from scsampler_tf.models.convert import choose_layout, convert, fill
from scsampler_tf.models.layout import weights_by_path
from scsampler_tf.models.weights_resnet import RESNET_LAYOUTS

THIN = {"stem_width": 8, "widths": (4, 6, 8, 10)}  # 3D ResNets
THIN_PICTURE = {"widths": (4, 6, 8, 10)}
CLIP = (8, 32, 32, 3)
ONE_OF_EACH = ("r3d_18", "mc3_18", "rmc3_18", "r2plus1d_18", "r2plus1d_34", "resnet18")


def thin(arch):
    """Options and input shape of a narrow network."""
    return ({**THIN_PICTURE, "stem": "imagenet"}, (32, 32, 3)) if arch == "resnet18" else (THIN, CLIP)


def checkpoint_of(model, key):
    """Random arrays that a checkpoint in PyTorch has for `model`, and those by path as Keras keeps them."""
    draw, tensors, ours = np.random.default_rng(0), {}, {}
    for path, layer, weight in weights_by_path(model):
        array = draw.uniform(0.5, 1.5, weight.shape).astype("float32")
        assert key(path) not in tensors
        ours[path], tensors[key(path)] = array, array
        if array.ndim > 2:
            # [*kernel, in, out] lies as [out, in, *kernel], and one filter a channel [*kernel, C, 1] as
            # [C, 1, *kernel].
            order = (-2, -1) if "Depthwise" in type(layer).__name__ else (-1, -2)
            tensors[key(path)] = np.moveaxis(array, order, (0, 1))
        elif array.ndim == 2:
            tensors[key(path)] = array.T
    return tensors, ours


@functools.cache
def narrow(arch, classes=3):
    """A narrow network, for tests that leave its weights alone."""
    options, shape = thin(arch)
    return models.create(arch, num_classes=classes, input_shape=shape, **options)


def checkpoint(arch, classes=3):
    """Random arrays for a narrow network, by their keys and by paths."""
    return checkpoint_of(narrow(arch, classes), RESNET_LAYOUTS[arch][0].key)


@pytest.mark.parametrize("arch", ONE_OF_EACH)
def test_every_weight_comes_from_a_key_of_its_own(arch):
    tensors, ours = checkpoint(arch)
    options, shape = thin(arch)
    made = convert({**tensors, "stem.1.num_batches_tracked": np.array(5)}, arch, input_shape=shape, **options)
    assert (made.kept, made.left) == ([], [])
    found = {path: weight for path, _, weight in weights_by_path(made.model)}
    assert sorted(found) == sorted(ours)
    for path, array in ours.items():
        np.testing.assert_array_equal(found[path], array, err_msg=path)


@pytest.mark.parametrize(
    ("arch", "path", "key"),
    [
        ("r3d_18", "stem_conv/kernel", "stem.0.weight"),
        ("r3d_18", "stem_bn/moving_mean", "stem.1.running_mean"),
        ("r3d_18", "layer1_0_conv1/kernel", "layer1.0.conv1.0.weight"),
        ("r3d_18", "layer3_1_bn2/gamma", "layer3.1.conv2.1.weight"),
        ("mc3_18", "layer2_0_shortcut/kernel", "layer2.0.downsample.0.weight"),
        ("r3d_34", "layer3_5_bn1/beta", "layer3.5.conv1.1.bias"),
        ("r2plus1d_18", "stem_space/kernel", "stem.0.weight"),
        ("r2plus1d_18", "stem_space_bn/beta", "stem.1.bias"),
        ("r2plus1d_18", "stem_time/kernel", "stem.3.weight"),
        ("r2plus1d_18", "stem_bn/moving_variance", "stem.4.running_var"),
        ("r2plus1d_18", "layer1_0_conv1_space/kernel", "layer1.0.conv1.0.0.weight"),
        ("r2plus1d_18", "layer1_0_conv1_bn/moving_mean", "layer1.0.conv1.0.1.running_mean"),
        ("r2plus1d_34", "layer4_2_conv2_time/kernel", "layer4.2.conv2.0.3.weight"),
        ("r2plus1d_34", "layer4_0_bn2/gamma", "layer4.0.conv2.1.weight"),
        ("r2plus1d_34", "layer4_0_shortcut_bn/beta", "layer4.0.downsample.1.bias"),
        ("r2plus1d_34", "logits/bias", "fc.bias"),
        ("resnet18", "stem_conv/kernel", "conv1.weight"),
        ("resnet18", "stem_bn/gamma", "bn1.weight"),
        ("resnet18", "layer4_1_conv2/kernel", "layer4.1.conv2.weight"),
        ("resnet18", "layer2_0_bn1/moving_variance", "layer2.0.bn1.running_var"),
        ("resnet18", "layer2_0_shortcut_bn/gamma", "layer2.0.downsample.1.weight"),
        ("resnet18", "logits/kernel", "fc.weight"),
    ],
)
def test_keys(arch, path, key):
    assert RESNET_LAYOUTS[arch][0].key(path) == key


def test_all_3d_resnets_with_published_relatives_have_a_layout():
    families = {name for name, preset in models.PRESETS.items() if preset["family"] == "resnet3d"}
    assert families - set(RESNET_LAYOUTS) == {"r2plus1d_small", "csn_small"} | {
        name for name in families if "_csn_" in name
    }


# 359 and 487 are the classes of ig65m-pytorch's weights for 8 and 32 frames.
@pytest.mark.parametrize(("arch", "classes"), [("r2plus1d_34", 359), ("r2plus1d_34", 487), ("resnet18", 1)])
def test_the_checkpoint_says_how_many_classes_there_are(arch, classes):
    options, shape = thin(arch)
    made = convert(checkpoint(arch, classes)[0], arch, input_shape=shape, **options)
    assert made.model.output_shape == (None, classes)


def test_what_the_weights_expect_of_the_network():
    for arch in ("r3d_18", "r2plus1d_18", "mc4_18"):
        assert RESNET_LAYOUTS[arch][0].options == {"pixels": "kinetics"}
    assert RESNET_LAYOUTS["r2plus1d_34"][0].options == {"pixels": "kinetics", "norm_epsilon": 1e-3}
    options, shape = thin("r2plus1d_34")
    made = convert(checkpoint("r2plus1d_34")[0], "r2plus1d_34", input_shape=shape, **options)
    assert made.model.get_layer("layer1_0_bn1").epsilon == 1e-3
    assert made.model.get_layer("layer1_0_bn1").momentum == 0.9
    assert made.options == {"pixels": "kinetics", "norm_epsilon": 1e-3, **options}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda t: t.pop("layer2.0.conv1.0.3.weight"), "1 missing: layer2.0.conv1.0.3.weight"),
        (lambda t: t.update({"layer5.0.weight": np.zeros(2)}), "1 unexpected: layer5.0.weight"),
        (
            lambda t: t.update({"stem.3.weight": np.zeros((9, 6, 3, 1, 1))}),
            r"of another shape: stem.3.weight \[9, 6, 3, 1, 1\] for stem_time/kernel \[3, 1, 1, 6, 8\]",
        ),
        (lambda t: t.update({"fc.weight": np.zeros((3, 11))}), r"fc.weight \[3, 11\] for logits/kernel"),
        (lambda t: t.update({"stem.4.weight": np.zeros(9)}), r"stem.4.weight \[9\] for stem_bn/gamma"),
        (lambda t: t.update({"fc.bias": np.zeros(())}), "of another shape: .*fc.bias"),
    ],
)
def test_a_damaged_checkpoint_is_named(damage, told):
    tensors, _ = checkpoint("r2plus1d_18")
    damage(tensors)
    model = narrow("r2plus1d_18")
    before = model.get_weights()
    with pytest.raises(UserError, match=told):
        fill(model, tensors, RESNET_LAYOUTS["r2plus1d_18"][0])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_weights_of_another_network_are_refused():
    tensors, _ = checkpoint("r2plus1d_18")
    with pytest.raises(UserError, match=r"not that of r3d_18 in the layout 'torchvision'.*check --arch"):
        convert(tensors, "r3d_18", input_shape=CLIP, **THIN)
    with pytest.raises(UserError, match=r"none of stem.0.weight, by which"):
        choose_layout(checkpoint("resnet18")[0], "r3d_18")


def test_a_layer_that_no_checkpoint_has_is_missing_rather_than_left_as_it_was():
    tensors, _ = checkpoint("r2plus1d_18")
    with pytest.raises(UserError, match=r"missing: stem_conv.weight"):
        convert(tensors, "r2plus1d_18", input_shape=CLIP, stem="full", **THIN)
