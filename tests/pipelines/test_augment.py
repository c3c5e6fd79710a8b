import numpy as np
import tensorflow as tf

from pipelines.augment import random_colours, random_crop, random_flip, random_resized_crop


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


def windows(least_area, count):
    """Heights and widths of resized crops of a clip of 40x40 whose channels are its coordinates."""
    y, x = np.meshgrid(np.arange(40.0), np.arange(40.0), indexing="ij")
    clip = tf.constant(np.stack([y, x, 0 * x], axis=-1)[None], tf.float32)
    crops = [random_resized_crop(clip, 20, least_area, [7, number]).numpy()[0] for number in range(count)]
    # Ten steps of the crop are half of its window.
    sides = [(2 * (crop[15, 0, 0] - crop[5, 0, 0]), 2 * (crop[0, 15, 1] - crop[0, 5, 1])) for crop in crops]
    return np.array(sides).T


def test_a_resized_crop_of_the_whole_area_keeps_one_side():
    height, width = windows(1.0, 40)
    np.testing.assert_allclose(np.maximum(height, width), 40, atol=1e-4)
    assert min(height) >= 30 - 0.5
    assert min(width) >= 30 - 0.5


def test_resized_crops_show_at_least_their_area():
    height, width = windows(0.25, 300)
    areas, ratios = height * width / 1600, width / height
    assert min(areas) > 0.2
    assert max(areas) > 0.85
    assert 0.45 < np.mean(areas) < 0.68
    assert 0.7 < min(ratios) < 0.85 < 1.2 < max(ratios) < 1.43


def test_a_resized_crop_is_the_same_in_all_pictures():
    crop = random_resized_crop(tf.constant(numbered(height=12, width=12)), 6, 0.3, [1, 5])
    np.testing.assert_array_equal(crop[0], crop[2])


def test_colours_by_hand():
    """A grey clip has no saturation: only contrast and channels change it, alike everywhere."""
    clip = tf.constant(np.full((2, 3, 3, 3), 100, np.uint8))
    for number in range(20):
        changed = random_colours(clip, 0.4, [number, 1]).numpy()
        assert changed.dtype == np.float32
        np.testing.assert_allclose(changed, np.broadcast_to(changed[:1, :1, :1], changed.shape))
        assert (abs(changed / 100 - 1) <= 0.2 + 1e-6).all()
    np.testing.assert_allclose(random_colours(clip, 0.0, [1, 2]), clip)


def test_colours_stay_within_range_and_follow_the_seed():
    clip = tf.constant(np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8))
    changed = [random_colours(clip, 0.9, [number, 3]).numpy() for number in range(10)]
    assert min(map(np.min, changed)) >= 0
    assert max(map(np.max, changed)) <= 255
    np.testing.assert_array_equal(changed[4], random_colours(clip, 0.9, [4, 3]))
    assert not np.array_equal(changed[4], changed[5])
