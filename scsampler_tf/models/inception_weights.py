"""Where torchvision's S3D keeps what our S3D keeps elsewhere.

torchvision numbers the parts of its network: `features.0` is conv_1a, 2 conv_2b, 3 conv_2c, 5 and 6 the
blocks of stage 3, 8 to 12 those of stage 4, 14 and 15 those of stage 5 (1, 4, 7 and 13 are poolings). A
unit `KEY` has its kernel at `KEY.0.weight` and BatchNorm's numbers at `KEY.1.*`; a separable layer is the
units `KEY.0` over space and `KEY.1` over time. So `features.5.branch1.1.0.0.weight` is
`mixed_3b_b1_space/kernel`, and `features.5.branch1.0.1.bias` is `mixed_3b_b1_reduce_bn/beta`.
"""

from scsampler_tf.models.inception import BLOCKS, STEM

FEATURES = dict(zip((*STEM, *BLOCKS), (0, 3, 5, 6, 8, 9, 10, 11, 12, 14, 15), strict=True))
NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def s3d_torchvision_names() -> dict[str, str]:
    """Path of every weight of the network "s3d" -> key in the state of torchvision's `s3d`.

    Kernels of convolutions turn from `[out, in, t, h, w]` into `[t, h, w, in, out]`; the class layer's
    `[classes, 1024, 1, 1, 1]` into `[1024, classes]`; all others keep their shape. torchvision's
    `num_batches_tracked` have no counterpart.
    """
    names = {"logits/kernel": "classifier.1.weight", "logits/bias": "classifier.1.bias"}
    names |= unit_names("conv_2b", "features.2")
    for name in STEM:
        names |= separable_names(name, f"features.{FEATURES[name]}")
    for name in BLOCKS:
        key = f"features.{FEATURES[name]}"
        names |= unit_names(f"{name}_b0", f"{key}.branch0")
        for branch in (1, 2):
            names |= unit_names(f"{name}_b{branch}_reduce", f"{key}.branch{branch}.0")
            names |= separable_names(f"{name}_b{branch}", f"{key}.branch{branch}.1")
        names |= unit_names(f"{name}_b3", f"{key}.branch3.1")
    return names


def unit_names(name: str, key: str) -> dict[str, str]:
    """The five weights of a convolution with BatchNorm."""
    norm = {f"{name}_bn/{ours}": f"{key}.1.{theirs}" for ours, theirs in NORM.items()}
    return {f"{name}/kernel": f"{key}.0.weight", **norm}


def separable_names(name: str, key: str) -> dict[str, str]:
    """The ten weights of a separable layer."""
    return unit_names(f"{name}_space", f"{key}.0") | unit_names(f"{name}_time", f"{key}.1")
