"""Random crops and mirror images of RGB clips, the same for all pictures of a clip."""

import tensorflow as tf


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
