import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.models import create
from scsampler_tf.models.convert import convert
from scsampler_tf.models.inception import BLOCKS, scaled
from scsampler_tf.models.layout import weights_by_path
from scsampler_tf.models.weights_inception import INCEPTION_LAYOUTS

LAYOUTS = {layout.name: layout for layouts in INCEPTION_LAYOUTS.values() for layout in layouts}
NETWORKS = {layout.name: arch for arch, layouts in INCEPTION_LAYOUTS.items() for layout in layouts}
CLIP = (8, 32, 32, 3)
WIDTH = 1 / 8
CLASSES = 3
NUMBERED = (5, 6, 8, 9, 10, 11, 12, 14, 15)  # blocks in torchvision's sequence
NORM = ("weight", "bias", "running_mean", "running_var")
MOVING = ("moving_mean", "moving_variance", "beta")
# Of the units of a block: what pytorch-i3d, kinetics_i3d_pytorch and kinetics-i3d call them.
BLOCK_UNITS = (
    ("b0", "branch_0", "Branch_0/Conv3d_0a_1x1"),
    ("b1a", "branch_1.0", "Branch_1/Conv3d_0a_1x1"),
    ("b1b", "branch_1.1", "Branch_1/Conv3d_0b_3x3"),
    ("b2a", "branch_2.0", "Branch_2/Conv3d_0a_1x1"),
    ("b2b", "branch_2.1", "Branch_2/Conv3d_0b_3x3"),
    ("b3b", "branch_3.1", "Branch_3/Conv3d_0b_1x1"),
)


def thin(layout):
    arch = NETWORKS[layout]
    return create(arch, num_classes=CLASSES, input_shape=CLIP, width=WIDTH, **LAYOUTS[layout].options)


def i3d_units():
    """Each unit: names in pytorch-i3d, kinetics_i3d_pytorch, kinetics-i3d, inputs, outputs, kernel."""
    for name, inputs, outputs, size in (("1a_7x7", 3, 64, 7), ("2b_1x1", 64, 64, 1), ("2c_3x3", 64, 192, 3)):
        inputs = inputs if inputs == 3 else scaled(inputs, WIDTH)
        yield f"Conv3d_{name}", f"conv3d_{name}", f"Conv3d_{name}", inputs, scaled(outputs, WIDTH), size
    inputs = scaled(192, WIDTH)
    for block, channels in BLOCKS.items():
        name = block.replace("m", "M")
        b0, b1a, b1b, b2a, b2b, b3b = (scaled(count, WIDTH) for count in channels)
        sizes = ((inputs, b0, 1), (inputs, b1a, 1), (b1a, b1b, 3), (inputs, b2a, 1), (b2a, b2b, 3))
        for (ours, theirs, deepmind), size in zip(BLOCK_UNITS, (*sizes, (inputs, b3b, 1)), strict=True):
            if (block, ours) == ("mixed_5b", "b2b"):
                deepmind = "Branch_2/Conv3d_0a_3x3"
            yield f"{name}.{ours}", f"{block}.{theirs}", f"{name}/{deepmind}", *size
        inputs = b0 + b1b + b2b + b3b


def i3d_arrays(scales):
    """One thin I3D as it lies in checkpoints of each form; BatchNorm's scales are drawn from `scales`."""
    draw = np.random.default_rng(0)
    forms = {"pytorch_i3d": {}, "kinetics_i3d_pytorch": {}, "kinetics_i3d": {}}
    for ported, other, deepmind, inputs, outputs, size in i3d_units():
        kernel = draw.normal(0, (2 / (inputs * size**3)) ** 0.5, (size, size, size, inputs, outputs))
        numbers = {name: draw.uniform(-0.5, 0.5, outputs) for name in NORM}
        numbers |= {"weight": draw.uniform(*scales, outputs), "running_var": draw.uniform(0.5, 1.5, outputs)}
        for form, conv, norm in (("pytorch_i3d", ported, "bn"), ("kinetics_i3d_pytorch", other, "batch3d")):
            forms[form][f"{conv}.conv3d.weight"] = kernel.transpose(4, 3, 0, 1, 2)
            forms[form] |= {f"{conv}.{norm}.{name}": numbers[name] for name in NORM}
        name = f"RGB/inception_i3d/{deepmind}"
        forms["kinetics_i3d"][f"{name}/conv_3d/w"] = kernel
        for theirs, torch_name in zip(MOVING, ("running_mean", "running_var", "bias"), strict=True):
            array = numbers[torch_name].reshape(1, 1, 1, 1, -1)
            forms["kinetics_i3d"][f"{name}/batch_norm/{theirs}"] = array
    features = sum(scaled(BLOCKS["mixed_5c"][place], WIDTH) for place in (0, 2, 4, 5))
    matrix, bias = draw.normal(0, 0.1, (features, CLASSES)), draw.uniform(-1, 1, CLASSES)
    for form, name in (("pytorch_i3d", "logits"), ("kinetics_i3d_pytorch", "conv3d_0c_1x1")):
        forms[form][f"{name}.conv3d.weight"] = matrix.T[..., None, None, None]
        forms[form][f"{name}.conv3d.bias"] = bias
    name = "RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d"
    forms["kinetics_i3d"] |= {f"{name}/w": matrix[None, None, None], f"{name}/b": bias}
    forms["kinetics_i3d_600"] = {
        key.removeprefix("RGB/inception_i3d/"): array for key, array in forms["kinetics_i3d"].items()
    }
    return forms


