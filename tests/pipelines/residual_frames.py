"""Frames and motion drawn at random for tests of residuals, and predictions by their definition."""

import av
import numpy as np

from pipelines.residual import SUBSAMPLING, Residuals, plane_views

LIMITED, FULL = 1, 2
BT709, UNTOLD, BT601 = 1, 2, 5


def filled(planes, pixels="yuv420p", matrix=BT601, color_range=LIMITED):
    """A frame that consists of `planes` [h, w]."""
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixels)
    frame.colorspace, frame.color_range = matrix, color_range
    for view, plane in zip(plane_views(frame), planes, strict=True):
        view[...] = plane
    return frame


def random_frame(height, width, pixels="yuv420p", seed=0, low=0, high=256, **tags):
    random = np.random.default_rng(seed)
    down, across = SUBSAMPLING[pixels.replace("j", "")]
    small = (-(-height // down), -(-width // across))
    shapes = ((height, width), small, small)
    return filled([random.integers(low, high, shape, np.uint8) for shape in shapes], pixels, **tags)


def flat_frame(values, pixels="yuv420p", height=16, width=16, **tags):
    frame = random_frame(height, width, pixels, **tags)
    for view, value in zip(plane_views(frame), values, strict=True):
        view[...] = value
    return frame


def random_motion(height, width, cell, spread=3.0, seed=0):
    shape = (-(-height // cell), -(-width // cell), 2)
    return np.random.default_rng(seed).normal(0, spread, shape).astype(np.float32)


def still(height, width, cell):
    return np.zeros((-(-height // cell), -(-width // cell), 2), np.float32)


def started(frame=None):
    residuals = Residuals(subpel=False)
    residuals.start(frame or random_frame(32, 32))
    return residuals


def lookup(plane, displacement, block, unit):
    """The prediction in float64, by its definition for each pixel: places are clamped to the picture."""
    height, width = plane.shape
    y, x = np.mgrid[:height, :width]
    move = np.rint(-unit * displacement.astype(float)) / unit
    move = move[y // block[0], x // block[1]]
    at_x, at_y = np.clip(x + move[..., 0], 0, width - 1), np.clip(y + move[..., 1], 0, height - 1)
    left, top = at_x.astype(int), at_y.astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    part_x, part_y = at_x - left, at_y - top
    upper = plane[top, left] * (1 - part_x) + plane[top, right] * part_x
    lower = plane[below, left] * (1 - part_x) + plane[below, right] * part_x
    return np.floor(upper * (1 - part_y) + lower * part_y + 0.5)


def looked_up(planes, displacement, cell, pixels, unit):
    """The predictions of all planes."""
    chroma = SUBSAMPLING[pixels]
    return [
        lookup(plane, displacement / np.array(step[::-1]), (cell // step[0], cell // step[1]), unit)
        for plane, step in zip(planes, ((1, 1), chroma, chroma), strict=True)
    ]
