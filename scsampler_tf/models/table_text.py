"""The words around the table of networks in docs/models.md, as plain data."""

from typing import NamedTuple


class Family(NamedTuple):
    """A section: `presets` are the names of its networks."""

    title: str
    presets: tuple[str, ...]
    text: str


INTRODUCTION = """\
`scsampler_tf.models.create` builds a network by its name:

```python
from scsampler_tf import models

model = models.create("r2plus1d_18", num_classes=400, input_shape=(16, 112, 112, 3))
```

It takes raw float32 values, `[B, F, H, W, C]` for clips, `[B, H, W, C]` for frames and `[B, bands, times,
1]` for sound, brings them to the range the network wants and gives float32 logits `[B, num_classes]`. Any
input size and number of classes will do, within what the strides leave; the table gives the numbers at
one of them. All networks run on stock TF-Serving: there is no grouped convolution in them, which Keras
would compile with XLA."""

COUNTING = """\
- **Parameters** are those that training changes: kernels, biases, BatchNorm's scales and offsets, not its
  moving statistics; with the class layer.
- **GFLOPs** are 1e9 multiply-adds for one clip or frame; a multiplication with its addition counts once,
  as in the papers. Counted are convolutions and dense layers (gates and the class layer among them),
  zeros of the padding included. Biases, BatchNorm (which folds into the convolution before it),
  activations, poolings, sums and products of maps count nothing. `scsampler_tf.cost` counts so layer by
  layer, and TensorFlow's profiler, which counts multiplication and addition separately, finds exactly
  twice as much in the same layers.
- **Published** are numbers that others give, with the input for which they give them; `-` where none was
  found. Where one differs from ours by more than 1 %, the note says what is known of the reason.
- Every number of ours is tested against the network as it is built."""

RESNET_3D = """\
The clip classifiers of SCSampler (Korbar et al. 2019, appendix A.1): ResNets whose convolutions are full
3D ones (R3D), 3D in the first x - 1 groups and 2D after (MCx) or the other way round (rMCx), or a spatial
one followed by one over time (R(2+1)D). Built like torchvision's, so that its weights fit. The one
difference between the sources is how many channels lie between the two halves of a factored convolution:
torchvision takes the input of the block for both of a block, VMZ that of each convolution; the networks
with 18 layers follow torchvision, r2plus1d_34 follows VMZ, whose weights it can take. SCSampler's crops
of 224x224 cost four times the 112x112 of the table. r2plus1d_small is for a CPU."""

CSN = """\
Bottleneck ResNets whose 3x3x3 convolutions are depthwise; channels meet in 1x1x1 convolutions alone (ir:
interaction-reduced), of which ip has one more before each depthwise one (interaction-preserved).
ir-CSN-152 is the strongest classifier of SCSampler, which calls it R3DGC-152. Built as in VMZ; the
depthwise 3D convolution is a sum of 2D ones, because a grouped one could not be served. csn_small is for
a CPU."""

INCEPTION = """\
Inception-v1 with time as a third axis (Carreira and Zisserman 2017; I3D is among the classifiers of
SCSampler's table 2), and what Xie et al. (2018) made of it: only the lowest or highest N of its eleven
layers are 3D (bottom-heavy, top-heavy), all are separable (S3D), the two blocks of the last stage alone
(Fast-S3D), or all with gates (S3D-G). I3D and its partly 2D forms are padded as TensorFlow pads and have
BatchNorm without scales, as in kinetics-i3d; the S3D are built like torchvision's, so that its weights
fit. I2D keeps all frames and averages over them; with the strides in time of the others it would be 36.89
G and look at every eighth frame. s3d_small is for a CPU."""

RESNET_2D = """\
SCSampler's visual samplers on single frames of motion displacements and RGB residuals (section 3.3.1).
The input decides the stem: pictures with a side under 28, such as a grid of 14x14 motion vectors, keep
their size through a 3x3 convolution, others are shrunk by four as on ImageNet (`stem`). Those of half and
a quarter of the width are there to find out how wide a sampler has to be. resnet_small and its half are
for a CPU. `models/sampler.py` averages a sampler over the frames of a clip."""

SHUFFLENET = """\
SCSampler's lighter visual sampler (section 4.2.2): ShuffleNet 0.5x with 3 groups and 26 layers. Its
grouped 1x1 convolutions are a matrix for each group, because grouped ones could not be served. The stem
is chosen as for the 2D ResNets."""

AUDIO_VGG = """\
SCSampler's audio sampler on log-mel pictures of 40 bands and 200 times (section 3.3.2). The paper speaks
of 18 layers and leaves open which: eight convolutions and four poolings make 18 together with input,
flattening, three dense layers and softmax. BatchNorm, which the original VGG lacks, lets it train without
AudioSet. vgg_audio_small averages over time before its one dense layer and is for a CPU."""

RESNETS_2D = ("resnet18", "resnet18_half", "resnet18_quarter", "resnet_small", "resnet_small_half")
FAMILIES = (
    Family(
        "3D ResNets: R3D, MCx, rMCx, R(2+1)D",
        (
            *("r3d_18", "mc2_18", "mc3_18", "mc4_18", "mc5_18", "rmc2_18", "rmc3_18", "rmc4_18", "rmc5_18"),
            *("r2plus1d_18", "r3d_34", "r2plus1d_34", "r2plus1d_small"),
        ),
        RESNET_3D,
    ),
    Family(
        "Channel-separated networks: ir-CSN, ip-CSN",
        ("ir_csn_50", "ir_csn_101", "ir_csn_152", "ip_csn_50", "ip_csn_101", "ip_csn_152", "csn_small"),
        CSN,
    ),
    Family(
        "Inception over time: I2D, I3D, bottom- and top-heavy I3D, S3D, Fast-S3D, S3D-G",
        (
            *("i2d", "i3d", "i3d_bottom_heavy_1", "i3d_bottom_heavy_2", "i3d_bottom_heavy_4"),
            *("i3d_bottom_heavy_9", "i3d_top_heavy_2", "i3d_top_heavy_7", "i3d_top_heavy_9"),
            *("i3d_top_heavy_10", "s3d", "fast_s3d", "s3d_g", "s3d_small"),
        ),
        INCEPTION,
    ),
    Family("2D ResNets", RESNETS_2D, RESNET_2D),
    Family("ShuffleNet", ("shufflenet_26",), SHUFFLENET),
    Family("VGG on sound", ("vgg_audio", "vgg_audio_small"), AUDIO_VGG),
)
