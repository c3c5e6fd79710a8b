"""Networks of found samplers that were not kept, trained again."""

import dataclasses
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import write_json
from scsampler_tf.config import ExperimentConfig, SamplerConfig
from scsampler_tf.found_settings import NETWORKS, found_in
from scsampler_tf.model_folder import NETWORK_NAME
from scsampler_tf.workdir import Workdir
from tuning.samplers import Place, lock_of, train_and_score


def restore(workdir: Workdir, config: ExperimentConfig, path: str | Path, workers: int, quiet: bool) -> list:
    """Trains what the settings file `path` needs and only the scores are kept of; returns the folders.

    The digests in the file become those of the new networks. Raises `UserError` for any other file.
    """
    found = found_in(path)
    if found is None:
        raise UserError(f"{path}: names no networks; give a file that python -m tuning.search has written")
    restored = []
    for kind, where in found[NETWORKS].items():
        if not isinstance(where, dict) or "folder" not in where:
            continue
        place = Place(Path(where["folder"]), Path(where.get("table", "")))
        folder = workdir.path / place.folder
        if not folder.parent.is_dir() or not isinstance(found.get(kind), dict):
            raise UserError(
                f"{path}: its network {kind} is not in this run; run python -m tuning.search on it"
            )
        if (folder / NETWORK_NAME).exists():
            continue
        sampler = SamplerConfig(**found[kind])
        changed = dataclasses.replace(config, **{kind: sampler})
        with lock_of(folder.parent):
            table = train_and_score(workdir, changed, kind, place, workers, quiet)
        where["digest"] = table.made_by["network"]
        write_json(path, found)
        restored.append(folder)
    return restored
