"""Clips as bytes: one layout for the records on disk, the exported graph and requests to a server."""

import io

import numpy as np
from PIL import Image

from pipelines.settings import MEL_BINS, MEL_FRAMES


def pack_md(md: np.ndarray) -> bytes:
    """Motion displacements `[p, g, g, 2]` int16, in sixteenths of a canvas pixel -> little-endian bytes."""
    return np.ascontiguousarray(md, dtype="<i2").tobytes()


def pack_strip(pictures: np.ndarray, quality: int) -> bytes:
    """Pictures `[n, s, s, 3]` uint8 -> one JPEG with them one below the other; no bytes for no picture.

    Colour is not subsampled: on pictures this small chroma subsampling would halve what residuals show.
    """
    if not len(pictures):
        return b""
    n, height, width, channels = pictures.shape
    strip = Image.fromarray(np.ascontiguousarray(pictures).reshape(n * height, width, channels))
    stream = io.BytesIO()
    strip.save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def pack_log_mel(mel: np.ndarray | None) -> bytes:
    """Log-mel `[40, 200]` -> float16 little-endian bytes; no bytes for no sound."""
    if mel is None:
        return b""
    if mel.shape != (MEL_BINS, MEL_FRAMES):
        raise ValueError(f"log-mel has shape {mel.shape}, not {(MEL_BINS, MEL_FRAMES)}")
    return np.ascontiguousarray(mel, dtype="<f2").tobytes()


def unpack_strip(data: bytes, size: int) -> np.ndarray:
    """The pictures `[n, size, size, 3]` uint8 of a JPEG strip."""
    if not data:
        return np.zeros((0, size, size, 3), np.uint8)
    with Image.open(io.BytesIO(data)) as strip:
        return np.asarray(strip.convert("RGB")).reshape(-1, size, size, 3)
