import numpy as np
import pytest

from pipelines.errors import UserError, VideoError
from pipelines.frame_features import BATCH, SMALL, FrameFeatures
from pipelines.geometry import Geometry
from tests import media

WIDTH, HEIGHT, STEP = 136, 104, (3, -2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("frame_features")


@pytest.fixture(scope="module")
def panned():
    return media.pan(40, WIDTH, HEIGHT, STEP)


def read(path, *arguments):
    features = FrameFeatures(path, *arguments)
    batches = list(features.batches())
    md = np.concatenate([batch.md for batch in batches])
    types = "".join("".join(batch.frame_type) for batch in batches)
    return features, md, types, batches


def inner(md):
    return md[:, 2:-2, 2:-2].reshape(-1, 2)


@pytest.mark.parametrize(
    ("name", "codec", "b_frames", "mode", "policy"),
    [
        ("a.avi", media.MPEG4, 0, "auto", "direct"),
        ("a.mp4", media.H264, 0, "auto", "direct"),
        ("b.mp4", media.H264, 2, "fast", "scaled"),
        ("c.mp4", media.H264, 2, "auto", "transcode"),
        ("a.mpg", "mpeg2video", 0, "auto", "direct"),
    ],
)
def test_every_frame_has_its_motion(folder, panned, name, codec, b_frames, mode, policy):
    path = media.write_video(folder / name, panned, codec, b_frames=b_frames)
    features, md, types, _ = read(path, mode)
    assert features.policy.name == policy
    assert md.shape == (40, 7, 9, 2)  # ceil(104 / 16), ceil(136 / 16)
    assert md.dtype == np.float32
    assert (len(types), types[0], types[12]) == (40, "I", "I")
    assert not md[[0, 12, 24]].any()
    np.testing.assert_allclose(np.median(inner(md[1:12]), axis=0), STEP, atol=0.26)
    assert features.timing.count == 40
    assert features.damage == []


@pytest.mark.parametrize(("codec", "name"), [(media.MPEG4, "d.avi"), (media.H264, "d.mp4")])
@pytest.mark.parametrize("mode", ["direct", "transcode"])
def test_leaving_pixels_out_changes_no_motion(folder, panned, codec, name, mode):
    path = media.write_video(folder / name, panned, codec)
    np.testing.assert_array_equal(read(path, mode)[1], read(path, mode, 1)[1])


@pytest.mark.parametrize(("share", "shape"), [(1, (104, 136)), (2, (52, 68)), (4, (26, 34))])
@pytest.mark.parametrize(("codec", "name"), [(media.MPEG4, "e.avi"), (media.H264, "e.mp4")])
def test_residuals_have_their_size_and_are_small_for_a_pan(folder, panned, codec, name, share, shape):
    path = media.write_video(folder / name, panned, codec)
    _, _, types, batches = read(path, "auto", share)
    rgb_r = np.concatenate([batch.rgb_r for batch in batches])
    assert rgb_r.shape == (40, *shape, 3)
    assert rgb_r.dtype == np.uint8
    for frame_type, residual in zip(types, rgb_r, strict=True):
        assert (residual == 128).all() == (frame_type == "I")
    plain = np.abs(np.diff(np.stack(panned).astype(int), axis=0)).mean()
    edge = 24 // share
    left = np.abs(rgb_r[1:12, edge:-edge, edge:-edge].astype(int) - 128).mean()
    assert left < 0.4 * plain


@pytest.mark.parametrize("share", [2, 4])
@pytest.mark.parametrize(
    ("codec", "name"), [(media.MPEG4, "f.avi"), (media.H264, "f.mp4"), ("mpeg2video", "f.mpg")]
)
def test_fast_residuals_show_what_the_exact_ones_show(folder, panned, codec, name, share):
    lit = [np.clip(picture + 3.0 * number, 0, 255).astype(np.uint8) for number, picture in enumerate(panned)]
    path = media.write_video(folder / name, lit, codec)
    (_, exact_md, types, exact), (_, md, _, fast) = read(path, "direct", share), read(path, "fast", share)
    np.testing.assert_array_equal(md, exact_md)
    exact, fast = (np.concatenate([batch.rgb_r for batch in batches]) for batches in (exact, fast))
    assert fast.shape == exact.shape
    assert (fast[[letter == "I" for letter in types]] == 128).all()
    # Every picture is 3 levels lighter than the one before.
    bias = [rgb_r[1:12].astype(float).mean() - 128 for rgb_r in (exact, fast)]
    np.testing.assert_allclose(bias, 3, atol=1.7)
    edge = 24 // share
    plain = np.abs(np.diff(np.stack(lit).astype(int), axis=0)).mean()
    assert np.abs(fast[1:12, edge:-edge, edge:-edge].astype(int) - 128).mean() < 0.5 * plain


def test_the_accumulated_residual_starts_at_the_i_frame(folder):
    # Grey pictures that brighten by 4 levels a frame without moving.
    pictures = [np.full((48, 64, 3), 60 + 4 * number, np.uint8) for number in range(12)]
    path = media.write_video(folder / "bright.avi", pictures, media.MPEG4, gop=6)
    step, carried = (read(path, "direct", 1, form)[3] for form in ("step", "accumulated"))
    middle = [
        np.concatenate([batch.rgb_r for batch in batches])[:, 24, 32, 1].astype(int)
        for batches in (step, carried)
    ]
    np.testing.assert_allclose(middle[0] - 128, [0, 4, 4, 4, 4, 4] * 2, atol=3)
    np.testing.assert_allclose(middle[1] - 128, [0, 4, 8, 12, 16, 20] * 2, atol=3)


def test_a_recoding_is_small_and_in_its_own_pixels(folder):
    path = media.write_video(folder / "large.mp4", media.pan(14, 640, 512, (8, 0)), b_frames=2)
    _, md, _, batches = read(path, "transcode", 1)
    assert batches[0].rgb_r.shape[1:] == (SMALL, 320, 3)
    np.testing.assert_allclose(np.median(inner(md[1:12]), axis=0), (4, 0), atol=0.26)


@pytest.mark.parametrize("mode", ["direct", "transcode"])
def test_motion_and_residuals_are_turned_upright(folder, panned, mode):
    whole = media.write_video(folder / "lying.mp4", panned, index_first=True)
    turned = media.turned(whole, folder / "turned.mp4", 90)
    _, lying, _, _ = read(whole, mode)
    features, md, _, batches = read(turned, mode, 2)
    assert md.shape == (40, 9, 7, 2)
    assert batches[0].rgb_r.shape[1:] == (68, 52, 3)
    assert features.stream.rotation == 270
    np.testing.assert_allclose(np.median(inner(md[1:12]), axis=0), (2, 3), atol=0.26)
    if mode == "direct":
        np.testing.assert_array_equal(md, Geometry(270).grids(lying))


@pytest.mark.parametrize("share", [None, 2])
def test_a_new_size_begins_a_new_batch(folder, share):
    first = media.write_video(folder / "1.264", media.pan(5, 96, 64, (2, 0)))
    second = media.write_video(folder / "2.264", media.pan(5, 128, 96, (3, 0)))
    both = folder / "both.264"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    batches = list(FrameFeatures(both, "direct", share).batches())
    assert [batch.md.shape for batch in batches] == [(5, 4, 6, 2), (5, 6, 8, 2)]
    np.testing.assert_allclose(np.median(batches[1].md[1:].reshape(-1, 2), axis=0), (3, 0), atol=0.26)


def test_batches_are_bounded(folder, panned):
    path = media.write_video(folder / "long.avi", panned * 2, media.MPEG4)
    assert [len(batch.md) for batch in FrameFeatures(path).batches()] == [BATCH, BATCH, 16]
    large = media.write_video(folder / "large.avi", media.pan(9, 640, 512), media.MPEG4)
    for share, most in ((1, 4), (2, 8), (None, BATCH)):
        sizes = [len(batch.md) for batch in FrameFeatures(large, share=share).batches()]
        assert (sum(sizes), max(sizes)) == (9, min(most, 9))


def test_bad_arguments_are_told(folder, panned):
    path = media.write_video(folder / "intra.avi", panned[:5], "mjpeg")
    with pytest.raises(UserError, match="residual size 1/3"):
        FrameFeatures(path, share=3)
    with pytest.raises(UserError, match="residual form 'sum'"):
        FrameFeatures(path, form="sum")
    with pytest.raises(VideoError, match=r"intra\.avi: mjpeg gives no motion vectors"):
        list(FrameFeatures(path, "direct").batches())
