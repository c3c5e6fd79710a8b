"""Bytes of clips to tensors inside a graph: the same functions feed training and the exported model."""

import tensorflow as tf

from pipelines.settings import MD_UNITS_PER_PIXEL, MEL_BINS, MEL_FRAMES, FeatureSettings


def unpack_md(data: tf.Tensor, settings: FeatureSettings) -> tuple[tf.Tensor, tf.Tensor]:
    """Motion bytes `[N]` -> displacements `[N, P, g, g, 2]` float32 in canvas pixels, mask `[N, P]` bool.

    P is `settings.md_cells`; missing P-frames are zero and False.
    """
    frames, grid = settings.md_cells, settings.grid
    frame_bytes = grid * grid * 2 * 2
    values = tf.io.decode_raw(data, tf.int16, fixed_length=frames * frame_bytes)
    values = tf.cast(tf.reshape(values, [-1, frames, grid, grid, 2]), tf.float32)
    there = tf.strings.length(data)[:, None] // frame_bytes > tf.range(frames)[None, :]
    return values / MD_UNITS_PER_PIXEL, there


def unpack_strips(data: tf.Tensor, count: int, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """JPEG strips `[N]` -> pictures `[N, count, size, size, 3]` uint8, mask `[N, count]` bool.

    Strips may hold fewer than `count` pictures, and empty bytes none.
    """
    pictures, there = tf.map_fn(
        lambda item: _unpack_strip(item, count, size),
        data,
        fn_output_signature=(
            tf.TensorSpec([count, size, size, 3], tf.uint8),
            tf.TensorSpec([count], tf.bool),
        ),
    )
    return pictures, there


def unpack_residuals(data: tf.Tensor, settings: FeatureSettings) -> tuple[tf.Tensor, tf.Tensor]:
    """Residual strips `[N]` -> `[N, R, s, s, 3]` float32 around 128, mask `[N, R]` bool."""
    pictures, there = unpack_strips(data, settings.residual_cells, settings.residual_size)
    return tf.cast(pictures, tf.float32), there


def unpack_iframe(data: tf.Tensor, settings: FeatureSettings) -> tuple[tf.Tensor, tf.Tensor]:
    """I-frames `[N]` -> pixels `[N, 1, i, i, 3]` float32 in [0, 255], mask `[N, 1]` bool.

    The second axis makes it a clip's one and only frame.
    """
    pictures, there = unpack_strips(data, 1, settings.iframe_size)
    return tf.cast(pictures, tf.float32), there


def unpack_log_mel(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sound bytes `[N]` -> log-mel `[N, 1, 40, 200, 1]` float32, mask `[N, 1]` bool: no sound is False.

    The second axis makes a clip's sound look like its one and only frame, as the samplers want it.
    """
    # Padded decoding knows no float16; the bits pass as whole numbers.
    bits = tf.io.decode_raw(data, tf.uint16, fixed_length=MEL_BINS * MEL_FRAMES * 2)
    values = tf.bitcast(bits, tf.float16)
    values = tf.cast(tf.reshape(values, [-1, 1, MEL_BINS, MEL_FRAMES, 1]), tf.float32)
    return values, (tf.strings.length(data) > 0)[:, None]


def unpack_features(kind: str, data: tf.Tensor, settings: FeatureSettings) -> tuple[tf.Tensor, tf.Tensor]:
    """The frames of one kind of sampler and their mask; `kind` is the name of the record's field."""
    if kind == "md":
        return unpack_md(data, settings)
    if kind == "rgb_r":
        return unpack_residuals(data, settings)
    if kind == "log_mel":
        return unpack_log_mel(data)
    if kind == "iframe":
        return unpack_iframe(data, settings)
    raise ValueError(f"no sampler reads '{kind}'")


def _unpack_strip(data: tf.Tensor, count: int, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    def decode():
        # The accurate transform makes every build of TensorFlow give the same pixels.
        strip = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.reshape(strip, [-1, size, size, 3])[:count]

    pictures = tf.cond(tf.strings.length(data) > 0, decode, lambda: tf.zeros([0, size, size, 3], tf.uint8))
    found = tf.shape(pictures)[0]
    padded = tf.pad(pictures, [[0, count - found], [0, 0], [0, 0], [0, 0]])
    return tf.ensure_shape(padded, [count, size, size, 3]), tf.range(count) < found
