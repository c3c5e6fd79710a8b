"""Random crops, mirror images and colours of RGB clips, the same for all pictures of a clip."""

import math

import tensorflow as tf

MOST_STRETCH = math.log(4 / 3)  # of a crop's width against its height, either way


def random_crop(clip: tf.Tensor, size: int, seed: tf.Tensor) -> tf.Tensor:
    """A `[F, size, size, 3]` window of a clip `[F, H, W, 3]` at a place drawn by `seed` `[2]`."""
    shape = tf.concat([tf.shape(clip)[:1], [size, size, 3]], axis=0)
    return tf.image.stateless_random_crop(clip, shape, seed)


def random_flip(clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The clip `[F, H, W, 3]` or, at even odds by `seed` `[2]`, its mirror image.

    Wrong where left and right tell classes apart (clockwise from counter-clockwise).
    """
    return tf.cond(
        tf.random.stateless_uniform([], seed) < 0.5, lambda: clip, lambda: tf.reverse(clip, axis=[2])
    )


def random_resized_crop(clip: tf.Tensor, size: int, least_area: float, seed: tf.Tensor) -> tf.Tensor:
    """A window of a clip `[F, H, W, 3]` of random area, shape and place, as `[F, size, size, 3]` float32.

    Its area is drawn evenly between `least_area` (above 0, at most 1) and all of the picture's, its width
    to height between 3:4 and 4:3 times that of the picture (Szegedy et al., CVPR 2015, section 6).
    """
    area, stretch, down, right = tf.unstack(tf.random.stateless_uniform([4], seed))
    side, stretch = tf.sqrt(least_area + (1 - least_area) * area), tf.exp((stretch - 0.5) * MOST_STRETCH)
    shape = tf.cast(tf.shape(clip)[1:3], tf.float32)
    cut = tf.maximum(tf.round(tf.minimum(tf.stack([side / stretch, side * stretch]), 1.0) * shape), 1.0)
    first = tf.cast(tf.round(tf.stack([down, right]) * (shape - cut)), tf.int32)
    last = first + tf.cast(cut, tf.int32)
    window = tf.cast(clip[:, first[0] : last[0], first[1] : last[1]], tf.float32)
    return tf.ensure_shape(tf.image.resize(window, [size, size]), [clip.shape[0], size, size, 3])


def random_colours(clip: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """The clip `[F, H, W, 3]` as float32 with other contrast, saturation and channel strengths, within 0-255.

    Contrast about the clip's mean and saturation are multiplied by factors within 1 - `strength` and
    1 + `strength`, each channel by one within half of that.
    """
    drawn = 2 * tf.random.stateless_uniform([5], seed) - 1
    clip = tf.cast(clip, tf.float32)
    mean = tf.reduce_mean(clip)
    clip = mean + (clip - mean) * (1 + strength * drawn[0])
    grey = tf.reduce_mean(clip, axis=-1, keepdims=True)
    clip = grey + (clip - grey) * (1 + strength * drawn[1])
    return tf.clip_by_value(clip * (1 + strength / 2 * drawn[2:]), 0.0, 255.0)
