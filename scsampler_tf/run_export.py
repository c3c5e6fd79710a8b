"""A run as an exported model, made when it is first asked for and kept in the run's folder."""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import file_digest
from scsampler_tf.config import SAMPLERS, ExperimentConfig
from scsampler_tf.found_settings import configured_run
from scsampler_tf.versions import versions
from scsampler_tf.workdir import Workdir, open_workdir

FOLDER = "exports"
EXPORT_FORMAT = 1  # one more whenever an export answers or is laid out otherwise than before
KEEP = 3  # exports, those used last


def exported_with(path: str | Path, settings: str | Path | None) -> Path:
    """`exported_run` of the run in the folder `path` with the settings of a file, if any."""
    open_workdir(path)  # a folder that is no run shall not become one
    asked = argparse.Namespace(workdir=str(path), preset=None, config=settings, set=[], workers=0)
    return exported_run(*configured_run(asked, networks=True))


def exported_run(workdir: Workdir, config: ExperimentConfig) -> Path:
    """The folder of the exported model of these networks and settings, `WORKDIR/exports/DIGEST`."""
    from scsampler_tf.export import export
    from scsampler_tf.model_folder import NETWORK_NAME, is_finished
    from scsampler_tf.serving.model_base import versions_on_disk

    kinds = [kind for kind in ("classifier", *SAMPLERS) if is_finished(workdir.model(kind))]
    if "classifier" not in kinds:
        raise UserError(f"{workdir.path}: no trained classifier; run python -m scsampler_tf.train classifier")
    key = {
        "networks": {kind: file_digest(workdir.model(kind) / NETWORK_NAME) for kind in kinds},
        "selection": dataclasses.asdict(config.selection),
        "features": dataclasses.asdict(config.features),
        "resize": config.classifier.resize,
        "made_by": [EXPORT_FORMAT, versions()["scsampler-tf"]],
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folder = workdir.path / FOLDER / name
    if not versions_on_disk(folder):
        export(workdir, config, name, folder.parent, once=True)
    os.utime(folder)
    _forget_oldest(folder.parent)
    return folder


def _forget_oldest(base: Path) -> None:
    made = {}
    for path in base.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process does the same
            made[path] = path.stat().st_mtime
    for path in sorted(made, key=lambda path: -made[path])[KEEP:]:
        shutil.rmtree(path, ignore_errors=True)
