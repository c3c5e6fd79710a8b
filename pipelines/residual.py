"""RGB residuals: a frame minus its prediction from the frame before (paper, section 3.3.1).

Codecs do not hand out the residual they store, and for B-frames it refers to other frames. So it is
defined here on pixels: frame minus motion-compensated frame before, both at residual size.
"""

import numpy as np

from pipelines.settings import RESIDUAL_OFFSET

SUBPEL = 16  # steps a pixel; 255 * 16 * 16 still fits into 16 bits


def warp(previous: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Moves the content of a picture cell by cell: the prediction of the next one.

    `previous` is `[s, s, 3]` uint8, `displacement` `[g, g, 2]` in its pixels, x to the right and y
    downwards; cell (i, j) holds the pixels `i*s/g <= y < (i+1)*s/g`, likewise x. Bilinear between
    pixels, in sixteenths; what lies outside repeats the border. Returns `[s, s, 3]` uint8.
    """
    size = len(previous)
    x, y = _origins(displacement, size)
    left, top = x >> 4, y >> 4
    right = np.minimum(left + 1, size - 1)
    below = np.minimum(top + 1, size - 1) * size
    top *= size
    # The colours of a pixel lie in one 64-bit word, 16 bits each, so one multiplication serves them all.
    lanes = np.zeros((size, size, 4), np.uint16)
    lanes[..., :3] = previous
    words = lanes.view(np.uint64).reshape(-1)
    part_x, part_y = (x & 15).astype(np.uint64), (y & 15).astype(np.uint64)
    both = part_x * part_y
    mixed = words.take(below + right) * both
    mixed += words.take(below + left) * (part_y * np.uint64(SUBPEL) - both)
    mixed += words.take(top + right) * (part_x * np.uint64(SUBPEL) - both)
    mixed += words.take(top + left) * (np.uint64(SUBPEL) * (np.uint64(SUBPEL) - part_x - part_y) + both)
    mixed = mixed.view(np.uint16).reshape(size, size, 4)[..., :3]
    return ((mixed + np.uint16(SUBPEL * SUBPEL // 2)) >> np.uint16(8)).astype(np.uint8)


def _origins(displacement: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel comes from, in sixteenths within the picture: x and y `[s, s]` int32."""
    cell = np.arange(size) * len(displacement) // size
    place = np.arange(size, dtype=np.int32) * SUBPEL
    steps = np.rint(displacement * -SUBPEL).astype(np.int32)[:, cell]
    limit = (size - 1) * SUBPEL
    x = np.minimum(np.maximum(steps[..., 0] + place, 0), limit)[cell]
    y = np.minimum(np.maximum(steps[..., 1][cell] + place[:, None], 0), limit)
    return x, y


def residual(frame: np.ndarray, previous: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """`frame` minus its prediction, int16 `[s, s, 3]`; prediction plus residual is the frame exactly."""
    return frame.astype(np.int16) - warp(previous, displacement)


def encode(difference: np.ndarray) -> np.ndarray:
    """int16 residual -> uint8 around 128; what exceeds [-128, 127] is clipped."""
    low, high = -RESIDUAL_OFFSET, 255 - RESIDUAL_OFFSET
    return (np.clip(difference, low, high) + RESIDUAL_OFFSET).astype(np.uint8)
