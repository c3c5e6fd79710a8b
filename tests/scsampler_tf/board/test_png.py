import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from scsampler_tf.board.png import as_png


def test_a_picture_has_its_figures_size_and_nearly_its_colours():
    """3 by 2 inches at 80 dots an inch, of a gradient with more colours than the palette."""
    figure = Figure(figsize=(3, 2))
    FigureCanvasAgg(figure)
    axis = figure.add_axes([0, 0, 1, 1])
    axis.set_axis_off()
    # Neighbours differ little, as they do in pictures.
    y, x = np.mgrid[0:160, 0:240]
    pixels = np.stack([x, y + 40, (x + y) // 2], axis=-1).astype(np.uint8)
    axis.imshow(pixels, interpolation="nearest", aspect="auto")
    width, height, data = as_png(figure)
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert (width, height) == (240, 160)
    assert picture.shape == (160, 240, 3)
    assert abs(picture - pixels).mean() < 8
    assert len(data) < 240 * 160  # one byte a pixel is the most
