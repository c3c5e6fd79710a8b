"""Networks take any sizes that their strides allow, and the same weights fit all of them."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_networks import example, output, thin

SMALLEST = {
    "mc4_18": (2, 16, 16),
    "csn_small": (4, 16, 16),
    "i3d": (1, 1, 1),
    "resnet_small": (4, 4),
    "shufflenet_26": (4, 4),
}
CHANNELS = {"resnet_small": 2, "shufflenet_26": 2}
cached = cache(thin)


@pytest.mark.parametrize("name", SMALLEST)
@settings(max_examples=4, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_size_that_the_strides_allow(name, data):
    sizes = [data.draw(st.integers(least, least + 19)) for least in SMALLEST[name]]
    model, other = cached(name, input_shape=(*sizes, CHANNELS.get(name, 3))), cached(name)
    assert [weight.shape for weight in model.weights] == [weight.shape for weight in other.weights]
    logits = output(model, example(model, 2))
    assert logits.shape == (2, 3)
    assert np.isfinite(logits).all()
