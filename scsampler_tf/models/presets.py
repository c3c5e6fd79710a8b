"""The networks by name, as plain data.

Each entry: the family that builds it, its arguments, and the shape, kind of input and number of classes
for which `parameters` (trained ones, without BatchNorm's moving statistics) and `giga_multiply_adds` (for
one example, in 1e9, counted as in `scsampler_tf.cost`) hold. `source` says whose network it is and whose
code it follows; what was published about its size stands in `scsampler_tf.models.published`.
"""

from scsampler_tf.models.inception_presets import INCEPTION
from scsampler_tf.models.sampler_presets import OWN, SAMPLERS

RESNET_STRIDES = ((1, 1), (2, 2), (2, 2), (2, 2))  # (time, space) of each stage
RESNET_18_3D = {
    "stem_width": 64,
    "widths": (64, 128, 256, 512),
    "repeats": (2, 2, 2, 2),
    "strides": RESNET_STRIDES,
}
RESNET_34_3D = {**RESNET_18_3D, "repeats": (3, 4, 6, 3)}
CSN_152 = {**RESNET_18_3D, "repeats": (3, 8, 36, 3), "block": "bottleneck", "stem": "pooled"}
CSN_101 = {**CSN_152, "repeats": (3, 4, 23, 3)}
CSN_50 = {**CSN_152, "repeats": (3, 4, 6, 3)}
KINETICS_CLIP = {"input_shape": (16, 112, 112, 3), "inputs": "rgb", "classes": 400}
LONG_CLIP = {**KINETICS_CLIP, "input_shape": (32, 112, 112, 3)}
LONG_LARGE_CLIP = {**KINETICS_CLIP, "input_shape": (32, 224, 224, 3)}

TRAN_2018 = "Tran et al. (2018), as in torchvision's `models/video/resnet.py`"
TRAN_2019 = "Tran et al. (2019), as in VMZ"


