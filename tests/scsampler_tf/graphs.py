"""Functions as graphs with unknown sizes, and a check that a stock server could run them."""

import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from scsampler_tf.export import scan_graph


def servable(function, signature: list[tf.TensorSpec], folder):
    """The function traced for this signature; fails where its graph holds what a stock server lacks."""
    traced = tf.function(function, input_signature=signature)
    saved = SavedModel()
    saved.meta_graphs.add().graph_def.CopyFrom(traced.get_concrete_function().graph.as_graph_def())
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    scan_graph(folder)
    return traced
