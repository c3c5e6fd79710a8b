import io

import numpy as np
import pytest
from PIL import Image

from pipelines.wire import pack_log_mel, pack_md, pack_strip, unpack_strip
from tests import media


def test_motion_bytes_are_little_endian_in_c_order():
    md = np.array([[[[1, -2], [3, 256]], [[5, 6], [7, -32768]]]], np.int16)
    assert pack_md(md) == bytes([1, 0, 254, 255, 3, 0, 0, 1, 5, 0, 6, 0, 7, 0, 0, 128])
    assert pack_md(md.transpose(0, 2, 1, 3)) == md.transpose(0, 2, 1, 3).copy().tobytes()
    assert pack_md(np.zeros((0, 2, 2, 2), np.int16)) == b""


def test_log_mel_bytes():
    mel = np.linspace(-5, 5, 8000).reshape(40, 200)
    data = pack_log_mel(mel)
    assert len(data) == 16000
    np.testing.assert_array_equal(np.frombuffer(data, "<f2").reshape(40, 200), mel.astype(np.float16))
    assert pack_log_mel(None) == b""
    with pytest.raises(ValueError, match=r"\(200, 40\)"):
        pack_log_mel(mel.T)


def test_strips_are_one_picture_under_the_other():
    pictures = np.stack([media.texture(32, 32, seed) for seed in range(3)])
    data = pack_strip(pictures, 95)
    with Image.open(io.BytesIO(data)) as strip:
        assert (strip.format, strip.size, strip.mode) == ("JPEG", (32, 96), "RGB")
    restored = unpack_strip(data, 32)
    assert (restored.shape, restored.dtype) == ((3, 32, 32, 3), np.uint8)
    assert np.abs(restored.astype(int) - pictures).mean() < 3


def test_colour_keeps_its_full_resolution():
    stripes = np.zeros((1, 16, 16, 3), np.uint8)
    stripes[:, :, ::2, 0] = stripes[:, :, 1::2, 2] = 200  # red and blue columns: chroma alone tells them
    restored = unpack_strip(pack_strip(stripes, 95), 16)
    assert np.abs(restored.astype(int) - stripes).max() < 40


def test_no_picture_is_no_bytes():
    assert pack_strip(np.zeros((0, 8, 8, 3), np.uint8), 90) == b""
    assert unpack_strip(b"", 8).shape == (0, 8, 8, 3)


def test_quality_decides_the_size():
    picture = media.texture(64, 64)[None]
    assert len(pack_strip(picture, 30)) < len(pack_strip(picture, 95))
