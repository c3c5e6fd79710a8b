"""Settings that `tuning.search` found, as a file for --config: a configuration, and the networks with which
it was found. Files of settings without networks are read as ever."""

import argparse
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.files import file_digest
from scsampler_tf.config import SAMPLERS, ExperimentConfig, from_dict, with_settings
from scsampler_tf.config_file import read_settings
from scsampler_tf.train import run_config
from scsampler_tf.workdir import Workdir

NETWORKS, FOUND = "networks", "found"
LEFT_OUT = Path("tuning") / "left_out"  # holds nothing: a sampler there is none


def found_in(path: str | Path | None) -> dict[str, Any] | None:
    """What a file of `tuning.search` holds; None for any other file of settings, and without a file."""
    values = read_settings(path) if path else {}
    return values if isinstance(values.get(NETWORKS), dict) else None


def configured_run(args: argparse.Namespace, networks: bool = False) -> tuple[Workdir, ExperimentConfig]:
    """`train.run_config`, where --config may be a file of `tuning.search`: then with its samplers.

    `networks` says whether they are run again; their scores are enough otherwise.
    """
    found = found_in(args.config)
    if found is None:
        return run_config(args)
    plain = argparse.Namespace(**{**vars(args), "config": None, "set": []})
    workdir, config = apply_found(*run_config(plain), found, args.config, networks)
    return workdir, with_settings(config, args.set)


def apply_found(
    workdir: Workdir, config: ExperimentConfig, found: dict, path: str | Path, networks: bool = False
) -> tuple[Workdir, ExperimentConfig]:
    """The run with the settings and samplers of `found`, which is what the file `path` holds, and with no
    others.

    Raises `UserError` where they are not in this run, or not as they were when they were found.
    """
    settings = {name: value for name, value in found.items() if name not in (NETWORKS, FOUND)}
    try:
        config = from_dict(settings, config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    for kind, place in found[NETWORKS].items():
        if not isinstance(place, dict) or not isinstance(place.get("digest"), str):
            raise UserError(f"{path}: says nothing of its network {kind}; run python -m tuning.search again")
        if "folder" in place:
            folder, table = (workdir.path / _text(place, name, kind, path) for name in ("folder", "table"))
            workdir = workdir.with_network(kind, folder, table)
        _require(workdir, kind, place["digest"], path, networks)
    for kind in (each for each in SAMPLERS if each not in found[NETWORKS]):
        # One that the run has got since would change what is chosen.
        nowhere = workdir.path / LEFT_OUT / kind
        workdir = workdir.with_network(kind, nowhere, nowhere.with_suffix(".npz"))
    return workdir, config


def _text(place: dict, name: str, kind: str, path: str | Path) -> str:
    if not isinstance(place.get(name), str):
        raise UserError(f"{path}: {NETWORKS}.{kind}.{name} is no path; run python -m tuning.search again")
    return place[name]


def _require(workdir: Workdir, kind: str, digest: str, path: str | Path, networks: bool) -> None:
    from scsampler_tf.model_folder import ABOUT_NAME, NETWORK_NAME
    from scsampler_tf.tables import load_table

    folder, table = workdir.model(kind), workdir.table(kind)
    if not ((folder / ABOUT_NAME).is_file() and table.is_file()):
        raise UserError(f"{path}: its network {kind} is not in this run; run python -m tuning.search on it")
    if load_table(table).made_by.get("network") != digest:
        raise UserError(
            f"{path}: was found with another network {kind} than that of {table}; run python -m "
            "tuning.search again"
        )
    if not networks:
        return
    searched, network = kind in workdir.instead, folder / NETWORK_NAME
    same = network.is_file() and file_digest(network)[:16] == digest
    if not same and (searched or not network.is_file()):
        raise UserError(
            f"{path}: of its network {kind} only the scores were kept; train it again with python -m "
            f"tuning.search --workdir {workdir.path} --restore {path}"
        )
    if not same:
        raise UserError(
            f"{path}: was found with another network {kind} than that in {folder}; score it again, then run "
            "python -m tuning.search again"
        )
