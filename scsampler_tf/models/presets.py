"""The networks by name, as plain data.

Each entry: the family that builds it, its arguments, and the shape, kind of input and number of classes
for which `parameters` (trained ones, without BatchNorm's moving statistics) and `giga_multiply_adds` (for
one example, in 1e9, counted as in `scsampler_tf.cost`) hold.
"""

RESNET_STRIDES = ((1, 1), (2, 2), (2, 2), (2, 2))  # (time, space) of each stage
RESNET_18_3D = {
    "stem_width": 64,
    "widths": (64, 128, 256, 512),
    "repeats": (2, 2, 2, 2),
    "strides": RESNET_STRIDES,
}
KINETICS_CLIP = {"input_shape": (16, 112, 112, 3), "inputs": "rgb", "classes": 400}

PRESETS = {
    # torchvision documents these three and resnet18 with the same numbers.
    "r3d_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "full", "makers": ("full",) * 4},
        **KINETICS_CLIP,
        "parameters": 33_371_472,
        "giga_multiply_adds": 40.70,
    },
    "mc3_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "full", "makers": ("full",) + ("spatial",) * 3},
        **KINETICS_CLIP,
        "parameters": 11_695_440,
        "giga_multiply_adds": 43.34,
    },
    "r2plus1d_18": {
        "family": "resnet3d",
        "arguments": {**RESNET_18_3D, "stem": "factored", "makers": ("factored",) * 4},
        **KINETICS_CLIP,
        "parameters": 31_505_325,
        "giga_multiply_adds": 40.52,
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
    },
    "resnet18": {
        "family": "resnet2d",
        "arguments": {"stem": "auto", "widths": (64, 128, 256, 512), "repeats": (2, 2, 2, 2)},
        "input_shape": (224, 224, 3),
        "inputs": "rgb",
        "classes": 1000,
        "parameters": 11_689_512,
        "giga_multiply_adds": 1.814,
    },
    "resnet_small": {
        "family": "resnet2d",
        "arguments": {"stem": "auto", "widths": (16, 32, 64), "repeats": (1, 1, 1)},
        "input_shape": (56, 56, 3),
        "inputs": "rgb_r",
        "classes": 10,
        "parameters": 79_962,
        "giga_multiply_adds": 0.00437,
    },
    "vgg_audio": {
        "family": "audio_vgg",
        "arguments": {
            "widths": (64, 128, 256, 512),
            "repeats": (2, 2, 2, 2),
            "units": (512, 512),
            "pooling": "none",
        },
        "input_shape": (40, 200, 1),
        "inputs": "log_mel",
        "classes": 400,
        "parameters": 11_445_968,
        "giga_multiply_adds": 1.633,
    },
    "vgg_audio_small": {
        "family": "audio_vgg",
        "arguments": {
            "widths": (4, 8, 16, 32),
            "repeats": (1, 1, 1, 2),
            "units": (64,),
            "pooling": "time",
        },
        "input_shape": (40, 200, 1),
        "inputs": "log_mel",
        "classes": 10,
        "parameters": 20_294,
        "giga_multiply_adds": 0.00317,
    },
}
