"""Networks of found samplers that were not kept, trained again."""

import dataclasses
import re
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import file_digest, write_json
from pipelines.folder_lock import only_writer, writer_in_turn
from scsampler_tf.config import SAMPLERS, ExperimentConfig, from_dict
from scsampler_tf.found_settings import NETWORKS, found_in
from scsampler_tf.model_folder import NETWORK_NAME, is_finished
from scsampler_tf.tables import load_table
from scsampler_tf.workdir import Workdir
from tuning.samplers import SAMPLERS_NAME, Place, train_and_score


def restore(workdir: Workdir, config: ExperimentConfig, path: str | Path, workers: int, quiet: bool) -> list:
    """Trains what the settings file `path` needs and only the scores are kept of; returns the folders.

    The digests in the file, and in all others that the search has written for the same samplers, become
    those of the new networks. Raises `UserError` for any other file.
    """
    found = found_in(path)
    if found is None:
        raise UserError(f"{path}: names no networks; give a file that python -m tuning.search has written")
    wanted = {kind: _place(kind, where, path) for kind, where in found[NETWORKS].items()}
    wanted = {kind: place for kind, place in wanted.items() if place is not None}
    configs = {kind: _config(workdir, config, found, kind, place, path) for kind, place in wanted.items()}
    if not wanted:
        return []
    restored = []
    with only_writer(workdir.path / SAMPLERS_NAME.parent):
        for kind, place in wanted.items():
            with writer_in_turn((workdir.path / place.table).parent):
                digest = _scored_network(workdir, place)
                if digest is None:
                    table = train_and_score(workdir, configs[kind], kind, place, workers, quiet)
                    digest = table.made_by["network"]
                    restored.append(workdir.path / place.folder)
            _note(workdir, path, kind, place, digest)
    return restored


def _place(kind: str, where: object, path: str | Path) -> Place | None:
    """Where a sampler of a search lies; None for a network of the run's own.

    What lies there may be deleted and trained anew, so the file may name nothing but samplers of searches.
    """
    if not isinstance(where, dict) or "folder" not in where:
        return None
    folder, table = where["folder"], where.get("table")
    name = re.fullmatch(rf"{SAMPLERS_NAME.as_posix()}/(\w[\w.-]*)/network", str(folder))
    if kind not in SAMPLERS or name is None or table != f"{SAMPLERS_NAME.as_posix()}/{name[1]}/scores.npz":
        raise UserError(
            f"{path}: its network {kind} does not lie where python -m tuning.search trains samplers; give a "
            "file that it has written"
        )
    return Place(Path(folder), Path(table))


def _config(workdir: Workdir, config: ExperimentConfig, found: dict, kind: str, place: Place, path):
    """The run's configuration with the sampler `kind` as the file says that it was trained."""
    if not (workdir.path / place.folder).parent.is_dir() or not isinstance(found.get(kind), dict):
        raise UserError(f"{path}: its network {kind} is not in this run; run python -m tuning.search on it")
    try:
        changed = from_dict({kind: found[kind]}, config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return dataclasses.replace(config, **{kind: getattr(changed, kind)})


def _scored_network(workdir: Workdir, place: Place) -> str | None:
    """The digest of a finished network whose scores are there; None where anything of it is missing.

    A training writes its network at every better epoch, so that a network alone says nothing.
    """
    folder = workdir.path / place.folder
    if not is_finished(folder):
        return None
    digest = file_digest(folder / NETWORK_NAME)[:16]
    try:
        table = load_table(workdir.path / place.table)
    except UserError:
        return None
    return digest if table.made_by.get("network") == digest else None


def _note(workdir: Workdir, path: str | Path, kind: str, place: Place, digest: str) -> None:
    """Writes the digest into all settings files that need this network, the asked one last."""
    tuning = workdir.path / SAMPLERS_NAME.parent
    others = [tuning / "best.json", tuning / "knee.json", *sorted((tuning / "front").glob("*.json"))]
    for file in [*(other for other in others if other.is_file()), path]:
        content = found_in(file)
        where = content[NETWORKS].get(kind) if content else None
        same = isinstance(where, dict) and where.get("folder") == place.folder.as_posix()
        if same and where.get("digest") != digest:
            where["digest"] = digest
            write_json(file, content)
