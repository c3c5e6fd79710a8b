"""The audio sampler: a VGG on log-mel pictures of 40 bands and 200 times (paper, section 3.3.2)."""

from collections.abc import Sequence

import keras
from keras import layers

from scsampler_tf.models.blocks import (
    Build,
    class_layer,
    convolution,
    norm,
    relu,
    require_choice,
    require_shape,
    rescaled_input,
)

POOLINGS = ("none", "time")
# log(magnitude + 0.01) brought to about mean 0 and deviation 1, or as it is, which VGGish takes.
LEVELS = ("centred", "log")


def build_audio_vgg(
    name: str,
    *,
    input_shape: Sequence[int],
    num_classes: int,
    inputs: str,
    dropout: float,
    build: Build,
    widths: Sequence[int],
    repeats: Sequence[int],
    units: Sequence[int],
    pooling: str,
    levels: str,
    features: str,
) -> keras.Model:
    """A VGG with one block for each entry of `widths`, `[B, bands, times, 1]` -> `[B, num_classes]`.

    Block i has `repeats[i]` 3x3 convolutions `conv{i}_{j}` and a 2x2 max-pooling `pool{i}`; then come
    `fc1`, `fc2`, ... of `units` and the class layer. `pooling` "time" averages what the last pooling leaves
    over time (never over frequency: pitch is where a sound is) before fc1. `levels` is one of `LEVELS`.

    `features` names the layer after which the class layer comes at once, "" for all of them. With it the
    network is that of the paper's table 6, a single fully connected layer on the activations of conv4_2,
    pool4 or fc1. They are those after BatchNorm and ReLU. The paper does not say that they are averaged
    over the picture, so all of them, flattened, enter the class layer: 64,000 values for conv4_2 and 12,288
    for pool4 of "vgg_audio"; with `pooling` "time" they are averaged over time before.

    "vgg_audio" has eight convolutions and four poolings. The paper speaks of 18 layers and leaves open
    which; with its input, flattening, fc1, fc2, class layer and softmax (here part of the loss) this
    network comes to 18, and its last convolution is conv4_2 as in the paper's table. BatchNorm after
    each convolution, missing in the original VGG, lets it train without AudioSet.

    Raises `UserError` for a picture that the poolings would use up, and for a layer that is not there.
    """
    require_choice(f"{name}: pooling", pooling, POOLINGS)
    require_choice(f"{name}: levels", levels, LEVELS)
    least = 2 ** len(widths)
    require_shape(name, input_shape, inputs, (least, least))

    entry, x = levelled_input(input_shape, inputs, levels, build)
    maps = convolutional_maps(x, widths, repeats, build)
    dense = [f"fc{number}" for number in range(1, len(units) + 1)]
    if features:
        require_choice(f"{name}: features", features, (*maps, *dense))
    if features in maps:
        x, dense = maps[features], []
    else:
        x, dense = maps[f"pool{len(widths)}"], dense[: dense.index(features) + 1] if features else dense
    if pooling == "time":
        x = layers.AveragePooling2D((1, x.shape[2]), name="time_average")(x)
    x = layers.Flatten(name="flatten")(x)
    for label, size in zip(dense, units, strict=False):
        x = fully_connected(x, size, name=label, build=build)
    return keras.Model(entry, class_layer(x, num_classes, dropout, build), name=name)


def levelled_input(input_shape: Sequence[int], inputs: str, levels: str, build: Build):
    """The model's input as the records hold it and the same at `levels`, both `[B, bands, times, 1]`."""
    if levels == "centred":
        return rescaled_input(input_shape, inputs, build)
    entry = keras.Input(tuple(input_shape), dtype="float32", name=inputs)
    return entry, entry


def convolutional_maps(x, widths: Sequence[int], repeats: Sequence[int], build: Build) -> dict:
    """Activations of every convolution and pooling by name, from `[B, bands, times, 1]`."""
    maps = {}
    for block, (width, count) in enumerate(zip(widths, repeats, strict=True), 1):
        for number in range(1, count + 1):
            label = f"{block}_{number}"
            x = convolution(x, width, (3, 3), (1, 1), name=f"conv{label}", build=build)
            x = relu(norm(x, name=f"bn{label}", build=build), name=f"relu{label}")
            maps[f"conv{label}"] = x
        x = maps[f"pool{block}"] = layers.MaxPooling2D(2, name=f"pool{block}")(x)
    return maps


def fully_connected(x, units: int, *, name: str, build: Build):
    """Dense layer with ReLU, `[B, C]` -> `[B, units]`."""
    initializer = keras.initializers.HeNormal(seed=build.seed_for(name))
    return layers.Dense(units, activation="relu", kernel_initializer=initializer, name=name)(x)