def s3d_keys(base, unit, parts, branch0):
    """All keys of an S3D whose plain units have the modules `unit`, separable layers the pairs `parts`."""
    plain, separable = [f"{base}.2"], [f"{base}.0", f"{base}.3"]
    for number in NUMBERED:
        block = f"{base}.{number}"
        plain += [f"{block}.{branch0}", f"{block}.branch3.1"]
        for branch in (1, 2):
            plain.append(f"{block}.branch{branch}.0")
            separable.append(f"{block}.branch{branch}.1")
    pairs = [(f"{name}.{unit[0]}", f"{name}.{unit[1]}") for name in plain]
    pairs += [(f"{name}.{conv}", f"{name}.{norm}") for name in separable for conv, norm in parts]
    return {f"{conv}.weight" for conv, _ in pairs} | {f"{norm}.{name}" for _, norm in pairs for name in NORM}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_weight_has_a_key_of_its_own(layout):
    keys = [LAYOUTS[layout].key(path) for path, _, _ in weights_by_path(thin(layout))]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_torchvision_s3d_has_just_these_keys():
    names = {
        *s3d_keys("features", ("0", "1"), (("0.0", "0.1"), ("1.0", "1.1")), "branch0"),
        *("classifier.1.weight", "classifier.1.bias"),
    }
    assert {LAYOUTS["torchvision"].key(path) for path, _, _ in weights_by_path(thin("torchvision"))} == names
    assert len(names) == 77 * 5 + 2


def test_kylemin_s3d_has_just_these_keys():
    names = s3d_keys("base", ("conv", "bn"), (("conv_s", "bn_s"), ("conv_t", "bn_t")), "branch0.0")
    names |= {"fc.0.weight", "fc.0.bias"}
    assert {LAYOUTS["kylemin"].key(path) for path, _, _ in weights_by_path(thin("kylemin"))} == names


