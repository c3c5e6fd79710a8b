"""Scores the samplers of another run on this run's videos, for table 3 of the paper.

Other runs go by the name of their folder. One is known again by where it lies, or, when it was moved or
copied, by its networks; a second one whose folder has the same name gets a name of its own.
"""

import hashlib
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import file_digest, make_folder, read_json, write_json
from scsampler_tf.config import SAMPLERS, ExperimentConfig
from scsampler_tf.workdir import Workdir, open_workdir

TRANSFER = "transfer"


def make_transfer(
    other: str | Path, workdir: Workdir, config: ExperimentConfig, quiet: bool = False
) -> list[Path]:
    """Scores the samplers of another run on this run's videos; returns the tables.

    Raises `UserError` for a run whose features were made with other settings, or without samplers.
    """
    from scsampler_tf.model_folder import NETWORK_NAME, is_finished
    from scsampler_tf.score import score

    there, their = open_workdir(other)
    if there.path.resolve() == workdir.path.resolve():
        raise UserError(f"--other {other}: is this very run; give another one")
    kinds = [kind for kind in SAMPLERS if is_finished(there.model(kind))]
    if not kinds:
        raise UserError(f"{other}: has no trained sampler; train one with python -m scsampler_tf.train")
    index = workdir.index(config)
    known = {
        "place": hashlib.sha256(str(there.path.resolve()).encode()).hexdigest()[:8],
        "networks": {kind: file_digest(there.model(kind) / NETWORK_NAME)[:16] for kind in kinds},
    }
    notes = notes_of_others(workdir)
    name = name_of(there.path.resolve().name, known, notes)
    note = _note_path(name, workdir)
    if notes.get(name, known)["networks"] != known["networks"]:
        note.unlink()  # trained anew: it must not describe tables of both
    make_folder(note.parent)
    paths = [transfer_table(name, kind, workdir) for kind in kinds]
    for kind, path in zip(kinds, paths, strict=True):
        score(kind, index, there.model(kind), path, workers=0, quiet=quiet, other_labels=True)
    samplers = {kind: _costs(there.model(kind)) for kind in kinds}
    about = {"run": name, **known, "classifier": their.classifier.arch, "samplers": samplers}
    write_json(note, {**about, **_in_common(there.model(kinds[0]), workdir, index)})
    return paths


def transfer_table(name: str, kind: str, workdir: Workdir) -> Path:
    """The score table of sampler `kind` of the run called `name`."""
    return workdir.variant_table(f"{TRANSFER}-{name}-{kind}")


def notes_of_others(workdir: Workdir) -> dict[str, dict]:
    """By name, what is noted of every run whose samplers were scored here."""
    folder = workdir.variant_table(TRANSFER).parent
    notes = [read_json(path) for path in sorted(folder.glob(f"{TRANSFER}-*.json"))]
    # Notes of old do not say where a run lies and which networks it had: it is no run that is known again.
    return {note["run"]: {"place": "", "networks": {}, **note} for note in notes}


def name_of(folder: str, known: dict, notes: dict[str, dict]) -> str:
    """What a run in a folder of this name is called: as before, or as no other is.

    `known` and the `notes` have its place, a digest, and the digests of its networks by kind.
    """
    for key in ("place", "networks"):
        for name, note in notes.items():
            if note[key] == known[key]:
                return name
    return f"{folder}-{known['place']}" if folder in notes else folder


def _note_path(name: str, workdir: Workdir) -> Path:
    path = workdir.variant_table(f"{TRANSFER}-{name}")
    return path.with_name(f"{TRANSFER}-{name}.json")


def _costs(folder: Path) -> dict:
    """What table 3 says of a sampler: objective and cost."""
    from scsampler_tf.model_folder import ABOUT_NAME

    about = read_json(folder / ABOUT_NAME)
    return {
        "objective": about["objective"],
        "multiply_adds": about["cost"]["multiply_adds"],
        "frames_per_clip": about["frames_per_clip"],
    }


def _in_common(folder: Path, workdir: Workdir, index) -> dict[str, bool]:
    """Whether a sampler was trained on this run's train videos, and from this run's classifier."""
    from scsampler_tf.config import SamplerConfig
    from scsampler_tf.model_folder import RUN_NAME, run_of
    from scsampler_tf.tables import load_table

    theirs = read_json(folder / RUN_NAME)
    ours = run_of("", SamplerConfig(), index, 0)
    classifier = load_table(workdir.table("classifier")).made_by["network"]
    return {
        "same_videos": theirs["train_videos"] == ours["train_videos"],
        "same_classifier": (theirs["learned_from"] or {}).get("network") == classifier,
    }
