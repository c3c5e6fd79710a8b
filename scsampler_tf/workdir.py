"""Where everything of a run lies, and its configuration."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import make_folder, read_json, write_json
from pipelines.index import FeatureIndex, load_index
from scsampler_tf.config import SAMPLERS, ExperimentConfig, from_dict, to_dict


@dataclass(frozen=True)
class Workdir:
    """The folders of one run. `instead` has (model folder, score table) of networks that replace its own."""

    path: Path
    instead: dict[str, tuple[Path, Path]] = field(default_factory=dict)

    @property
    def features(self) -> Path:
        """The feature folder that `pipelines.prepare` writes."""
        return self.path / "features"

    @property
    def config_file(self) -> Path:
        """The run's configuration."""
        return self.path / "config.json"

    def model(self, kind: str) -> Path:
        """Folder of the classifier or of a sampler."""
        return self.instead[kind][0] if kind in self.instead else self.path / "models" / kind

    def table(self, kind: str) -> Path:
        """Score table of the classifier or of a sampler."""
        return self.instead[kind][1] if kind in self.instead else self.path / "scores" / f"{kind}.npz"

    def variant_model(self, name: str) -> Path:
        """Folder of a sampler that `scsampler_tf.variants` trains."""
        return self.path / "models" / "variants" / name

    def variant_table(self, name: str) -> Path:
        """Score table of such a sampler."""
        return self.path / "scores" / "variants" / f"{name}.npz"

    def jointly(self) -> "Workdir":
        """The same run with the samplers as joint training has left them."""
        models, tables = self.path / "models" / "joint", self.path / "scores" / "joint"
        joint = {kind: (models / kind, tables / f"{kind}.npz") for kind in SAMPLERS}
        return dataclasses.replace(self, instead={**self.instead, **joint})

    def with_network(self, kind: str, model: Path, table: Path) -> "Workdir":
        """The same run with another classifier or sampler, e.g. one that a search has trained."""
        return dataclasses.replace(self, instead={**self.instead, kind: (model, table)})

    @property
    def report(self) -> Path:
        """Tables and pictures."""
        return self.path / "report"

    def index(self, config: ExperimentConfig) -> FeatureIndex:
        """The features, which must have been made with the run's settings."""
        return load_index(self.features, config.features)


def open_workdir(path: str | Path) -> tuple[Workdir, ExperimentConfig]:
    """An existing run and its configuration."""
    workdir = Workdir(Path(path))
    if not workdir.config_file.is_file():
        raise UserError(f"{path}: no config.json here; begin a run with python -m scsampler_tf.experiment")
    return workdir, from_dict(read_json(workdir.config_file))


def claim_workdir(path: str | Path, config: ExperimentConfig) -> Workdir:
    """A folder for a run with this configuration; one begun with another configuration is refused."""
    workdir = Workdir(make_folder(path))
    if not is_claimed(path, config):
        write_json(workdir.config_file, to_dict(config))
    return workdir


def is_claimed(path: str | Path, config: ExperimentConfig) -> bool:
    """Whether the folder is a run with this very configuration, False where there is none yet.

    Writes nothing; raises `UserError` for a run that was begun with another configuration.
    """
    workdir = Workdir(Path(path))
    if workdir.config_file.exists():
        there = read_json(workdir.config_file)
        if not isinstance(there, dict):
            raise UserError(
                f"{workdir.config_file}: holds no configuration; delete it or use another --workdir"
            )
        # Read as any configuration: settings that it is too old to have are at their defaults.
        there = to_dict(from_dict(there))
        if there != to_dict(config):
            raise UserError(
                f"{path}: {_difference(there, to_dict(config))}; use another --workdir or the same settings"
            )
        return True
    return False


def _difference(there: dict, asked: dict, where: str = "") -> str:
    for key in sorted(set(there) | set(asked)):
        old, new = there.get(key), asked.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            return _difference(old, new, f"{where}{key}.")
        return f"was begun with {where}{key}={old}, now {new} is asked for"
    return "was begun with another configuration"
