"""The Inception family by name, in the form of `scsampler_tf.models.presets`.

`source` says who published which numbers, and where ours differ from them and why. A number N in a name
counts full 3D layers out of eleven (conv_1a, conv_2c and the nine blocks); those of N in the presets here
lie on the borders of the stages.
"""

FULL, SPATIAL, SEPARABLE = ("full",), ("spatial",), ("separable",)
DEPTH = 11

# kinetics-i3d and TF-Slim: TensorFlow's padding, BatchNorm with an offset alone.
TENSORFLOW = {
    "time_strides": (2, 2, 2),
    "padding": "same",
    "gating": "none",
    "norm_scale": False,
    "norm_momentum": 0.999,
    "width": 1,
}
TORCHVISION = {**TENSORFLOW, "padding": "symmetric", "norm_scale": True}
CLIP_64 = {"input_shape": (64, 224, 224, 3), "inputs": "rgb", "classes": 400}
CLIP_16 = {**CLIP_64, "input_shape": (16, 224, 224, 3)}

XIE = "Xie et al. (2018), Rethinking Spatiotemporal Feature Learning"
DEFLATED = f"{XIE}, drawn in figures without numbers: counted from the layers"


def deflated(kinds: tuple[str, ...], parameters: int, giga_multiply_adds: float) -> dict:
    """An I3D some of whose layers are 2D."""
    return {
        "family": "inception",
        "arguments": {**TENSORFLOW, "kinds": kinds},
        **CLIP_64,
        "parameters": parameters,
        "giga_multiply_adds": giga_multiply_adds,
        "source": DEFLATED,
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
        "source": f"{XIE}; no number published: counted from the layers",
    },
    # The number of parameters usually cited, 12,287,264, is that of PyTorch's ports without the class
    # layer (410,000) and with BatchNorm's scales (7,280), which kinetics-i3d doesn't have.
    "i3d": {
        "family": "inception",
        "arguments": {**TENSORFLOW, "kinds": FULL * DEPTH},
        **CLIP_64,
        "parameters": 12_689_984,
        "giga_multiply_adds": 111.15,
        "source": (
            "Carreira & Zisserman (2017), the code kinetics-i3d; PyTorch's ports have 12,287,264 without "
            f"class layer. {XIE}: 12.06 M and 107.89 G, 5 and 3 % below what the layers of the code come to"
        ),
    },
    "i3d_bottom_heavy_1": bottom_heavy(1, 6_059_072, 59.55),  # conv_1a
    "i3d_bottom_heavy_2": bottom_heavy(2, 6_280_256, 81.74),  # up to pool_3a
    "i3d_bottom_heavy_4": bottom_heavy(4, 7_008_320, 100.01),  # up to pool_4a
    "i3d_bottom_heavy_9": bottom_heavy(9, 10_256_960, 110.20),  # up to pool_5a
    "i3d_top_heavy_2": top_heavy(2, 8_435_648, 37.84),  # from pool_5a
    "i3d_top_heavy_7": top_heavy(7, 11_684_288, 48.03),  # from pool_4a
    "i3d_top_heavy_9": top_heavy(9, 12_412_352, 66.30),  # from pool_3a
    "i3d_top_heavy_10": top_heavy(10, 12_633_536, 88.49),  # all but conv_1a
    # 64 frames cost 71.91 G.
    "s3d": {
        "family": "inception",
        "arguments": {**TORCHVISION, "kinds": SEPARABLE * DEPTH},
        **CLIP_16,
        "parameters": 8_320_048,
        "giga_multiply_adds": 17.979,
        "source": (
            "torchvision, s3d: 8,320,048 and 17.979 G, the same. "
            f"{XIE}: 8.77 M and 66.38 G for 64 frames, 5 % above and 8 % below; its text gives no layer "
            "that would explain either"
        ),
    },
    # Time is looked at in stage 5 alone, so that nearly all is 2D; conv_1a takes every second frame.
    "fast_s3d": {
        "family": "inception",
        "arguments": {**TORCHVISION, "kinds": SPATIAL * 9 + SEPARABLE * 2},
        **CLIP_64,
        "parameters": 6_859_696,
        "giga_multiply_adds": 37.22,
        "source": f"{XIE}, Fast-S3D, the top-heavy S3D of two separable blocks: counted from the layers",
    },
    # A gate is one product of a matrix and a vector a clip: all of them are 0.76 M parameters and as many
    # multiply-adds.
    "s3d_g": {
        "family": "inception",
        "arguments": {**TORCHVISION, "kinds": SEPARABLE * DEPTH, "gating": "temporal"},
        **CLIP_64,
        "parameters": 9_085_744,
        "giga_multiply_adds": 71.91,
        "source": (
            f"{XIE}: 11.56 M and 71.38 G, 27 % above and 0.7 % below. There the gates come to 2.79 M and "
            "5.00 G; gates behind the layers in time come to 0.77 M, behind all branches as in TF-Slim's "
            "code to 1.23 M"
        ),
    },
    # For a CPU. conv_1a keeps all frames, of which a short clip has few.
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
        "source": "this project: an S3D of a quarter of the channels",
    },
}
