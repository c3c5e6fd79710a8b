"""Searches in several processes and interrupted ones, with real trainings of a small audio sampler."""

import dataclasses
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from pipelines.files import write_json
from pipelines.records import ClipRecord, write_shard
from pipelines.wire import pack_log_mel
from scsampler_tf.config import preset, to_dict
from scsampler_tf.tables import ScoreTable, save_table
from scsampler_tf.workdir import Workdir
from tests.tuning.conftest import video, write_index
from tests.tuning.processes import REAL, ended, start, team, wait_for


def real_run(folder: Path) -> Workdir:
    """An audio sampler with score table and shards of made-up sound, ready to be trained again."""
    workdir, config = Workdir(folder), preset("tiny")
    audio = dataclasses.replace(config.audio, epochs=3, clips_per_video=2)
    config = dataclasses.replace(config, audio=audio)
    write_json(workdir.config_file, to_dict(config))
    rng = np.random.default_rng(0)
    splits = ["train"] * 4 + ["val"] * 3 + ["test"] * 2
    videos = [video(f"v{n}", "ab"[n % 2], split, 6, f"v{n}.tfrecord") for n, split in enumerate(splits)]
    index = write_index(workdir.features, config, videos)
    for each in videos:
        clips = [
            ClipRecord(each.video_id, n, n * 1.0, n + 1.0, b"", b"", b"", pack_log_mel(mel), "direct")
            for n, mel in enumerate(rng.normal(size=(each.clips, 40, 200)))
        ]
        write_shard(index.shard_path(each), clips)
    for kind in ("classifier", "audio"):
        shape = [1, 1] if kind == "classifier" else None
        values = {
            each.video_id: rng.dirichlet(shape, each.clips).astype(np.float32)
            if shape
            else rng.random(each.clips).astype(np.float32)
            for each in videos
        }
        save_table(ScoreTable(kind, values, {"network": kind}), workdir.table(kind))
        about = {"cost": {"multiply_adds": 1e8}, "frames_per_clip": 1, "config": dataclasses.asdict(audio)}
        write_json(workdir.model(kind) / "model.json", about)
    return workdir


REAL_WORDS = ("--max-trials", "3", "--clips", "1", "2")


@pytest.mark.slow
def test_three_processes_with_real_trainings(tmp_path):
    folder = real_run(tmp_path / "team").path
    shutil.copytree(folder, tmp_path / "alone")
    processes = team(REAL, folder, *REAL_WORDS, "--max-minutes", "20", logs=tmp_path)
    for name, process in processes.items():
        assert ended(process, tmp_path / f"{name}.log") == 0, (tmp_path / f"{name}.log").read_text()[-3000:]
    straight = start(REAL, tmp_path / "alone", *REAL_WORDS, log=tmp_path / "alone.log")
    assert ended(straight, tmp_path / "alone.log") == 0
    found, expected = (
        json.loads((each / "tuning" / "best.json").read_text()) for each in (folder, tmp_path / "alone")
    )
    assert found["selection"] == expected["selection"]
    assert found["found"]["val"] == pytest.approx(expected["found"]["val"])
    made = list((folder / "tuning" / "samplers").glob("*/scores.npz"))
    assert len(made) == len(list((tmp_path / "alone" / "tuning" / "samplers").glob("*/scores.npz"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_real_training_is_killed_and_gone_on_with(tmp_path, how):
    folder = real_run(tmp_path / "run").path
    shutil.copytree(folder, tmp_path / "whole")
    killed = start(REAL, folder, *REAL_WORDS, log=tmp_path / "1.log")
    tuning = folder / "tuning"

    def begun() -> bool:
        histories = list(tuning.glob("samplers/*/network/history.csv"))
        return any(len(path.read_text().splitlines()) > 1 for path in histories)

    wait_for(begun, "epoch")
    killed.send_signal(how)
    killed.wait()
    rerun = start(REAL, folder, *REAL_WORDS, log=tmp_path / "2.log")
    assert ended(rerun, tmp_path / "2.log") == 0, (tmp_path / "2.log").read_text()[-3000:]
    straight = start(REAL, tmp_path / "whole", *REAL_WORDS, log=tmp_path / "3.log")
    assert ended(straight, tmp_path / "3.log") == 0
    for name in ("selection", "found"):
        found, expected = (
            json.loads((each / "tuning" / "best.json").read_text())[name]
            for each in (folder, tmp_path / "whole")
        )
        if name == "found":
            found, expected = found["val"], expected["val"]
        assert found == pytest.approx(expected) if name == "found" else found == expected
