"""What some batches spend their time on, for TensorBoard's profiler plugin."""

from pathlib import Path

import keras

PROFILED = (2, 11)  # the first and last batch; the very first builds the graph


class Profiler(keras.callbacks.TensorBoard):
    """Keras' profiler without its charts, which the board has already.

    Beside the board's runs, not in them: TensorBoard follows one growing file a folder.
    """

    def __init__(self, folder: str | Path, batches: tuple[int, int] = PROFILED):
        super().__init__(Path(folder) / "profile", write_graph=False, profile_batch=batches)

    def on_epoch_end(self, epoch, logs=None):
        """Nothing: the scalars are the board's."""
