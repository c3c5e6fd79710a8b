"""Which requests a video is asked about in."""

import numpy as np
import pytest

from scsampler_tf import predict as predict_module
from scsampler_tf.predict import predict
from tests.tiny_set import CLIPS


@pytest.mark.parametrize("k", [None, 2])
def test_two_requests_answer_as_many_do(tiny_run, tiny_model, monkeypatch, k):
    video = tiny_run.manifest.parent / "left_1.mp4"
    asked = []

    def call(signature, inputs):
        asked.append(signature)
        return tiny_model(signature, inputs)

    many, few = predict(video, call, k), predict(video, call, k, few=True)
    suffix = "" if k is None else "_k"
    assert asked[:4] == ["describe", "score", f"select{suffix}", "classify"]
    assert asked[4:] == ["describe", f"sample{suffix}", "classify"]
    assert few.moments == many.moments
    assert few.to_dict() == many.to_dict()
    for name in ("visual", "audio", "fused"):
        np.testing.assert_allclose(getattr(few, name), getattr(many, name), atol=1e-6)
    asked.clear()
    monkeypatch.setattr(predict_module, "CLIPS_AT_ONCE", CLIPS)  # a whole group: another might follow
    predict(video, call, few=True)
    assert "sample" not in asked
