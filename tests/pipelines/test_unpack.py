import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.settings import FeatureSettings
from pipelines.unpack import unpack_features, unpack_log_mel, unpack_md, unpack_residuals, unpack_strips
from pipelines.wire import pack_log_mel, pack_md, pack_strip, unpack_strip
from tests import media

SETTINGS = FeatureSettings(clip_frames=4, canvas=32, md_frames=3, residual_frames=2, residual_size=16)
KINDS = {"md": [3, 2, 2, 2], "rgb_r": [2, 16, 16, 3], "log_mel": [1, 40, 200, 1]}


def motion(frames, seed=0):
    shape = (frames, SETTINGS.grid, SETTINGS.grid, 2)
    return np.random.default_rng(seed).integers(-32768, 32768, shape).astype(np.int16)


def pictures(count, seed=0):
    return np.stack(
        [media.texture(16, 16, seed + number) for number in range(count)] or [np.zeros((16, 16, 3))]
    )[:count].astype(np.uint8)


def there(counts, most):
    return np.arange(most)[None] < np.array(counts)[:, None]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(0, 1000))
def test_motion_is_exact_and_missing_frames_are_zero(counts, seed):
    clips = [motion(count, seed + place) for place, count in enumerate(counts)]
    values, mask = unpack_md(tf.constant([pack_md(clip) for clip in clips]), SETTINGS)
    assert values.dtype == tf.float32
    np.testing.assert_array_equal(mask, there(counts, 3))
    for value, clip, count in zip(values.numpy(), clips, counts, strict=True):
        np.testing.assert_array_equal(value[:count], clip / 16)
        assert not value[count:].any()


@pytest.mark.parametrize("counts", [[2, 1, 0], [0], [2, 2]])
def test_residual_strips(counts):
    clips = [pictures(count, 10 * place) for place, count in enumerate(counts)]
    packed = [pack_strip(clip, 95) for clip in clips]
    values, mask = unpack_residuals(tf.constant(packed), SETTINGS)
    assert (values.shape, values.dtype) == ((len(counts), 2, 16, 16, 3), tf.float32)
    np.testing.assert_array_equal(mask, there(counts, 2))
    for value, data, count in zip(values.numpy(), packed, counts, strict=True):
        assert np.abs(value[:count] - unpack_strip(data, 16)).max(initial=0) <= 3  # two JPEG decoders
        assert not value[count:].any()


def test_a_strip_longer_than_asked_is_cut():
    packed = pack_strip(pictures(3), 95)
    values, mask = unpack_strips(tf.constant([packed]), 2, 16)
    assert (values.shape, mask.numpy().tolist()) == ((1, 2, 16, 16, 3), [[True, True]])
    assert np.abs(values.numpy()[0].astype(int) - unpack_strip(packed, 16)[:2]).max() <= 3


def test_log_mel_is_exact():
    mel = np.random.default_rng(0).normal(size=(2, 40, 200)).astype(np.float16)
    mel[0, 0, :3] = np.float16(-4.605), np.float16(65504), np.float16(6e-8)  # also a subnormal number
    values, mask = unpack_log_mel(tf.constant([pack_log_mel(mel[0]), b"", pack_log_mel(mel[1])]))
    assert values.dtype == tf.float32
    np.testing.assert_array_equal(values[0, 0, :, :, 0], mel[0].astype(np.float32))
    np.testing.assert_array_equal(values[2, 0, :, :, 0], mel[1].astype(np.float32))
    assert not values.numpy()[1].any()
    assert mask.numpy().tolist() == [[True], [False], [True]]


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_graph_every_size_of_batch_has_the_same_shape(kind):
    full = {
        "md": pack_md(motion(3)),
        "rgb_r": pack_strip(pictures(2), 90),
        "log_mel": pack_log_mel(np.ones((40, 200))),
    }[kind]
    graph = tf.function(
        lambda data: unpack_features(kind, data, SETTINGS), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    assert graph.get_concrete_function().structured_outputs[0].shape.as_list() == [None, *KINDS[kind]]
    for data in ([], [b""], [full, b"", full]):
        data = tf.constant(data, tf.string)
        values, mask = graph(data)
        assert values.shape == [len(data), *KINDS[kind]]
        assert mask.numpy().tolist() == [[bool(item)] * KINDS[kind][0] for item in data.numpy()]
        np.testing.assert_array_equal(values, unpack_features(kind, data, SETTINGS)[0])


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="no sampler reads 'iframes'"):
        unpack_features("iframes", tf.constant([b""]), SETTINGS)


def test_an_i_frame_is_a_clips_only_frame():
    size = SETTINGS.iframe_size
    rng = np.random.default_rng(0)
    # Blocks of 8x8 in one colour survive JPEG.
    picture = rng.integers(0, 255, (size // 8, size // 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    packed = pack_strip(picture[None], 90)
    values, mask = unpack_features("iframe", tf.constant([packed, b""]), SETTINGS)
    assert values.shape == (2, 1, size, size, 3)
    assert values.dtype == tf.float32
    assert mask.numpy().tolist() == [[True], [False]]
    assert np.abs(values.numpy()[0, 0] - unpack_strip(packed, size)[0]).max() <= 3
    assert not values.numpy()[1].any()
