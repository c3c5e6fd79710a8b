"""Small changes to the clips that a sampler learns from: other windows, mirror images, masked sound.

All clips of a video are changed alike, and all fields of them: a sampler is trained to compare the clips of
one video, which shall differ by what happens in them and not by how they were cut. The paper's appendix B
says nothing of such changes; the training that it follows for its visual samplers (Wu et al., CVPR 2018)
crops and mirrors, and masks of sound are those of SpecAugment (Park et al., Interspeech 2019).
"""

from dataclasses import dataclass

import tensorflow as tf

from pipelines.augment import MOST_STRETCH

WINDOW, MIRROR, TIME, BANDS = range(1, 5)  # what of it a random number is for
SOUND = "log_mel"


@dataclass(frozen=True)
class Jitter:
    """What may change; with the defaults nothing does."""

    crop_area: float = 0.0
    """Pictures and motion are windows of at least this share of the whole, enlarged to it; 0: the whole."""
    flip: bool = False
    """Mirror at even odds; wrong where left and right tell classes apart."""
    mask: float = 0.0
    """At most this share of a sound window's time, and of its frequencies, is hidden."""


def jittered(field: str, frames: tf.Tensor, jitter: Jitter, seed: tf.Tensor) -> tf.Tensor:
    """The frames `[N, P, h, w, c]` float32 of a video's clips, changed as `seed` `[2]` says.

    `field` is that of the record. Motion of a window that is enlarged grows with it, and its x component
    changes sign in a mirror image. Frames of zeros, which stand for missing ones, stay zeros.
    """
    if field == SOUND:
        return masked(frames, jitter.mask, seed) if jitter.mask else frames
    motion = field == "md"
    if jitter.crop_area:
        frames = cropped(frames, window(jitter.crop_area, _for(seed, WINDOW)), motion)
    if jitter.flip:
        swap = tf.random.stateless_uniform([], _for(seed, MIRROR)) < 0.5
        frames = tf.cond(swap, lambda: mirrored(frames, motion), lambda: frames)
    return frames


def window(least_area: float, seed: tf.Tensor) -> tf.Tensor:
    """Top, left, bottom and right `[4]` of a window as shares of the picture, drawn by `seed` `[2]`.

    Its area is drawn evenly between `least_area` and 1, its shape between 3:4 and 4:3, as in
    `augment.random_resized_crop`, but not rounded to pixels: a motion grid has few.
    """
    area, stretch, down, right = tf.unstack(tf.random.stateless_uniform([4], seed))
    side, stretch = tf.sqrt(least_area + (1 - least_area) * area), tf.exp((stretch - 0.5) * MOST_STRETCH)
    size = tf.minimum(tf.stack([side / stretch, side * stretch]), 1.0)
    first = tf.stack([down, right]) * (1 - size)
    return tf.concat([first, first + size], axis=0)


def cropped(frames: tf.Tensor, place: tf.Tensor, motion: bool) -> tf.Tensor:
    """The window `place` `[4]` of frames `[N, P, h, w, c]`, its corners where those of the whole were.

    `motion` frames hold displacements (x, y), which are enlarged as the window is.
    """
    height, width, channels = frames.shape[2:]
    flat = tf.reshape(frames, [-1, height, width, channels])
    count = tf.shape(flat)[0]
    boxes = tf.repeat(place[None], count, axis=0)
    flat = tf.image.crop_and_resize(flat, boxes, tf.range(count), [height, width])
    if motion:
        flat /= tf.stack([place[3] - place[1], place[2] - place[0]])
    return tf.ensure_shape(tf.reshape(flat, tf.shape(frames)), frames.shape)


def mirrored(frames: tf.Tensor, motion: bool) -> tf.Tensor:
    """Frames `[N, P, h, w, c]` with left and right exchanged."""
    frames = tf.reverse(frames, axis=[3])
    return frames * tf.constant([-1.0, 1.0]) if motion else frames


def masked(frames: tf.Tensor, most: float, seed: tf.Tensor) -> tf.Tensor:
    """Sound `[N, 1, 40, 200, 1]` with a stretch of time and a band of frequencies at each window's mean.

    How wide each is is drawn evenly up to the share `most`, then its place.
    """
    hidden = tf.logical_or(
        _stretch(frames.shape[2], most, _for(seed, BANDS))[:, None],
        _stretch(frames.shape[3], most, _for(seed, TIME))[None, :],
    )
    mean = tf.reduce_mean(frames, axis=[2, 3, 4], keepdims=True)
    return tf.where(hidden[None, None, :, :, None], mean, frames)


def _stretch(size: int, most: float, seed: tf.Tensor) -> tf.Tensor:
    """Which `[size]` of so many places are within a stretch of random width and place."""
    drawn = tf.random.stateless_uniform([2], seed)
    width = tf.floor(drawn[0] * (most * size + 1))
    first = tf.floor(drawn[1] * (size - width + 1))
    places = tf.range(size, dtype=tf.float32)
    return tf.logical_and(places >= first, places < first + width)


def _for(seed: tf.Tensor, purpose: int) -> tf.Tensor:
    """A seed of its own for each purpose, unlike that by which clips are drawn."""
    return tf.random.experimental.stateless_fold_in(seed, purpose)
