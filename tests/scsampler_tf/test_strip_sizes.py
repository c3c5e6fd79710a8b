"""What headers of pictures say, for strips of up to three pictures of eight pixels."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from scsampler_tf.strip_sizes import require_strips
from tests.scsampler_tf.graphs import servable

COUNT, SIZE = 3, 8


def picture(height: int, width: int, form: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(stream, form)
    return stream.getvalue()


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    def check(data):
        return require_strips(data, COUNT, SIZE, "clips")

    return servable(check, [tf.TensorSpec([None], tf.string)], tmp_path_factory.mktemp("graph"))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_strips_that_fit_are_passed_on(graph, form):
    data = [b"", *(picture(count * SIZE, SIZE, form) for count in (1, 2, 3))]
    assert graph(tf.constant(data)).numpy().tolist() == data
    assert graph(tf.constant([], tf.string)).numpy().tolist() == []
    assert graph(tf.constant([b""])).numpy().tolist() == [b""]


def stating(side: int) -> bytes:
    """A JPEG that states a square of `side` pixels and holds next to nothing."""
    data = bytearray(picture(SIZE, SIZE))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = side.to_bytes(2, "big") * 2
    return bytes(data)


WRONG = {
    "too wide": picture(SIZE, 2 * SIZE),
    "too narrow": picture(SIZE, SIZE // 2),
    "not whole pictures": picture(SIZE + 1, SIZE),
    "too low": picture(SIZE // 2, SIZE),
    "too many pictures": picture(4 * SIZE, SIZE),
    "a wide PNG": picture(SIZE, 2 * SIZE, "PNG"),
    "a GIF": picture(SIZE, SIZE, "GIF"),
    "a bitmap": picture(SIZE, SIZE, "BMP"),
    "a cut PNG": picture(SIZE, SIZE, "PNG")[:20],
    "text": b"no picture",
    "a byte": b"\xff",
    "as wide as the same pixels": picture(1, SIZE * SIZE),
    "81 million pixels": stating(9000),
}


@pytest.mark.parametrize("case", WRONG)
def test_any_other_is_refused(graph, case):
    said = "clips: strips must be JPEG or PNG, 8 pixels wide and 1 to 3 times as high"
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        graph(tf.constant([picture(SIZE, SIZE), WRONG[case]]))


def test_a_jpeg_that_ends_in_its_header(graph):
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG"):
        graph(tf.constant([picture(SIZE, SIZE)[:30]]))
