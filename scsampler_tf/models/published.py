"""What others have published about the sizes and costs of our networks, as plain data.

Numbers stand as they were published. Which layers they are of is not always said, nor always the same
network; where ours differs by more than 1 %, `why` says what is known about it.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """One publication of a network's numbers.

    `parameters` in 1e6, `gflops` in 1e9 multiply-adds, None where not given. `input` is
    [frames x] height x width, or "not stated". `ours`: our multiply-adds in 1e9 at that input, where it is
    not the preset's.
    """

    parameters: float | None
    gflops: float | None
    input: str
    source: str
    why: str = ""
    ours: float | None = None


SHORT, SHORT_LARGE, PICTURE = "16x112x112", "16x224x224", "224x224"
LONG, LONG_LARGE, LONGEST = "32x112x112", "32x224x224", "64x224x224"
UNSTATED = "not stated"

TORCHVISION = "torchvision's documentation, `num_params` and `GFLOPS` of"
VMZ_18 = "facebookresearch/VMZ, `tutorials/models.md` (5d1b08e), there called Tran et al. (2018), table 2"
VMZ_ZOO = "facebookresearch/VMZ, `c2/tutorials/model_zoo.md`"
MMACTION = "open-mmlab/mmaction2, `configs/recognition/csn/metafile.yml` (02aa34d)"
PYTORCHVIDEO = "facebookresearch/pytorchvideo, `docs/source/model_zoo.md`, CSN R101"
XIE = "Xie et al. (2018), the table of I3D, S3D and S3D-G on Kinetics"

MIDDLE_CHANNELS = (
    "VMZ computes the middle channels of each convolution from that convolution's input, torchvision, whose "
    "form this is, from the block's. With VMZ's rule (`midplanes` \"convolution\", as in r2plus1d_34) this "
    "network comes to 33.37 M, of which BatchNorm's 0.03 M are not in VMZ's number, and 41.50 G."
)
LARGER_PICTURES = (
    "The number is met exactly by pictures of {side}x{side} instead of the crops beside which it stands; the "
    "parameters are those without BatchNorm's."
)
MORE_COUNTED = (
    "The parameters are the same to the last one. The input is not stated, and the counter may count "
    "other operations than convolutions; ours is {ours} G at 32x256x256."
)


def by_vmz(parameters: float, gflops: float, why: str = "") -> tuple[Published]:
    """A row of VMZ's table of networks with 18 layers."""
    return (Published(parameters, gflops, SHORT, VMZ_18, why),)


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "r3d_18": (
        Published(33.371472, 40.70, SHORT, f"{TORCHVISION} `R3D_18_Weights`"),
        *by_vmz(33.4, 40.7),
    ),
    "mc3_18": (
        Published(11.695440, 43.34, SHORT, f"{TORCHVISION} `MC3_18_Weights`"),
        *by_vmz(11.7, 43.3),
    ),
    "r2plus1d_18": (
        Published(31.505325, 40.52, SHORT, f"{TORCHVISION} `R2Plus1D_18_Weights`"),
        *by_vmz(33.3, 41.5, MIDDLE_CHANNELS),
    ),
    "mc2_18": by_vmz(11.4, 28.5),
    "mc4_18": by_vmz(12.7, 40.0),
    "mc5_18": by_vmz(16.8, 39.9),
    "rmc2_18": by_vmz(33.3, 39.8),
    "rmc3_18": by_vmz(33.0, 25.0),
    "rmc4_18": by_vmz(32.0, 29.1),
    "rmc5_18": by_vmz(27.9, 30.8),
    "r2plus1d_34": (Published(63.6, 199.0, LONG, VMZ_ZOO, LARGER_PICTURES.format(side=128)),),
    "ir_csn_50": (Published(13.131152, 56.21, UNSTATED, MMACTION, MORE_COUNTED.format(ours=55.26)),),
    "ir_csn_101": (
        Published(
            22.21,
            75.62,
            UNSTATED,
            PYTORCHVIDEO,
            "Ours is 73.75 G at 32x256x256. Its counter, fvcore, takes two operations for each value that "
            "BatchNorm touches, which makes 0.75 G of the 1.87 G between them; the rest is not explained.",
        ),
    ),
    "ir_csn_152": (
        Published(29.6, 96.7, LONG_LARGE, VMZ_ZOO, LARGER_PICTURES.format(side=256)),
        Published(29.703568, 98.10, UNSTATED, MMACTION, MORE_COUNTED.format(ours=96.71)),
    ),
    "ip_csn_152": (
        Published(32.8, 108.8, LONG_LARGE, VMZ_ZOO, LARGER_PICTURES.format(side=256)),
        Published(33.016592, 110.34, UNSTATED, MMACTION, MORE_COUNTED.format(ours=108.79)),
    ),
    "i3d": (
        Published(
            12.06,
            107.89,
            LONGEST,
            XIE,
            "5 and 3 % below what the layers of the code kinetics-i3d come to; what explains either was not "
            "found.",
        ),
        Published(
            12.29,
            None,
            UNSTATED,
            "TengdaHan/ActionClassification, `readme.md`",
            "Without the class layer (0.41 M) and with BatchNorm's scales (0.007 M), which kinetics-i3d "
            "doesn't have: this is the number usually cited, 12,287,264.",
        ),
    ),
    "s3d": (
        Published(8.320048, 17.98, SHORT_LARGE, f"{TORCHVISION} `S3D_Weights`"),
        Published(
            8.77,
            66.38,
            LONGEST,
            XIE,
            "5 % above and 8 % below ours; what explains either was not found.",
            ours=71.91,
        ),
    ),
    "s3d_g": (
        Published(
            11.56,
            71.38,
            LONGEST,
            XIE,
            "27 % above and 0.7 % below ours. By its own numbers the gates come to 2.79 M and 5.00 G; here "
            "gates behind the layers in time come to 0.77 M, behind all branches as in TF-Slim's code to "
            "1.23 M, either way with as many multiply-adds. What explains it was not found.",
        ),
    ),
    "resnet18": (Published(11.689512, 1.814, PICTURE, f"{TORCHVISION} `ResNet18_Weights`"),),
    "shufflenet_26": (
        Published(
            None,
            0.040,
            PICTURE,
            'Zhang et al. (2018), ShuffleNet, table 5, "0.5x (shallow, g = 3)"',
            "Half of the units of every stage left out, as described there, makes 0.0216 G. The same table "
            "has 0.038 G for all 50 layers at 0.5x (g = 4), so that the shallow one must have been wider.",
        ),
    ),
}
