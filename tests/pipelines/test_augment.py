import numpy as np
import tensorflow as tf

from pipelines.augment import random_crop, random_flip


def numbered(frames=3, height=6, width=8):
    """A clip whose pictures are all the same and whose pixels are all different."""
    picture = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    return np.repeat(picture[None], frames, axis=0)


def test_all_pictures_are_cropped_at_the_same_place_and_all_places_occur():
    clip, places = numbered(), set()
    for seed in range(120):
        crop = random_crop(tf.constant(clip), 5, [seed, 0]).numpy()
        assert crop.shape == (3, 5, 5, 3)
        y, x = divmod(int(crop[0, 0, 0, 0]) // 3, 8)
        np.testing.assert_array_equal(crop, clip[:, y : y + 5, x : x + 5])
        places.add((y, x))
    assert places == {(y, x) for y in range(2) for x in range(4)}


def test_a_crop_of_the_whole_is_the_clip():
    clip = numbered(height=6, width=6)
    np.testing.assert_array_equal(random_crop(tf.constant(clip), 6, [3, 4]), clip)


def test_all_pictures_are_mirrored_or_none_at_even_odds():
    clip, mirrored = numbered(), 0
    for seed in range(200):
        flipped = random_flip(tf.constant(clip), [0, seed]).numpy()
        is_mirrored = not np.array_equal(flipped, clip)
        if is_mirrored:
            np.testing.assert_array_equal(flipped, clip[:, :, ::-1])
        mirrored += is_mirrored
    assert 70 < mirrored < 130


def test_the_seed_decides():
    clip = tf.random.stateless_uniform([2, 9, 9, 3], [1, 2])
    for seed in ([0, 1], [5, 7]):
        np.testing.assert_array_equal(random_crop(clip, 4, seed), random_crop(clip, 4, seed))
        np.testing.assert_array_equal(random_flip(clip, seed), random_flip(clip, seed))


def test_shapes_are_known_inside_a_dataset():
    data = tf.data.Dataset.from_tensors(tf.zeros([2, 9, 9, 3], tf.uint8))
    data = data.map(lambda clip: random_flip(random_crop(clip, 4, [0, 1]), [0, 2]))
    assert data.element_spec.shape.as_list() == [2, 4, 4, 3]
