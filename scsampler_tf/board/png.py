"""Figures as small PNG files."""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

COLOURS = 256  # photographs stay good, files become a third
PIXELS_PER_INCH = 80


def as_png(figure: Figure) -> tuple[int, int, bytes]:
    """Width, height and the PNG of a figure with an Agg canvas, in a palette of its own."""
    figure.set_dpi(PIXELS_PER_INCH)
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    stream = io.BytesIO()
    # Error diffusion would put noise into plain areas, which compresses badly; the other ways to choose
    # colours take longer than drawing does.
    small = picture.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(stream, "PNG")
    return *picture.size, stream.getvalue()