@pytest.mark.parametrize(
    ("layout", "path", "key"),
    [
        ("torchvision", "conv_1a_space/kernel", "features.0.0.0.weight"),
        ("torchvision", "conv_1a_time_bn/moving_variance", "features.0.1.1.running_var"),
        ("torchvision", "conv_2b_bn/gamma", "features.2.1.weight"),
        ("torchvision", "mixed_3b_b0/kernel", "features.5.branch0.0.weight"),
        ("torchvision", "mixed_3b_b1_reduce_bn/beta", "features.5.branch1.0.1.bias"),
        ("torchvision", "mixed_3b_b1_space/kernel", "features.5.branch1.1.0.0.weight"),
        ("torchvision", "mixed_4f_b2_time_bn/moving_mean", "features.12.branch2.1.1.1.running_mean"),
        ("torchvision", "mixed_5c_b3/kernel", "features.15.branch3.1.0.weight"),
        ("torchvision", "logits/kernel", "classifier.1.weight"),
        ("kylemin", "conv_1a_space/kernel", "base.0.conv_s.weight"),
        ("kylemin", "conv_1a_time_bn/moving_variance", "base.0.bn_t.running_var"),
        ("kylemin", "mixed_3b_b0/kernel", "base.5.branch0.0.conv.weight"),
        ("kylemin", "mixed_3b_b1_reduce_bn/beta", "base.5.branch1.0.bn.bias"),
        ("kylemin", "mixed_4f_b2_time_bn/moving_mean", "base.12.branch2.1.bn_t.running_mean"),
        ("kylemin", "logits/bias", "fc.0.bias"),
        ("kinetics_i3d", "conv_1a/kernel", "RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w"),
        ("kinetics_i3d", "conv_2b_bn/beta", "RGB/inception_i3d/Conv3d_2b_1x1/batch_norm/beta"),
        ("kinetics_i3d", "mixed_5b_b2/kernel", "RGB/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w"),
        ("kinetics_i3d", "mixed_5b_b1/kernel", "RGB/inception_i3d/Mixed_5b/Branch_1/Conv3d_0b_3x3/conv_3d/w"),
        ("kinetics_i3d", "mixed_5c_b2/kernel", "RGB/inception_i3d/Mixed_5c/Branch_2/Conv3d_0b_3x3/conv_3d/w"),
        ("kinetics_i3d", "conv_1a_bn/gamma", None),
        ("kinetics_i3d", "logits/kernel", "RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/w"),
        ("kinetics_i3d", "logits/bias", "RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/b"),
        ("kinetics_i3d_600", "mixed_3b_b3_bn/beta", "Mixed_3b/Branch_3/Conv3d_0b_1x1/batch_norm/beta"),
        ("pytorch_i3d", "conv_1a/kernel", "Conv3d_1a_7x7.conv3d.weight"),
        ("pytorch_i3d", "mixed_3b_b1_reduce_bn/gamma", "Mixed_3b.b1a.bn.weight"),
        ("pytorch_i3d", "mixed_3b_b3/kernel", "Mixed_3b.b3b.conv3d.weight"),
        ("pytorch_i3d", "logits/kernel", "logits.conv3d.weight"),
        ("kinetics_i3d_pytorch", "conv_2c_bn/beta", "conv3d_2c_3x3.batch3d.bias"),
        ("kinetics_i3d_pytorch", "mixed_4b_b2/kernel", "mixed_4b.branch_2.1.conv3d.weight"),
        ("kinetics_i3d_pytorch", "logits/bias", "conv3d_0c_1x1.conv3d.bias"),
        ("torchvision", "mixed_3b_b1_gate/kernel", None),
    ],
)  # fmt: skip
def test_keys_written_by_hand(layout, path, key):
    assert LAYOUTS[layout].key(path) == key


def test_all_forms_of_one_i3d_make_the_same_network():
    clip = np.random.default_rng(1).uniform(0, 255, (1, *CLIP)).astype("float32")
    forms = i3d_arrays(scales=(1, 1))
    made = {name: convert(tensors, "i3d", input_shape=CLIP, width=WIDTH) for name, tensors in forms.items()}
    assert {name: converted.layout for name, converted in made.items()} == {name: name for name in forms}
    first, *others = [converted.model(clip, training=False).numpy() for converted in made.values()]
    assert np.abs(first).max() > 0.1
    for logits in others:
        np.testing.assert_allclose(logits, first, rtol=1e-5, atol=1e-6)


def test_scales_of_the_ports_are_used():
    forms = i3d_arrays(scales=(0.5, 1.5))
    for name in ("pytorch_i3d", "kinetics_i3d_pytorch"):
        made = convert(forms[name], "i3d", input_shape=CLIP, width=WIDTH)
        norm = "bn" if name == "pytorch_i3d" else "batch3d"
        key = {"pytorch_i3d": "Mixed_3b.b2a", "kinetics_i3d_pytorch": "mixed_3b.branch_2.0"}[name]
        gamma = made.model.get_layer("mixed_3b_b2_reduce_bn").gamma.numpy()
        np.testing.assert_allclose(gamma, forms[name][f"{key}.{norm}.weight"], rtol=1e-6)


def test_scales_may_be_added_to_deepmind_weights_and_are_one():
    tensors = i3d_arrays(scales=(1, 1))["kinetics_i3d"]
    made = convert(tensors, "i3d", input_shape=CLIP, width=WIDTH, norm_scale=True)
    assert len(made.kept) == 57  # units
    assert set(made.model.get_layer("conv_1a_bn").gamma.numpy()) == {1.0}


def test_what_training_leaves_in_a_tensorflow_checkpoint_is_no_weight():
    tensors = i3d_arrays(scales=(1, 1))["kinetics_i3d"]
    kernel = "RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w"
    tensors |= {f"{kernel}/Momentum": tensors[kernel], "global_step": np.int64(7)}
    assert convert(tensors, "i3d", input_shape=CLIP, width=WIDTH).left == []


def test_weights_of_optical_flow_are_refused():
    flow = {key.replace("RGB/", "Flow/"): array for key, array in i3d_arrays((1, 1))["kinetics_i3d"].items()}
    with pytest.raises(UserError, match="i3d: the checkpoint has none of RGB/inception_i3d/Conv3d_1a_7x7"):
        convert(flow, "i3d", input_shape=CLIP, width=WIDTH)
