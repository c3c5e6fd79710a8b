import pytest

from scsampler_tf.models.blocks import Build
from scsampler_tf.models.inception import build_inception
from scsampler_tf.models.inception_presets import INCEPTION
from scsampler_tf.models.inception_weights import s3d_torchvision_names


def test_every_weight_of_s3d_has_one_name_in_torchvision():
    arguments = {**INCEPTION["s3d"]["arguments"], "width": 1 / 8}
    common = {"input_shape": (8, 32, 32, 3), "num_classes": 3, "inputs": "rgb", "dropout": 0.5}
    model = build_inception("s3d", **common, build=Build(), **arguments)
    names = s3d_torchvision_names()
    assert sorted(weight.path for weight in model.weights) == sorted(names)
    assert len(set(names.values())) == len(names) == 77 * 5 + 2


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("conv_1a_space/kernel", "features.0.0.0.weight"),
        ("conv_1a_time_bn/moving_variance", "features.0.1.1.running_var"),
        ("conv_2b_bn/gamma", "features.2.1.weight"),
        ("mixed_3b_b0/kernel", "features.5.branch0.0.weight"),
        ("mixed_3b_b1_reduce_bn/beta", "features.5.branch1.0.1.bias"),
        ("mixed_3b_b1_space/kernel", "features.5.branch1.1.0.0.weight"),
        ("mixed_4f_b2_time_bn/moving_mean", "features.12.branch2.1.1.1.running_mean"),
        ("mixed_5c_b3/kernel", "features.15.branch3.1.0.weight"),
        ("logits/kernel", "classifier.1.weight"),
    ],
)
def test_names_in_torchvision(path, key):
    assert s3d_torchvision_names()[path] == key
