import pytest

from scsampler_tf import models
from scsampler_tf.models.resnet2d import choose_stem


@pytest.mark.parametrize(
    ("stem", "sides", "chosen"),
    [
        ("auto", (14, 14), "small"),
        ("auto", (27, 200), "small"),
        ("auto", (28, 28), "imagenet"),
        ("imagenet", (14, 14), "imagenet"),
        ("small", (224, 224), "small"),
    ],
)
def test_stem(stem, sides, chosen):
    assert choose_stem(stem, *sides) == chosen


def last_map(name, side, **options):
    model = models.create(name, num_classes=2, input_shape=(side, side, 2), inputs="md", **options)
    return model.get_layer("average").input.shape[1:]


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        ("resnet18", 224, (7, 7, 512)),
        ("resnet18", 14, (2, 2, 512)),
        ("resnet_small", 112, (7, 7, 64)),
        ("resnet_small", 14, (4, 4, 64)),
        ("resnet_small", 7, (2, 2, 64)),
        ("resnet_small", 4, (1, 1, 64)),
    ],
)
def test_size_of_the_last_map(name, side, expected):
    assert last_map(name, side) == expected


def test_oblong_grids():
    model = models.create("resnet_small", num_classes=2, input_shape=(14, 21, 2), inputs="md")
    assert model.get_layer("average").input.shape == (None, 4, 6, 64)


def test_the_first_block_has_no_projection():
    names = [layer.name for layer in models.create("resnet18", num_classes=2, input_shape=(32, 32, 3)).layers]
    assert "layer1_0_shortcut" not in names
    assert "layer2_0_shortcut" in names
    assert "layer2_1_shortcut" not in names
