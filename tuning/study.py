"""What all trials of a search share: the run, its validation scores and its audio samplers."""

from pipelines.errors import UserError
from scsampler_tf.config import SAMPLERS, ExperimentConfig
from scsampler_tf.evaluate import network_costs
from scsampler_tf.evaluation_set import load_tables
from scsampler_tf.model_folder import ABOUT_NAME
from scsampler_tf.workdir import Workdir
from tuning.assess import Assessment, assess
from tuning.hparams import METRICS
from tuning.margins import AudioSamplers, Place, own_sampler, train_and_score
from tuning.report import Row
from tuning.spaces import Setting, Space


class Study:
    """A run that is being searched. Raises `UserError` for a run without scored validation videos."""

    def __init__(self, workdir: Workdir, config: ExperimentConfig, workers: int, quiet: bool):
        tables = load_tables(workdir)
        for kind in ("classifier", *(kind for kind in SAMPLERS if kind in tables)):
            if not (workdir.model(kind) / ABOUT_NAME).exists():
                raise UserError(f"{workdir.model(kind)}: no trained network, but its scores are there")
        self.workdir = workdir
        self.made_by = {kind: table.made_by for kind, table in tables.items()}
        self.quiet, self._workers = quiet, workers
        self._costs = network_costs(workdir)
        own = own_sampler(workdir) if "audio" in tables else None
        self.own_margin = own.margin if own and own.objective == "sal_rank" else None
        self.samplers = AudioSamplers(workdir, config, tables, own, self._train)
        self.validation = self.samplers.validation(None)

    def _train(self, config: ExperimentConfig, place: Place):
        if not self.quiet and not (self.workdir.path / place.table).exists():
            print(
                f"training the audio sampler with margin {config.audio.margin:g}: {place.folder}", flush=True
            )
        return train_and_score(self.workdir, config, place, self._workers, self.quiet)

    def assess(self, setting: Setting) -> Assessment:
        """What a setting gives on the validation videos; trains its audio sampler when that is missing."""
        return assess(self.samplers.validation(setting.margin), setting.selection, self._costs)

    def metrics(self, setting: Setting) -> dict[str, float]:
        """The same as the metrics of a trial, by their public names."""
        found = self.assess(setting)
        return {shown: getattr(found, name) for name, shown in METRICS.items()}


def row_of(trial, space: Space) -> Row:
    """A Keras Tuner trial that is done, numbered from 1."""
    found = {name: trial.metrics.get_best_value(shown) for name, shown in METRICS.items()}
    setting = space.setting(trial.hyperparameters.values)
    return Row(f"{int(trial.trial_id) + 1:03d}", setting, Assessment(**found))
