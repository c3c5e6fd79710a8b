import numpy as np
import pytest

from scsampler_tf.board.input_pictures import (
    ClipInputs,
    InputsJob,
    draw_inputs,
    longest_motion,
    motion_colours,
    paint_inputs,
)


def test_directions_are_hues_and_lengths_are_strengths():
    """Right is red, left cyan, down (y grows) yellow-green, half as far half as strong, and still white."""
    field = np.array([[2.0, 0], [-2, 0], [0, 2], [1, 0], [0, 0], [8, 0]])
    expected = [[1, 0, 0], [0, 1, 1], [0.5, 1, 0], [1, 0.5, 0.5], [1, 1, 1], [1, 0, 0]]
    assert motion_colours(field, 2.0) == pytest.approx(np.array(expected), abs=1e-6)


def test_single_wild_vectors_do_not_set_the_scale():
    field = np.zeros((20, 20, 2))
    field[:, :10] = (3.0, 4.0)
    field[0, 0] = (400.0, 0.0)
    assert longest_motion([field, None]) == 5.0
    assert longest_motion([None]) == 0.25
    assert longest_motion([np.zeros((4, 4, 2))]) == 0.25


def clip(second=0.0, **frames) -> ClipInputs:
    return ClipInputs(second, second > 0, frames)


def test_arrows_point_where_things_move():
    """Everything moves 4 pixels down, the longest there is: arrows of one cell, drawn downwards."""
    field = np.tile(np.array([0.0, 4.0]), (6, 6, 1))
    figure = draw_inputs("title", [clip(md=field)], 96)
    quiver = figure.axes[0].collections[0]
    assert np.allclose(quiver.U, 0)
    assert np.allclose(quiver.V, 1)
    assert figure.axes[0].yaxis_inverted()  # rows of an image, so that positive y is down
    assert "up to\n4.0 of\n96 px" in "".join(text.get_text() for text in figure.texts)


def test_a_column_a_clip_and_a_row_an_input():
    rng = np.random.default_rng(0)
    frames = {
        "iframe": rng.integers(0, 255, (32, 32, 3)).astype(np.float32),
        "md": rng.normal(size=(4, 4, 2)),
        "rgb_r": np.full((16, 16, 3), 128.0),
        "log_mel": rng.normal(size=(40, 200, 1)),
    }
    clips = [clip(0.0, **frames), clip(2.5, **dict.fromkeys(frames)), clip(5.0, **frames)]
    figure = draw_inputs("title", clips, 64)
    assert len(figure.axes) == 3 * 4 + 1  # and the wheel of colours
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles == ["0.0 s", "2.5 s\nin the action", "5.0 s\nin the action"]
    missing = [axis for axis in figure.axes if [text.get_text() for text in axis.texts] == ["nothing"]]
    assert len(missing) == 4
    width, height, png = paint_inputs(InputsJob("title", clips, 64))
    assert (width, height) == (436, 540)
    assert len(png) < width * height
