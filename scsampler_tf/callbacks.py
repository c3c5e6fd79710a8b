"""What happens after an epoch: exact validation, and checkpoints that appear whole or not at all."""

import math
from collections.abc import Callable
from pathlib import Path

import keras

from pipelines.errors import UserError
from pipelines.files import make_folder, read_json, write_json, written_whole

WEIGHTS = ".weights.h5"


class Validation(keras.callbacks.Callback):
    """Adds the values of `measure()` to the epoch's logs, as `val_...`.

    `fit`'s own validation drops or repeats the last batch under a distribution strategy; this is exact.
    """

    def __init__(self, measure: Callable[[], dict[str, float]]):
        super().__init__()
        self._measure = measure

    def on_epoch_end(self, epoch, logs=None):
        logs.update({f"val_{name}": value for name, value in self._measure().items()})


class BestModel(keras.callbacks.Callback):
    """Keeps the network with the highest `monitor` so far in `path`, and that value beside it.

    The value survives a restart, so that a resumed run does not replace a better network by a worse
    one. Without the monitored value (no validation videos) the last network is kept.
    """

    def __init__(self, network: keras.Model, path: Path, monitor: str):
        super().__init__()
        self._network, self._path, self._monitor = network, Path(path), monitor
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
        with written_whole(self._path) as temporary:
            self._network.save(temporary)
        self.best = value
        write_json(self._note, {"monitor": self._monitor, "value": value, "epoch": epoch + 1})


class Backup(keras.callbacks.Callback):
    """Writes model and optimizer after every epoch, so that `restore` goes on after the last whole one.

    One file holds both and its name the epoch, and it gets that name when it is whole: a kill at any
    moment leaves a usable state (Keras' own BackupAndRestore overwrites its only copy).
    """

    def __init__(self, folder: Path):
        super().__init__()
        self._folder = Path(folder)

    def on_epoch_end(self, epoch, logs=None):
        make_folder(self._folder)
        unfinished = self._folder / f"unfinished{WEIGHTS}"
        self.model.save_weights(unfinished, overwrite=True)
        unfinished.replace(self._folder / f"epoch_{epoch + 1:05d}{WEIGHTS}")
        for older in _backups(self._folder)[:-1]:
            older.unlink()


def restore(model: keras.Model, folder: Path) -> int:
    """Loads the newest backup into a compiled model and returns how many epochs it has seen; 0 without one.

    Call it within the strategy's scope.
    """
    backups = _backups(folder)
    if not backups:
        return 0
    model.optimizer.build(model.trainable_variables)
    try:
        model.load_weights(backups[-1])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{backups[-1]}: cannot be loaded ({error}); delete it to begin again") from None
    return int(backups[-1].name.removesuffix(WEIGHTS).removeprefix("epoch_"))


def _backups(folder: Path) -> list[Path]:
    return sorted(Path(folder).glob(f"epoch_*{WEIGHTS}"))


class StopOnNaN(keras.callbacks.Callback):
    """Ends training with one sentence when the loss is not a number any more."""

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        if loss is not None and math.isnan(loss):
            raise UserError(f"the loss is not a number at batch {batch + 1}; try a smaller learning rate")
