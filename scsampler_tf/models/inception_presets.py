"""The Inception family by name, in the form of `scsampler_tf.models.presets`.

A number N in a name counts full 3D layers out of eleven (conv_1a, conv_2c and the nine blocks); those of N
in the presets here lie on the borders of the stages.
"""

FULL, SPATIAL, SEPARABLE = ("full",), ("spatial",), ("separable",)
DEPTH = 11

# kinetics-i3d and TF-Slim: TensorFlow's padding, BatchNorm with an offset alone.
TENSORFLOW = {
    "time_strides": (2, 2, 2),
    "padding": "same",
    "gating": "none",
    "norm_scale": False,
    "norm_epsilon": 1e-3,
    "norm_momentum": 0.999,
    "width": 1,
}
TORCHVISION = {**TENSORFLOW, "padding": "symmetric", "norm_scale": True}
CLIP_64 = {"input_shape": (64, 224, 224, 3), "inputs": "rgb", "classes": 400}
CLIP_16 = {**CLIP_64, "input_shape": (16, 224, 224, 3)}

XIE = "Xie et al. (2018)"


def deflated(kinds: tuple[str, ...], parameters: int, giga_multiply_adds: float) -> dict:
    """An I3D some of whose layers are 2D."""
    return {
        "family": "inception",
        "arguments": {**TENSORFLOW, "kinds": kinds},
        **CLIP_64,
        "parameters": parameters,
        "giga_multiply_adds": giga_multiply_adds,
        "source": XIE,
    }


def bottom_heavy(layers: int, parameters: int, giga_multiply_adds: float) -> dict:
    """An I3D whose lowest `layers` are 3D, and 2D from there on."""
    return deflated(FULL * layers + SPATIAL * (DEPTH - layers), parameters, giga_multiply_adds)


def top_heavy(layers: int, parameters: int, giga_multiply_adds: float) -> dict:
    """An I3D whose highest `layers` are 3D, and 2D up to there."""
    return deflated(SPATIAL * (DEPTH - layers) + FULL * layers, parameters, giga_multiply_adds)


INCEPTION = {
    # Every frame for itself, so it costs as much a frame as an Inception-v1; the logits are a mean over
    # time. With the strides in time of the others it would be 36.89 G, but look at every eighth frame.
    "i2d": {
        "family": "inception",
        "arguments": {**TENSORFLOW, "kinds": SPATIAL * DEPTH, "time_strides": (1, 1, 1)},
        **CLIP_64,
        "parameters": 6_002_624,
        "giga_multiply_adds": 95.83,
        "source": XIE,
    },
    "i3d": {
        "family": "inception",
        "arguments": {**TENSORFLOW, "kinds": FULL * DEPTH},
        **CLIP_64,
        "parameters": 12_689_984,
        "giga_multiply_adds": 111.15,
        "source": "Carreira and Zisserman (2017), the code kinetics-i3d",
    },
    "i3d_bottom_heavy_1": bottom_heavy(1, 6_059_072, 59.55),  # conv_1a
    "i3d_bottom_heavy_2": bottom_heavy(2, 6_280_256, 81.74),  # up to pool_3a
    "i3d_bottom_heavy_4": bottom_heavy(4, 7_008_320, 100.01),  # up to pool_4a
    "i3d_bottom_heavy_9": bottom_heavy(9, 10_256_960, 110.20),  # up to pool_5a
    "i3d_top_heavy_2": top_heavy(2, 8_435_648, 37.84),  # from pool_5a
    "i3d_top_heavy_7": top_heavy(7, 11_684_288, 48.03),  # from pool_4a
    "i3d_top_heavy_9": top_heavy(9, 12_412_352, 66.30),  # from pool_3a
    "i3d_top_heavy_10": top_heavy(10, 12_633_536, 88.49),  # all but conv_1a
    "s3d": {
        "family": "inception",
        "arguments": {**TORCHVISION, "kinds": SEPARABLE * DEPTH},
        **CLIP_16,
        "parameters": 8_320_048,
        "giga_multiply_adds": 17.979,
        "source": f"{XIE}, as in torchvision's `models/video/s3d.py`",
    },
    # Time is looked at in stage 5 alone, so that nearly all is 2D; conv_1a takes every second frame.
    "fast_s3d": {
        "family": "inception",
        "arguments": {**TORCHVISION, "kinds": SPATIAL * 9 + SEPARABLE * 2},
        **CLIP_64,
        "parameters": 6_859_696,
        "giga_multiply_adds": 37.22,
        "source": f"{XIE}, Fast-S3D",
    },
    # A gate is one product of a matrix and a vector a clip: all of them are 0.76 M parameters and as many
    # multiply-adds.
    "s3d_g": {
        "family": "inception",
        "arguments": {**TORCHVISION, "kinds": SEPARABLE * DEPTH, "gating": "temporal"},
        **CLIP_64,
        "parameters": 9_085_744,
        "giga_multiply_adds": 71.91,
        "source": XIE,
    },
    # For a CPU: an S3D of a quarter of the channels. conv_1a keeps all frames, of which a short clip has few.
    "s3d_small": {
        "family": "inception",
        "arguments": {
            **TORCHVISION,
            "kinds": SEPARABLE * DEPTH,
            "time_strides": (1, 2, 2),
            "norm_momentum": 0.9,
            "width": 1 / 4,
        },
        "input_shape": (8, 56, 56, 3),
        "inputs": "rgb",
        "classes": 10,
        "parameters": 502_690,
        "giga_multiply_adds": 0.0815,
        "source": "this project",
    },
}
