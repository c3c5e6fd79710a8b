"""What a command would do: settings, versions and the stages that are left. Nothing is written."""

import json
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import file_digest
from pipelines.index import INDEX_NAME
from scsampler_tf.config import SAMPLERS, ExperimentConfig, to_dict
from scsampler_tf.versions import versions
from scsampler_tf.workdir import Workdir

DONE, TO_DO = "done", "to do"


def told(config: ExperimentConfig, **more) -> str:
    """The configuration and the versions in use as JSON, with `more` beside them."""
    return json.dumps({"config": to_dict(config), "versions": versions(), **more}, indent=2)


def experiment_stages(workdir: Workdir, config: ExperimentConfig, rows: int) -> dict[str, str]:
    """What is left of an experiment's stages, by the names under which it runs them.

    `rows` is how many videos the manifest lists. Without features it is not known yet whether there is
    sound.
    """
    from scsampler_tf.experiment import exported, has_sound

    index = workdir.index(config) if (workdir.features / INDEX_NAME).exists() else None
    ready = index is not None and rows == len(index.videos) + len(index.refused)
    stages = {"prepare": DONE if ready else TO_DO}
    for kind in ("classifier", *SAMPLERS):
        if kind == "audio" and index is not None and not has_sound(index):
            continue
        trained = training_state(workdir.model(kind))
        stages[f"train {kind}"] = trained
        stages[f"score {kind}"] = DONE if trained == DONE and _is_scored(kind, workdir) else TO_DO
    stages["evaluate"] = "done again every time"
    stages["export"] = DONE if exported(workdir) else TO_DO
    stages["timeline"] = DONE if (workdir.report / "timeline.png").exists() else TO_DO
    return stages


def training_state(folder: Path) -> str:
    """Whether the training in a model folder is done, to do, or goes on, and after which epoch."""
    from scsampler_tf.callbacks import kept
    from scsampler_tf.model_folder import is_finished

    if is_finished(folder):
        return DONE
    seen = kept(folder / "backup")
    if not any(seen):
        return TO_DO
    return f"goes on after epoch {seen.epochs}" + (f" and {seen.steps} steps" if seen.steps else "")


def _is_scored(kind: str, workdir: Workdir) -> bool:
    from scsampler_tf.model_folder import NETWORK_NAME
    from scsampler_tf.tables import load_table

    path = workdir.table(kind)
    try:
        network = load_table(path).made_by.get("network") if path.exists() else None
    except UserError:  # damaged: the stage makes it anew
        return False
    return network == file_digest(workdir.model(kind) / NETWORK_NAME)[:16]
