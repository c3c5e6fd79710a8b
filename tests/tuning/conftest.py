"""A finished run without videos: an index, score tables and the notes of trained networks, all made up."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.files import write_json
from pipelines.index import FeatureIndex, VideoRecord
from scsampler_tf.config import ExperimentConfig, preset, to_dict
from scsampler_tf.tables import ScoreTable, load_table, save_table
from scsampler_tf.workdir import Workdir
from tests.tuning import stub

CLIPS, CLASSES = 12, 3
# Multiply-adds of one example, and examples a clip, of each network.
COSTS = {"classifier": (2e9, 1), "md": (1e8, 3), "audio": (5e8, 1)}


def video(name: str, label: str, split: str, clips: int = CLIPS, shard: str = "") -> VideoRecord:
    return VideoRecord(
        video_id=name,
        path=f"/nowhere/{name}.mp4",
        label=label,
        split=split,
        clips=clips,
        frames=clips * 16,
        fps=25.0,
        duration_s=clips * 0.64,
        has_audio=True,
        codec="h264",
        policy="direct",
        shard=shard,
        timing={},
    )


def write_index(folder: Path, config: ExperimentConfig, videos: list[VideoRecord]) -> FeatureIndex:
    labels = sorted({each.label for each in videos})
    index = FeatureIndex(folder, config.features, labels, videos, [], "given")
    write_json(folder / "index.json", index.to_dict())
    return index


def planted(rng, label: int) -> dict[str, np.ndarray]:
    """Two clips show the class, all others another one; md likes the first of the two, audio nothing real."""
    clips = rng.permutation(CLIPS)
    probabilities = np.full((CLIPS, CLASSES), 0.1, np.float32)
    probabilities[:, (label + 1) % CLASSES] = 0.8
    probabilities[clips[:2]] = 0.1
    probabilities[clips[:2], label] = 0.8
    md = rng.uniform(0.0, 0.5, CLIPS).astype(np.float32)
    md[clips[0]] = 0.9
    return {"classifier": probabilities, "md": md, "audio": rng.uniform(0, 1, CLIPS).astype(np.float32)}


@pytest.fixture
def run(tmp_path) -> tuple[Workdir, ExperimentConfig]:
    """8 validation, 2 train and 6 test videos, an MD and an audio sampler (SAL-RANK, margin 0.1), K=5."""
    return make_run(tmp_path / "run")


def make_run(folder: Path) -> tuple[Workdir, ExperimentConfig]:
    """The run of the fixture `run`, in this folder."""
    config = preset("small")
    workdir = Workdir(folder)
    write_json(workdir.config_file, to_dict(config))
    splits = ["val"] * 8 + ["train"] * 2 + ["test"] * 6
    videos = [video(f"v{n}", "abc"[n % CLASSES], split) for n, split in enumerate(splits)]
    write_index(workdir.features, config, videos)
    rng = np.random.default_rng(5)
    rows = {each.video_id: planted(rng, n % CLASSES) for n, each in enumerate(videos)}
    for kind, (multiply_adds, examples) in COSTS.items():
        values = {name: row[kind] for name, row in rows.items()}
        network = workdir.model(kind) / "best.keras"
        network.parent.mkdir(parents=True, exist_ok=True)
        network.write_text(kind)
        save_table(ScoreTable(kind, values, {"network": digest_of(kind)}), workdir.table(kind))
        about = {"cost": {"multiply_adds": multiply_adds}, "frames_per_clip": examples}
        if kind != "classifier":
            sampler = getattr(config, kind)
            about |= {"config": dataclasses.asdict(sampler), "objective": sampler.objective}
        write_json(workdir.model(kind) / "model.json", about)
    return workdir, config


def digest_of(text: str) -> str:
    """What a score table notes of a network whose file holds this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def change_json(path: Path, change) -> None:
    """Rewrites a JSON file after `change(values)`."""
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


@pytest.fixture
def trainings(monkeypatch) -> list[str]:
    """Stands in for training and scoring; holds what was trained, in order."""
    made: list[str] = []

    def train(what, workdir, config, **options):
        made.append(what)
        return stub.train(what, workdir, config, **options)

    monkeypatch.setattr("scsampler_tf.train.train", train)
    monkeypatch.setattr("scsampler_tf.score.score", stub.score)
    return made


@pytest.fixture
def margins_only(run, monkeypatch):
    """Nothing but margins to search, and an MD sampler that is of no use."""
    monkeypatch.setattr("tuning.trained.OBJECTIVES", ("sal_rank",))
    monkeypatch.setattr("tuning.trained.RATES", (1.0,))
    table = load_table(run[0].table("md"))
    rng = np.random.default_rng(1)
    noise = {name: rng.random(len(rows)).astype(np.float32) for name, rows in table.values.items()}
    save_table(dataclasses.replace(table, values=noise), run[0].table("md"))
