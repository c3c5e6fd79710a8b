import keras
import numpy as np

from scsampler_tf.board.profiler import Profiler
from tests.scsampler_tf.board.events import runs_of


def test_a_profile_is_written_and_no_chart(tmp_path):
    """Batches 2 and 3 of a loop that calls what the training's loop calls."""
    model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    profiler = Profiler(tmp_path, (2, 3))
    profiler.set_model(model)
    profiler.on_train_begin()
    profiler.on_epoch_begin(0)
    for batch in range(4):
        profiler.on_train_batch_begin(batch)
        model.train_on_batch(np.zeros([4, 2]), np.zeros([4, 1]))
        profiler.on_train_batch_end(batch, {"loss": 0.5})
    profiler.on_epoch_end(0, {"loss": 0.5, "val_chosen_score": 0.5})
    profiler.on_train_end()
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
    for run in runs_of(tmp_path).values():
        assert not [tag for tag in run.tags if run.plugin(tag).plugin_name == "scalars"]
