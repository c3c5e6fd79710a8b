"""Streams that are shown otherwise than they are coded, and pictures in unusual forms, through real files."""

from fractions import Fraction

import numpy as np
import pytest
from av.codec.context import Flags2

from pipelines.canvas import CanvasGrids
from pipelines.damage import Damage
from pipelines.geometry import Geometry, orientation
from pipelines.motion import VectorField, vector_bytes
from pipelines.pictures import SquarePictures, WholePictures
from pipelines.video_file import decoded_frames, opened_pictures, probe
from tests import media

CANVAS = 96
LAYINGS = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


def half_panning(height, width, step):
    """Pictures whose upper half moves by `step` and whose lower half stands still."""
    pictures = np.stack(media.pan(4, width, height, step))
    pictures[:, height // 2 :] = media.texture(height, width, seed=1)[height // 2 :]
    return pictures


def coded(shown, geometry):
    """What has to be coded so that `shown` `[n, h, w, 3]` comes out."""
    pixels = np.rot90(shown, -geometry.rotation // 90, axes=(1, 2))
    if geometry.mirrored:
        pixels = pixels[:, :, ::-1]
    if geometry.aspect > 1:  # wide pixels hold several shown ones
        share = int(geometry.aspect)
        n, height, width, _ = pixels.shape
        pixels = pixels.reshape(n, height, width // share, share, 3).mean(3).astype(np.uint8)
    return pixels.repeat(max(1, int(1 / geometry.aspect)), 2)


def read(path):
    """Square pictures `[n, c, c, 3]` and the motion `[n - 1, g, g, 2]` of the frames behind the first."""
    geometry = probe(path).geometry
    pictures, fields = [], []
    with opened_pictures(path) as (container, stream):
        stream.codec_context.flags2 |= Flags2.export_mvs
        square = SquarePictures(CANVAS, geometry)
        for frame in decoded_frames(container, stream, Damage()):
            pictures.append(square.array(frame))
            fields.append(VectorField(vector_bytes(frame), frame.height, frame.width))
    return np.stack(pictures), CanvasGrids(CANVAS, geometry)(fields[1:])


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(2), Fraction(1, 2)])
@pytest.mark.parametrize("laying", LAYINGS)
@pytest.mark.parametrize(("height", "width"), [(192, 256), (256, 192)])
def test_motion_and_pictures_are_those_of_the_upright_film(tmp_path, laying, aspect, height, width):
    a, b, c, d = laying
    geometry = Geometry(*orientation((a, b, 0, c, d, 0, 0, 0, 1)), aspect)
    step = 8, -4
    shown = half_panning(height, width, step)
    options = {"crf": "8"}
    plain = media.write_form(tmp_path / "plain.mp4", shown, media.H264, "yuv420p", options=options)
    lying = media.write_form(
        tmp_path / "lying.mp4", coded(shown, geometry), media.H264, "yuv420p", aspect, options
    )
    odd = media.displayed(lying, tmp_path / "odd.mp4", laying)
    assert probe(odd).geometry == geometry
    pictures, motion = read(odd)
    expected, _ = read(plain)
    assert np.abs(pictures.astype(int) - expected).mean() < 8  # colours are coarse where pixels are wide
    scale = CANVAS / 192
    middle = len(motion[0]) // 2
    moving, still = motion[:, 1 : middle - 1, 1:-1], motion[:, middle + 1 :]
    np.testing.assert_allclose(np.median(moving, (0, 1, 2)), np.array(step) * scale, atol=0.15)
    np.testing.assert_allclose(moving.mean((0, 1, 2)), np.array(step) * scale, atol=0.5)
    assert np.abs(still).mean() < 0.25


def smooth(height, width, grey=False):
    """A picture with a value of its own at every place."""
    y, x = np.mgrid[:height, :width]
    colours = [30 + 1.2 * x + 1.2 * y] * 3 if grey else [40 + 2.2 * x, 30 + 2.8 * y, 200 - x - y]
    return np.clip(np.stack(colours, axis=-1), 0, 255).astype(np.uint8)


CODECS = [
    *[("ffv1", pixels, "mkv") for pixels in ("yuv420p", "yuv411p", "yuva420p", "yuv422p10le", "bgra")],
    *[("ffv1", pixels, "mkv") for pixels in ("gray", "gray10le", "gbrp10le", "rgb48le")],
    *[("png", pixels, "avi") for pixels in ("rgb24", "rgba", "gray")],
    *[("qtrle", pixels, "mov") for pixels in ("rgb24", "argb")],
    ("huffyuv", "bgra", "avi"),
    ("utvideo", "gbrp", "avi"),
    ("libx264", "yuv444p", "mkv"),
    ("libx264", "yuv444p10le", "mkv"),
    ("libx264rgb", "rgb24", "mp4"),
    ("prores_ks", "yuv444p10le", "mov"),
    ("mjpeg", "yuvj444p", "avi"),
]


def depth(codec, pixels):
    """Bits of a decoded sample."""
    if codec == "prores_ks":  # whatever was coded
        return 12
    return {"10le": 10, "48le": 16}.get(pixels[-4:], 8)


@pytest.mark.parametrize(("codec", "pixels", "suffix"), CODECS)
def test_the_same_picture_in_every_codec_and_form(tmp_path, codec, pixels, suffix):
    shown = smooth(61, 75, pixels.startswith("gray"))
    options = {"crf": "2"} if codec.startswith("libx264") else {}
    path = media.write_form(tmp_path / f"a.{suffix}", [shown] * 2, codec, pixels, options=options)
    stream = probe(path)
    assert (stream.height, stream.width) == (61, 75)
    assert stream.bits == depth(codec, pixels)
    with opened_pictures(path) as (container, opened):
        *_, frame = decoded_frames(container, opened, Damage())
        square = SquarePictures(61).array(frame).astype(int)
        whole = WholePictures(61, pixels="rgb24").frame(frame).to_ndarray()
    assert np.abs(square - shown[:, 6:67])[2:-2, 2:-2].max() <= 6
    assert np.abs(square - shown[:, 6:67]).mean() < 1.5
    assert whole.shape == (60, 74, 3)
    assert abs(whole.mean() - shown.mean()) < 2


@pytest.mark.parametrize(("suffix", "codec"), [("264", media.H264), ("ts", media.H264)])
def test_streams_that_change_their_size_midway(tmp_path, suffix, codec):
    sizes = [(64, 96), (96, 64), (128, 128)]
    parts = [
        media.write_video(tmp_path / f"{number}.{suffix}", media.pan(6, width, height, (4, 2)), codec, gop=6)
        for number, (height, width) in enumerate(sizes)
    ]
    pictures, motion = read(media.joined(parts, tmp_path / f"joined.{suffix}"))
    alone = [read(part) for part in parts]
    np.testing.assert_array_equal(pictures, np.concatenate([own for own, _ in alone]))
    behind = [place for place in range(1, 18) if place % 6]
    np.testing.assert_array_equal(motion[np.array(behind) - 1], np.concatenate([own for _, own in alone]))
    for first, (height, width) in zip((0, 5, 10), sizes, strict=True):
        moved = np.median(motion[np.array(behind) - 1][first : first + 5], (0, 1, 2))
        np.testing.assert_allclose(moved, np.array([4, 2]) * CANVAS / min(height, width), atol=0.3)


def test_an_mpeg2_stream_that_changes_its_size_loses_a_frame_for_it(tmp_path):
    """FFmpeg's decoder lets go of the frame that it holds back; everything else is there."""
    parts = [
        media.write_video(tmp_path / f"{width}.mpg", media.pan(6, width, 64, (4, 2)), "mpeg2video", gop=6)
        for width in (64, 96)
    ]
    pictures, _ = read(media.joined(parts, tmp_path / "joined.mpg"))
    alone = [read(part)[0] for part in parts]
    np.testing.assert_array_equal(pictures, np.concatenate([alone[0][:-1], alone[1]]))
