"""Event files of a training: one TensorBoard run a folder, opened when first written to."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.image import metadata

from scsampler_tf.board.guard import Guard
from scsampler_tf.board.painter import Painter
from scsampler_tf.board.panel import SETTINGS


class Log:
    """Writes into `folder`, runs into folders below it; calls may raise what writing files raises.

    Steps are epochs that were done, so that 0 is before the training.
    """

    def __init__(self, folder: str | Path, guard: Guard, apart: bool = True):
        self._folder, self.guard = Path(folder), guard
        self._painter = Painter(guard, apart)
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        self._opening = threading.Lock()
        self.is_new = not any(self._folder.rglob("*.tfevents.*"))
        """No training has written here before."""

    def scalar(self, run: str, tag: str, value: float, step: int) -> None:
        """A point of a chart; runs that share a tag share the chart."""
        with self._writer(run).as_default():
            tf.summary.scalar(tag, value, step=step)

    def picture(
        self,
        run: str,
        tag: str,
        step: int,
        function: Callable[[Any], Any],
        job: Any,
        png: Callable[[Any], tuple[int, int, bytes]] = tuple,
    ) -> None:
        """The picture that `png(function(job))` is (width, height, file), made while the training goes on.

        `function` runs in another process, so its module must not need TensorFlow.
        """
        self._painter.submit(tag, function, job, lambda result: self._write_png(run, tag, step, png(result)))

    def protocol(self, message) -> None:
        """A `Summary` message of a TensorBoard plugin, into the run of the settings."""
        with self._writer(SETTINGS).as_default():
            tf.summary.experimental.write_raw_pb(message.SerializeToString(), step=0)

    def flush(self) -> None:
        """Lets TensorBoard see what was written."""
        for writer in list(self._writers.values()):
            writer.flush()

    def close(self) -> None:
        """Finishes the pictures and ends the files; a later call opens new ones beside them."""
        self._painter.close()
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.close()

    def abandon(self) -> None:
        """Ends the files without the pictures that are not made yet."""
        self._painter.abandon()
        self.close()

    def _write_png(self, run: str, tag: str, step: int, png: tuple[int, int, bytes]) -> None:
        width, height, data = png
        about = metadata.create_summary_metadata(display_name=None, description="")
        writer = self._writer(run)
        with writer.as_default():
            tf.summary.write(tag, tf.stack([str(width), str(height), data]), step=step, metadata=about)
        writer.flush()

    def _writer(self, run: str) -> tf.summary.SummaryWriter:
        with self._opening:
            if run not in self._writers:
                self._writers[run] = tf.summary.create_file_writer(str(self._folder / run))
            return self._writers[run]
