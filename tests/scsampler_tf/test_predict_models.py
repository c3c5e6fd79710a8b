"""An exported model in this process: what it refuses becomes a sentence."""

import pytest
import tensorflow as tf

from pipelines.errors import UserError
from scsampler_tf.predict_models import local_model


class Old(tf.Module):
    """Takes no more clips than it was exported for."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "K")])
    def select_k(self, K):
        tf.debugging.assert_less_equal(K, 5, "K: this model chooses no more than 5 of a video")
        return {"indices": K}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def other(self, x):
        tf.debugging.assert_positive(x, "x: must be positive")
        return {"y": x}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder, module = tmp_path_factory.mktemp("old"), Old()
    needed = dict.fromkeys(("score", "select", "classify", "describe"), module.other)
    tf.saved_model.save(module, str(folder), signatures={"select_k": module.select_k, **needed})
    return local_model(folder)


def test_a_k_that_the_model_refuses(model):
    assert model("select_k", {"K": [5]})["indices"].tolist() == [5]
    with pytest.raises(UserError, match="no more than 5 of a video; or export the model again"):
        model("select_k", {"K": [6]})


def test_other_refusals_stay_those_of_one_video(model):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be positive"):
        model("score", {"x": [-1.0]})
