"""TensorBoard's HParams page: a training's settings, and the numbers of its best epoch."""

from pathlib import Path

from tensorboard.plugins.hparams import api_pb2, summary, summary_v2

from pipelines.files import read_json
from scsampler_tf.board.log import Log
from scsampler_tf.board.panel import SETTINGS, VALIDATION, Panel
from scsampler_tf.board.scalars import best_of, chart_of

FILES = ("weights",)  # settings that are paths, of which the name is enough


class Settings(Panel):
    """One row of the page. Beside the numbers of the last epoch, which TensorBoard takes from the charts,
    it has those of the epoch whose network is kept, as `best/...`.

    `folder` is that of the network, `monitor` the value by which its best epoch is chosen.
    """

    name = "settings"

    def __init__(self, settings: dict, monitor: str, folder: Path):
        self._settings, self._monitor = plain(settings), monitor
        self._kept = Path(folder) / "best.json"
        # Trainings with the same settings are rows of their own, unless one goes on with the other.
        self._trial = trial_of(folder)
        self._best: float | None = None

    def begin(self, log: Log) -> None:
        if self._kept.is_file():
            self._best = read_json(self._kept)["value"]
        log.protocol(summary_v2.hparams_pb(self._settings, trial_id=self._trial))

    def after_epoch(self, log: Log, epoch: int, logs: dict[str, float]) -> None:
        value = logs.get(self._monitor)
        if not best_of(value, self._best):
            return
        self._best = value
        log.scalar(SETTINGS, "best/epoch", epoch, epoch)
        for name, measured in logs.items():
            run, tag, sign = chart_of(name)
            if run == VALIDATION:
                log.scalar(SETTINGS, f"best/{tag.rsplit('/', 1)[-1]}", sign * float(measured), epoch)

    def end(self, log: Log) -> None:
        log.protocol(summary.session_end_pb(api_pb2.STATUS_SUCCESS))


def trial_of(folder: Path) -> str:
    """What a row is called: the run and the network, as in quickstart/md."""
    parts = Path(folder).resolve().parts[-3:]
    return "/".join(part for part in parts if part != "models")


def plain(settings: dict) -> dict:
    """Settings as the page takes them: numbers, truth values and texts; those without a value left out."""
    values = {}
    for name, value in settings.items():
        if name in FILES and value:
            value = Path(value).name
        if value is not None:
            values[name] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return values
