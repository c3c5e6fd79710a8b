"""What happens after an epoch: exact validation, and checkpoints that appear whole or not at all."""

import csv
import io
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from pipelines.errors import UserError
from pipelines.files import make_folder, read_json, write_json, write_text, written_whole
from pipelines.index import VideoRecord

WEIGHTS = ".weights.h5"


class Validation(keras.callbacks.Callback):
    """Adds the values of `measure()` to the epoch's logs, as `val_...`."""

    def __init__(self, measure: Callable[[], dict[str, float]]):
        super().__init__()
        self._measure = measure

    def on_epoch_end(self, epoch, logs=None):
        logs.update({f"val_{name}": value for name, value in self._measure().items()})


class BestModel(keras.callbacks.Callback):
    """Keeps the network with the highest `monitor` so far in `path`, and that value beside it.

    The value survives a restart, so that a resumed run does not replace a better network by a worse
    one. Without the monitored value (no validation videos) the last network is kept. Of several processes
    one `writes`.
    """

    def __init__(self, network: keras.Model, path: Path, monitor: str, writes: bool = True):
        super().__init__()
        self._network, self._path, self._monitor, self._writes = network, Path(path), monitor, writes
        self._note = self._path.with_suffix(".json")
        known = self._path.exists() and self._note.exists()
        self.best = read_json(self._note)["value"] if known else None

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self._monitor)
        if value is not None and math.isnan(value):
            raise UserError(
                f"{self._monitor} is not a number after epoch {epoch + 1}; try a smaller learning rate"
            )
        if value is not None and self.best is not None and not value > self.best:
            return
        self.best = value
        if not self._writes:
            return
        with written_whole(self._path) as temporary:
            self._network.save(temporary)
        write_json(self._note, {"monitor": self._monitor, "value": value, "epoch": epoch + 1})


class Seen(NamedTuple):
    """How far a training has come: whole epochs, and steps of the next one."""

    epochs: int = 0
    steps: int = 0

    def steps_before(self, epoch: int) -> int:
        """How many steps of an epoch were done before the training went on with it."""
        return self.steps if epoch == self.epochs else 0


class Backup(keras.callbacks.Callback):
    """Writes model and optimizer after every epoch, so that `restore` goes on after the last whole one.

    One file holds both and its name how far the training has come, and it gets that name when it is whole:
    a kill at any moment leaves a usable state (Keras' own BackupAndRestore overwrites its only copy).
    `seen` is where the training goes on. Of several processes one `writes`.
    """

    def __init__(self, folder: Path, seen: Seen = Seen(), writes: bool = True):  # noqa: B008 (it cannot change)
        super().__init__()
        self._folder, self._seen, self._epoch, self._writes = Path(folder), seen, 0, writes

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self._write(f"epoch_{epoch + 1:05d}{WEIGHTS}")

    def step(self, batch: int) -> int:
        """How many steps of the epoch are done after a batch of this number."""
        return self._seen.steps_before(self._epoch) + batch + 1

    def write(self, batch: int) -> None:
        """Writes the state within an epoch, after a batch."""
        self._write(f"epoch_{self._epoch:05d}_step_{self.step(batch):07d}{WEIGHTS}")

    def write_before_validation(self, steps: int) -> None:
        """Writes the state after all steps of an epoch."""
        self._write(f"epoch_{self._epoch:05d}_step_{steps:07d}{WEIGHTS}")

    def _write(self, name: str) -> None:
        if not self._writes:
            return
        make_folder(self._folder)
        unfinished = self._folder / f"unfinished{WEIGHTS}"
        try:
            self.model.save_weights(unfinished, overwrite=True)
            unfinished.replace(self._folder / name)
        finally:
            unfinished.unlink(missing_ok=True)  # half of it would take room that is lacking
        for older in _backups(self._folder)[:-1]:
            older.unlink()


def restore(model: keras.Model, folder: Path) -> Seen:
    """Loads the newest backup, if any, into a compiled model and returns how far it has come.

    Call it within the strategy's scope.
    """
    backups = _backups(folder)
    if not backups:
        return Seen()
    model.optimizer.build(model.trainable_variables)
    try:
        model.load_weights(backups[-1])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{backups[-1]}: cannot be loaded ({error}); delete it to begin again") from None
    return kept(folder)


def kept(folder: Path) -> Seen:
    """How far the newest backup in a folder has come."""
    backups = _backups(folder)
    if not backups:
        return Seen()
    epochs, _, steps = backups[-1].name.removesuffix(WEIGHTS).removeprefix("epoch_").partition("_step_")
    return Seen(int(epochs), int(steps or 0))


def _backups(folder: Path) -> list[Path]:
    # By name: within an epoch comes after its beginning, which is the end of the one before.
    return sorted(Path(folder).glob(f"epoch_*{WEIGHTS}"))


class History(keras.callbacks.Callback):
    """Keeps the values of all epochs in a CSV that is whole at every moment; no epoch is there twice."""

    def __init__(self, path: Path):
        super().__init__()
        self._path = Path(path)

    def on_epoch_end(self, epoch, logs=None):
        rows = [row for row in read_history(self._path) if int(row["epoch"]) < epoch]
        rows.append({"epoch": epoch, **{name: (logs or {})[name] for name in sorted(logs or {})}})
        columns = dict.fromkeys(name for row in rows for name in row)
        text = io.StringIO()
        table = csv.DictWriter(text, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_text(self._path, text.getvalue())


def read_history(path: Path) -> list[dict[str, str]]:
    """The values of a training's epochs, in order; none where there is no such file yet."""
    if not Path(path).exists():
        return []
    with Path(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


class EpochSeeds(keras.callbacks.Callback):
    """What the dropout of an epoch draws follows from the seed and the epoch's number alone.

    Keras keeps the state of its random numbers with the layers but not in their weights' file.
    """

    def __init__(self, network: keras.Model, seed: int, seen: Seen = Seen()):  # noqa: B008
        super().__init__()
        self._layers = [layer for layer in network.layers if hasattr(layer, "seed_generator")]
        self._seed, self._seen = seed, seen

    def on_epoch_begin(self, epoch, logs=None):
        for layer in self._layers:
            own = zlib.crc32(f"{self._seed}/{layer.name}/{epoch}".encode())
            # The second number counts what has been drawn, once a step.
            layer.seed_generator.state.assign([own, self._seen.steps_before(epoch)])


class StopOnNaN(keras.callbacks.Callback):
    """Ends training with one sentence when the loss is not a number any more, or beyond all of them.

    `batch_videos(epoch, batch)` gives the videos of a batch, which are named. What was kept after the last
    whole epoch stays as it is.
    """

    def __init__(self, batch_videos: Callable[[int, int], list[VideoRecord]], seen: Seen = Seen()):  # noqa: B008
        super().__init__()
        self._batch_videos, self._seen, self._epoch = batch_videos, seen, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        batch += self._seen.steps_before(self._epoch)
        names = dict.fromkeys(video.path for video in self._batch_videos(self._epoch, batch))
        raise UserError(
            f"the loss is not a number at batch {batch + 1} of epoch {self._epoch + 1}, which holds clips of "
            f"{', '.join(names)}; look at these videos, or try a smaller learning rate"
        )