PRESETS = {
    "r3d_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "full", "makers": ("full",) * 4},
        **KINETICS_CLIP,
        "parameters": 33_371_472,
        "giga_multiply_adds": 40.70,
        "source": TRAN_2018,
    },
    "mc3_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "full", "makers": ("full",) + ("spatial",) * 3},
        **KINETICS_CLIP,
        "parameters": 11_695_440,
        "giga_multiply_adds": 43.34,
        "source": TRAN_2018,
    },
    "r2plus1d_18": {
        "family": "resnet3d",
        "arguments": {
            **RESNET_18_3D,
            "stem": "factored",
            "makers": ("factored",) * 4,
            "midplanes": "block",
        },
        **KINETICS_CLIP,
        "parameters": 31_505_325,
        "giga_multiply_adds": 40.52,
        "source": TRAN_2018,
    },
    # MCx has x - 1 groups in 3D, then 2D (the stem is the first group); rMCx is the other way round.
    "mc2_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "full", "makers": ("spatial",) * 4},
        **KINETICS_CLIP,
        "parameters": 11_400_528,
        "giga_multiply_adds": 28.55,
        "source": TRAN_2018,
    },
    "mc4_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "full", "makers": ("full",) * 2 + ("spatial",) * 2},
        **KINETICS_CLIP,
        "parameters": 12_727_632,
        "giga_multiply_adds": 39.95,
        "source": TRAN_2018,
    },
    "mc5_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "full", "makers": ("full",) * 3 + ("spatial",)},
        **KINETICS_CLIP,
        "parameters": 16_856_400,
        "giga_multiply_adds": 39.90,
        "source": TRAN_2018,
    },
    "rmc2_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "spatial", "makers": ("full",) * 4},
        **KINETICS_CLIP,
        "parameters": 33_352_656,
        "giga_multiply_adds": 39.75,
        "source": TRAN_2018,
    },
    "rmc3_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "spatial", "makers": ("spatial",) + ("full",) * 3},
        **KINETICS_CLIP,
        "parameters": 33_057_744,
        "giga_multiply_adds": 24.95,
        "source": TRAN_2018,
    },
    "rmc4_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "spatial", "makers": ("spatial",) * 2 + ("full",) * 2},
        **KINETICS_CLIP,
        "parameters": 32_025_552,
        "giga_multiply_adds": 29.09,
        "source": TRAN_2018,
    },
    "rmc5_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "spatial", "makers": ("spatial",) * 3 + ("full",)},
        **KINETICS_CLIP,
        "parameters": 27_896_784,
        "giga_multiply_adds": 30.79,
        "source": TRAN_2018,
    },
    "r3d_34": {
        "family": "resnet3d",
        "arguments": {**RESNET_34_3D, "stem": "full", "makers": ("full",) * 4},
        **KINETICS_CLIP,
        "parameters": 63_681_104,
        "giga_multiply_adds": 75.38,
        "source": TRAN_2018,
    },
    "r2plus1d_34": {
        "family": "resnet3d",
        "arguments": {
            **RESNET_34_3D,
            "stem": "factored",
            "makers": ("factored",) * 4,
            "midplanes": "convolution",
        },
        **LONG_CLIP,
        "parameters": 63_697_175,
        "giga_multiply_adds": 152.36,
        "source": "Tran et al. (2018), as in VMZ",
    },
    "ir_csn_50": {
        "family": "resnet3d",
        "arguments": {**CSN_50, "makers": ("reduced",) * 4},
        **LONG_LARGE_CLIP,
        "parameters": 13_131_152,
        "giga_multiply_adds": 42.31,
        "source": TRAN_2019,
    },
    "ir_csn_101": {
        "family": "resnet3d",
        "arguments": {**CSN_101, "makers": ("reduced",) * 4},
        **LONG_LARGE_CLIP,
        "parameters": 22_213_776,
        "giga_multiply_adds": 56.47,
        "source": TRAN_2019,
    },
    "ir_csn_152": {
        "family": "resnet3d",
        "arguments": {**CSN_152, "makers": ("reduced",) * 4},
        **LONG_LARGE_CLIP,
        "parameters": 29_703_568,
        "giga_multiply_adds": 74.05,
        "source": TRAN_2019,
    },
    "ip_csn_50": {
        "family": "resnet3d",
        "arguments": {**CSN_50, "makers": ("preserved",) * 4},
        **LONG_LARGE_CLIP,
        "parameters": 14_396_176,
        "giga_multiply_adds": 47.65,
        "source": TRAN_2019,
    },
    "ip_csn_101": {
        "family": "resnet3d",
        "arguments": {**CSN_101, "makers": ("preserved",) * 4},
        **LONG_LARGE_CLIP,
        "parameters": 24_601_616,
        "giga_multiply_adds": 63.56,
        "source": TRAN_2019,
    },
    "ip_csn_152": {
        "family": "resnet3d",
        "arguments": {**CSN_152, "makers": ("preserved",) * 4},
        **LONG_LARGE_CLIP,
        "parameters": 33_016_592,
        "giga_multiply_adds": 83.29,
        "source": TRAN_2019,
    },
    # For a CPU. The clip keeps its frames through the stem and the first stage, so that five convolutions
    # over time see motion from frame to frame; the picture shrinks at once, where the cost is.
    "r2plus1d_small": {
        "family": "resnet3d",
        "arguments": {
            "stem": "factored",
            "stem_width": 16,
            "makers": ("factored",) * 3,
            "widths": (24, 48, 96),
            "repeats": (1, 1, 1),
            "strides": ((1, 2), (2, 2), (2, 2)),
        },
        "input_shape": (8, 56, 56, 3),
        "inputs": "rgb",
        "classes": 10,
        "parameters": 438_217,
        "giga_multiply_adds": 0.0845,
        "source": OWN,
    },
    "csn_small": {
        "family": "resnet3d",
        "arguments": {
            "block": "bottleneck",
            "stem": "pooled",
            "stem_width": 16,
            "makers": ("reduced",) * 3,
            "widths": (16, 32, 64),
            "repeats": (1, 2, 1),
            "strides": ((1, 1), (2, 2), (2, 2)),
        },
        "input_shape": (8, 56, 56, 3),
        "inputs": "rgb",
        "classes": 10,
        "parameters": 98_346,
        "giga_multiply_adds": 0.0593,
        "source": OWN,
    },
    **SAMPLERS,
    **INCEPTION,
}
