"""The audio sampler: a VGG on log-mel pictures of 40 bands and 200 times (paper, section 3.3.2)."""

from collections.abc import Sequence

import keras
from keras import layers

from pipelines.errors import UserError
from scsampler_tf.models.blocks import (
    Build,
    class_layer,
    convolution,
    norm,
    relu,
    require_shape,
    rescaled_input,
)

POOLINGS = ("none", "time")


def fully_connected(x, units: int, *, name: str, build: Build):
    """Dense layer with ReLU, `[B, C]` -> `[B, units]`."""
    initializer = keras.initializers.HeNormal(seed=build.seed_for(name))
    return layers.Dense(units, activation="relu", kernel_initializer=initializer, name=name)(x)


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
) -> keras.Model:
    """A VGG with one block for each entry of `widths`, `[B, bands, times, 1]` -> `[B, num_classes]`.

    Block i has `repeats[i]` 3x3 convolutions `conv{i}_{j}` and a 2x2 max-pooling `pool{i}`; then come
    `fc1`, `fc2`, ... of `units` and the class layer. conv4_2, pool4 and fc1 are the layers on whose
    activations the paper's table 6 trains a single layer: `keras.Model(m.input, m.get_layer(n).output)`.
    `pooling` "time" averages what the last pooling leaves over time (never over frequency: pitch is
    where a sound is) before fc1.

    "vgg_audio" has eight convolutions and four poolings. The paper speaks of 18 layers and leaves open
    which; with its input, flattening, fc1, fc2, class layer and softmax (here part of the loss) this
    network comes to 18, and its last convolution is conv4_2 as in the paper's table. BatchNorm after
    each convolution, missing in the original VGG, lets it train without AudioSet.

    Raises `UserError` for a picture that the poolings would use up.
    """
    if pooling not in POOLINGS:
        raise UserError(f"{name}: pooling '{pooling}' is none of {', '.join(POOLINGS)}")
    least = 2 ** len(widths)
    require_shape(name, input_shape, inputs, (least, least))

    entry, x = rescaled_input(input_shape, inputs)
    for block, (width, count) in enumerate(zip(widths, repeats, strict=True), 1):
        for number in range(1, count + 1):
            label = f"{block}_{number}"
            x = convolution(x, width, (3, 3), (1, 1), name=f"conv{label}", build=build)
            x = relu(norm(x, name=f"bn{label}", build=build), name=f"relu{label}")
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)
    if pooling == "time":
        x = layers.AveragePooling2D((1, x.shape[2]), name="time_average")(x)
    x = layers.Flatten(name="flatten")(x)
    for number, size in enumerate(units, 1):
        x = fully_connected(x, size, name=f"fc{number}", build=build)
    return keras.Model(entry, class_layer(x, num_classes, dropout, build), name=name)
