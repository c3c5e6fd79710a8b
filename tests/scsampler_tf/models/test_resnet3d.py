import functools

import keras
import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf import models
from scsampler_tf.models.resnet3d import middle_channels


@functools.cache
def clip_model(name, shape=(16, 64, 64, 3), **options):
    return models.create(name, num_classes=2, input_shape=shape, **options)


@pytest.mark.parametrize(
    ("channels", "filters", "middle"),
    [(64, 64, 144), (64, 128, 230), (128, 128, 288), (128, 256, 460), (256, 512, 921), (512, 512, 1152)],
)
def test_middle_channels_of_the_paper(channels, filters, middle):
    assert middle_channels(channels, filters) == middle


def test_both_convolutions_of_a_block_share_the_middle():
    model = clip_model("r2plus1d_18")
    assert model.get_layer("layer2_0_conv1_space").filters == 230
    assert model.get_layer("layer2_0_conv2_space").filters == 230
    assert model.get_layer("layer2_1_conv1_space").filters == 288


def test_middles_by_convolution_as_in_vmz():
    model = clip_model("r2plus1d_34")
    assert model.get_layer("layer2_0_conv1_space").filters == 230
    assert model.get_layer("layer2_0_conv2_space").filters == 288
    assert model.get_layer("layer4_0_conv2_space").filters == 1152
    assert model.get_layer("layer3_5_conv2_time").filters == 256


@pytest.mark.parametrize(
    ("name", "first", "frames"),
    [
        ("mc2_18", 3, (16, 16, 16, 16)),
        ("mc3_18", 3, (16, 16, 16, 16)),
        ("mc4_18", 3, (16, 8, 8, 8)),
        ("mc5_18", 3, (16, 8, 4, 4)),
        ("rmc2_18", 1, (16, 8, 4, 2)),
        ("rmc3_18", 1, (16, 8, 4, 2)),
        ("rmc4_18", 1, (16, 16, 8, 4)),
        ("rmc5_18", 1, (16, 16, 16, 8)),
    ],
)
def test_where_mixed_networks_see_time(name, first, frames):
    model = clip_model(name, repeats=(1, 1, 1, 1), widths=(8, 8, 8, 8))
    assert model.get_layer("stem_conv").kernel_size[0] == first
    kernels = [model.get_layer(f"layer{stage}_0_conv1").kernel_size[0] for stage in range(1, 5)]
    full = int(name[name.index("_") - 1]) - 2
    expected = [3] * full + [1] * (4 - full) if name.startswith("m") else [1] * full + [3] * (4 - full)
    assert kernels == expected
    assert tuple(model.get_layer(f"layer{s}_0_out").output.shape[1] for s in range(1, 5)) == frames


def test_the_stem_has_45_middle_channels():
    model = clip_model("r2plus1d_18")
    assert model.get_layer("stem_space").kernel.shape == (1, 7, 7, 3, 45)
    assert model.get_layer("stem_time").kernel.shape == (3, 1, 1, 45, 64)


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("r3d_18", (2, 4, 4, 512)),
        ("mc3_18", (16, 4, 4, 512)),
        ("r2plus1d_18", (2, 4, 4, 512)),
        ("r2plus1d_small", (4, 4, 4, 96)),
    ],
)
def test_size_of_the_last_map(name, last):
    model = clip_model(name)
    assert model.get_layer("average").input.shape == (None, *last)


def test_mc3_strides_no_shortcut_in_time():
    assert clip_model("mc3_18").get_layer("layer2_0_shortcut").strides == (1, 2, 2)
    assert clip_model("r3d_18").get_layer("layer2_0_shortcut").strides == (2, 2, 2)


def test_unknown_midplanes():
    with pytest.raises(UserError, match="midplanes 'stage' is none of block, convolution"):
        clip_model("r2plus1d_34", midplanes="stage")


@pytest.mark.parametrize(
    ("name", "shape", "least"),
    [
        ("r2plus1d_18", (4, 112, 112, 3), "8, 16, 16"),
        ("r2plus1d_18", (8, 112, 8, 3), "8, 16, 16"),
        ("mc3_18", (1, 8, 8, 3), "1, 16, 16"),
        ("r2plus1d_small", (2, 56, 56, 3), "4, 16, 16"),
    ],
)
def test_too_small_clips(name, shape, least):
    with pytest.raises(UserError, match=rf"{name}: .* too small; \[frames, height, width\] .* \[{least}\]"):
        clip_model(name, shape)


def moving_squares(count, seed):
    """Clips of a square that goes left (0) or right (1), one or two pixels a frame: `[N, 8, 24, 24, 3]`."""
    rng = np.random.default_rng(seed)
    clips, labels = np.full((count, 8, 24, 24, 3), 60, "float32"), rng.integers(0, 2, count)
    for clip, label in zip(clips, labels, strict=True):
        speed, top, start = rng.integers(1, 3), rng.integers(0, 18), rng.integers(0, 24)
        for frame in range(8):
            columns = (start + (2 * label - 1) * speed * frame + np.arange(6)) % 24
            clip[frame, top : top + 6, columns] = 200
    return clips + rng.normal(0, 5, clips.shape).astype("float32"), labels


@pytest.mark.slow
def test_the_small_network_learns_which_way_things_move():
    # No single frame tells left from right, so only a network that sees time can be right on new clips.
    model = clip_model("r2plus1d_small", (8, 24, 24, 3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    clips, labels = moving_squares(256, 0)
    keras.utils.set_random_seed(0)
    model.fit(clips, labels, batch_size=32, epochs=6, verbose=0)
    accuracy = model.evaluate(*moving_squares(128, 1), verbose=0)[1]
    assert accuracy > 0.9
