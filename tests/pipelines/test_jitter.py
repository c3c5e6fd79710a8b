"""Changes to a sampler's clips against values worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.jitter import Jitter, cropped, jittered, masked, mirrored, window


def numbered(clips=2, frames=2, height=5, width=5, channels=1):
    """Frames whose values are 10 y + x, other ones in every clip."""
    y, x = np.mgrid[:height, :width]
    picture = (10 * y + x)[None, None, :, :, None] + 100 * np.arange(clips)[:, None, None, None, None]
    return tf.constant(np.tile(picture, (1, frames, 1, 1, channels)), tf.float32)


def test_a_window_by_hand():
    """The middle half of 5 pixels: centres at 1, 1.5, 2, 2.5, 3; all clips alike."""
    crop = cropped(numbered(), tf.constant([0.25, 0.25, 0.75, 0.75]), motion=False).numpy()
    at = np.array([1, 1.5, 2, 2.5, 3])
    expected = 10 * at[:, None] + at
    np.testing.assert_allclose(crop[0, 0, ..., 0], expected)
    np.testing.assert_allclose(crop[0, 1, ..., 0], expected)
    np.testing.assert_allclose(crop[1, 0, ..., 0], expected + 100)


def test_the_whole_as_a_window_changes_nothing():
    frames = numbered(channels=2)
    np.testing.assert_array_equal(cropped(frames, tf.constant([0.0, 0.0, 1.0, 1.0]), True), frames)


def test_motion_grows_with_its_window():
    """Half as wide, a quarter as high: twice the motion to the right and four times that down."""
    frames = tf.ones([1, 1, 6, 6, 2]) * [3.0, 5.0]
    crop = cropped(frames, tf.constant([0.5, 0.25, 0.75, 0.75]), motion=True).numpy()
    np.testing.assert_allclose(crop, np.broadcast_to([6.0, 20.0], (1, 1, 6, 6, 2)))


def test_a_mirror_image_by_hand():
    np.testing.assert_array_equal(
        mirrored(tf.constant([[[[[1.0], [2.0], [3.0]]]]]), False).numpy().ravel(), [3, 2, 1]
    )
    motion = tf.constant([[[[[1.0, 4.0], [2.0, 5.0], [-3.0, 6.0]]]]])
    np.testing.assert_array_equal(mirrored(motion, True)[0, 0, 0], [[3, 6], [-2, 5], [-1, 4]])
    np.testing.assert_array_equal(mirrored(mirrored(motion, True), True), motion)


def test_windows_have_at_least_their_area_and_lie_anywhere():
    windows = np.array([window(0.4, [3, number]).numpy() for number in range(400)])
    height, width = windows[:, 2] - windows[:, 0], windows[:, 3] - windows[:, 1]
    assert windows.min() >= 0
    assert windows.max() <= 1 + 1e-6
    assert 0.36 < (height * width).min() < 0.45
    assert (height * width).max() > 0.9
    assert 0.7 < (height / width).min() < 0.85 < 1.2 < (height / width).max() < 1.4
    assert windows[:, 0].min() < 0.01
    assert windows[:, 2].max() > 0.99


def test_masks_hide_a_stretch_of_time_and_a_band_alike_in_all_clips():
    rng = np.random.default_rng(0)
    sound = rng.normal(size=(3, 1, 40, 200, 1)).astype("f")
    bands, stretches = [], []
    for number in range(200):
        changed = masked(tf.constant(sound), 0.25, tf.constant([5, number])).numpy()
        hidden = (changed != sound)[..., 0]
        assert (hidden == hidden[:1]).all()
        hidden = hidden[0, 0]
        rows, columns = hidden.all(axis=1), hidden.all(axis=0)
        np.testing.assert_array_equal(hidden, rows[:, None] | columns[None])
        for line in (rows, columns):
            assert (np.diff(np.flatnonzero(line)) == 1).all()
        expected = np.broadcast_to(sound.mean(axis=(2, 3, 4), keepdims=True), sound.shape)
        np.testing.assert_allclose(changed[:, :, hidden], expected[:, :, hidden], atol=1e-5)
        bands.append(rows.sum())
        stretches.append(columns.sum())
    assert (min(bands), max(bands)) == (0, 10)
    assert min(stretches) <= 2
    assert 47 <= max(stretches) <= 50


@pytest.mark.parametrize("field", ["md", "rgb_r", "iframe", "log_mel"])
def test_nothing_changes_unless_asked_for(field):
    frames = numbered(channels=2 if field == "md" else 3)
    np.testing.assert_array_equal(jittered(field, frames, Jitter(), [1, 2]), frames)
    if field == "log_mel":
        np.testing.assert_array_equal(jittered(field, frames, Jitter(0.5, True), [1, 2]), frames)
    else:
        np.testing.assert_array_equal(jittered(field, frames, Jitter(mask=0.5), [1, 2]), frames)


def test_all_fields_of_a_video_are_cut_and_mirrored_alike_as_the_seed_says():
    """The same scene as pictures and as motion, whose y component is set to what the pictures show."""
    pictures = numbered(channels=3)
    motion = tf.stack([tf.zeros_like(pictures[..., 0]), pictures[..., 0]], axis=-1)
    mirror = 0
    for number in range(40):
        seed = tf.constant([4, number])
        seen = jittered("rgb_r", pictures, Jitter(0.5, True), seed).numpy()
        moved = jittered("md", motion, Jitter(0.5, True), seed).numpy()
        np.testing.assert_array_equal(seen, jittered("iframe", pictures, Jitter(0.5, True), seed))
        ratio = moved[..., 1][seen[..., 0] > 1] / seen[..., 0][seen[..., 0] > 1]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
        assert 1 <= ratio[0] < 1.7
        mirror += seen[0, 0, 0, 0, 0] > seen[0, 0, 0, -1, 0]
    assert 10 < mirror < 30


def test_missing_frames_stay_missing():
    for field, channels in (("md", 2), ("rgb_r", 3), ("log_mel", 1)):
        frames = tf.zeros([2, 1, 8, 8, channels])
        assert not np.any(jittered(field, frames, Jitter(0.3, True, 0.5), [0, 1]))
