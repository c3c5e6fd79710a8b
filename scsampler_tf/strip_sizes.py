"""Sizes of packed pictures as their headers state them, so that nothing larger than wanted is decoded.

A JPEG of a few bytes can state 500 million pixels, for which TensorFlow would take the memory.
"""

import tensorflow as tf

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
PNG_HEAD = 24  # bytes up to and with width and height


def require_strips(data: tf.Tensor, count: int, size: int, name: str) -> tf.Tensor:
    """Strips `[N]`, as they are: JPEG or PNG of 1 to `count` pictures of `size` pixels, or empty bytes.

    Running the graph fails for any other, with a sentence that calls them `name`.
    """
    there = tf.boolean_mask(data, tf.strings.length(data) > 0)
    sizes = tf.map_fn(_stated_size, there, fn_output_signature=tf.TensorSpec([2], tf.int32))
    heights, widths = sizes[:, 0], sizes[:, 1]
    fits = (widths == size) & (heights % size == 0) & (heights >= size) & (heights <= count * size)
    said = f"{name}: strips must be JPEG or PNG, {size} pixels wide and 1 to {count} times as high"
    with tf.control_dependencies([tf.debugging.assert_equal(fits, True, said)]):
        return tf.identity(data)


def _stated_size(item: tf.Tensor) -> tf.Tensor:
    """Height and width `[2]` int32; zeros where it is neither JPEG nor PNG."""
    is_png = (tf.strings.substr(item, 0, len(PNG)) == PNG) & (tf.strings.length(item) >= PNG_HEAD)
    return tf.cond(
        tf.strings.substr(item, 0, len(JPEG)) == JPEG,
        lambda: tf.io.extract_jpeg_shape(item)[:2],
        lambda: tf.cond(is_png, lambda: _png_size(item), lambda: tf.zeros([2], tf.int32)),
    )


def _png_size(item: tf.Tensor) -> tf.Tensor:
    width_height = tf.io.decode_raw(tf.strings.substr(item, 16, 8), tf.int32, little_endian=False)
    return tf.reverse(tf.ensure_shape(width_height, [2]), [0])
