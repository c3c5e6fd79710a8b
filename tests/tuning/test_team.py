"""Several processes on one search: what a role is, who lives, and three real processes on loopback."""

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.files import write_json
from pipelines.records import ClipRecord, write_shard
from pipelines.wire import pack_log_mel
from scsampler_tf.config import preset, to_dict
from scsampler_tf.tables import ScoreTable, save_table
from scsampler_tf.workdir import Workdir
from tests.tuning.conftest import make_run, video, write_index
from tuning.team import ADDRESS, ID, PORT, Beats, alone, beating, role

ROOT = Path(__file__).parents[2]
STUBBED, REAL = "tests.tuning.stub", "tuning.search"
PATIENCE_S = 240


@pytest.fixture
def environment(monkeypatch):
    def give(**values):
        for name in (ID, ADDRESS, PORT):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(f"KERASTUNER_{name}", value)

    return give


def test_roles(environment):
    environment()
    assert role() is None
    environment(TUNER_ID="chief", ORACLE_IP="127.0.0.1", ORACLE_PORT="8000")
    assert (role().chief, role().address) == (True, "127.0.0.1:8000")
    environment(TUNER_ID="w-1", ORACLE_IP="host", ORACLE_PORT="8000")
    assert (role().chief, role().name) == (False, "w-1")
    with alone():
        assert role() is None
    assert role().name == "w-1"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ORACLE_IP": "h", "ORACLE_PORT": "1"}, "KERASTUNER_TUNER_ID is not"),
        ({"ORACLE_IP": "h", "TUNER_ID": "w"}, "KERASTUNER_ORACLE_PORT is not"),
        ({"ORACLE_IP": "h", "TUNER_ID": "w", "ORACLE_PORT": "x1"}, "'x1' is no port"),
        ({"ORACLE_IP": "h", "TUNER_ID": "w", "ORACLE_PORT": "99999"}, "'99999' is no port"),
        ({"ORACLE_IP": "h", "TUNER_ID": "../w", "ORACLE_PORT": "1"}, "'../w' is no name"),
    ],
)
def test_mistaken_roles(environment, values, words):
    environment(**values)
    with pytest.raises(UserError, match=words):
        role()


def test_who_lives(tmp_path):
    now = [0.0]
    beats = Beats(tmp_path, lost_after=10, clock=lambda: now[0])
    beat = tmp_path / "w"
    assert beats.lives("w")  # has just asked, before its first beat
    beat.write_text("1")
    assert beats.lives("w")
    now[0] = 9.0
    assert beats.lives("w")
    beat.write_text("2")
    assert beats.lives("w")
    now[0] = 18.0
    assert beats.lives("w")
    now[0] = 20.0
    assert not beats.lives("w")
    beat.write_text("3")
    assert beats.lives("w")
    beat.unlink()  # good-bye
    assert not beats.lives("w")
    beats.forget("w")
    assert beats.lives("w")
    now[0] = 31.0
    assert not beats.lives("w")  # it never came


def test_beats_come_and_end(tmp_path, monkeypatch):
    monkeypatch.setattr("tuning.team.BEAT_S", 0.01)
    with beating(tmp_path / "beats", "w"):
        path = tmp_path / "beats" / "w"
        end, first = time.monotonic() + 20, None
        while time.monotonic() < end:
            text = path.read_text() if path.exists() else None
            first = first or text
            if text and text != first:
                break
            time.sleep(0.01)
        assert text != first
    assert not path.exists()


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def start(module: str, folder: Path, *words: str, log: Path, **environment: str) -> subprocess.Popen:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KERASTUNER_")}
    command = [sys.executable, "-m", module, "--workdir", str(folder), *words]
    with log.open("w") as stream:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**kept, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


def team(
    module: str, folder: Path, *words: str, logs: Path, **environment: str
) -> dict[str, subprocess.Popen]:
    port = free_port()
    return {
        name: start(
            module,
            folder,
            *words,
            log=logs / f"{name}.log",
            KERASTUNER_TUNER_ID=name,
            KERASTUNER_ORACLE_IP="127.0.0.1",
            KERASTUNER_ORACLE_PORT=port,
            **environment,
        )
        for name in ("chief", "one", "two")
    }


def ended(process: subprocess.Popen, log: Path) -> int:
    try:
        return process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"still running:\n{log.read_text()[-2000:]}")


def wait_for(condition, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.02)


def results(folder: Path) -> dict[str, str]:
    """The files that a search leaves, as texts."""
    names = ("best.json", "knee.json", "trials.csv", "trials.md", "front.csv", "front.md", "test.md")
    return {name: (folder / "tuning" / name).read_text() for name in names}


def epochs(folder: Path) -> dict[str, list[str]]:
    """What each training of the stub has noted: epoch and process, by sampler."""
    return {
        path.parent.parent.name: path.read_text().split()
        for path in (folder / "tuning" / "samplers").glob("*/network/epochs.txt")
    }


WORDS = ("--max-trials", "4", "--clips", "1", "3", "--keep", "50", "--combinations", "3")


def test_killed_in_the_middle_of_a_training_it_comes_to_the_same(tmp_path):
    whole, parts = (make_run(tmp_path / name)[0].path for name in ("whole", "parts"))
    killed = start(STUBBED, parts, *WORDS, log=tmp_path / "1.log", STUB_EPOCH_S="0.05")
    wait_for(lambda: len(epochs(parts)) >= 3 and any(0 < len(e) < 8 for e in epochs(parts).values()), "epoch")
    killed.kill()
    killed.wait()
    (begun,) = [name for name, done in epochs(parts).items() if len(done) < 10]
    before = epochs(parts)
    rerun = start(STUBBED, parts, *WORDS, log=tmp_path / "2.log")
    straight = start(STUBBED, whole, *WORDS, log=tmp_path / "3.log")
    assert ended(rerun, tmp_path / "2.log") == 0
    assert ended(straight, tmp_path / "3.log") == 0
    assert results(parts) == results(whole)
    after = epochs(parts)
    # The interrupted training went on where it stood, the others were not touched, and none was done twice.
    assert {name: after[name][: len(done)] for name, done in before.items()} == before
    assert [note.split(":")[0] for note in after[begun]] == [str(epoch) for epoch in range(10)]
    assert len({note.split(":")[1] for note in after[begun]}) == 2
    assert after.keys() == epochs(whole).keys()


def test_three_processes_share_a_search_and_survive_the_death_of_one(tmp_path):
    folder, alone_folder = (make_run(tmp_path / name)[0].path for name in ("team", "alone"))
    processes = team(STUBBED, folder, *WORDS, "--lost-after", "5", logs=tmp_path, STUB_EPOCH_S="0.15")
    victim = processes["two"]

    def trains() -> bool:
        return any(
            done and done[-1].endswith(f":{victim.pid}") and len(done) < 9 for done in epochs(folder).values()
        )

    wait_for(lambda: trains() or victim.poll() is not None, "training in the second worker")
    assert victim.poll() is None, (tmp_path / "two.log").read_text()
    os.kill(victim.pid, signal.SIGKILL)
    straight = start(STUBBED, alone_folder, *WORDS, log=tmp_path / "alone.log")
    for name in ("one", "chief"):
        assert ended(processes[name], tmp_path / f"{name}.log") == 0, (tmp_path / f"{name}.log").read_text()
    victim.wait()
    assert ended(straight, tmp_path / "alone.log") == 0
    assert results(folder) == results(alone_folder)
    for done in epochs(folder).values():  # every sampler once, whoever trained it
        assert [note.split(":")[0] for note in done] == [str(epoch) for epoch in range(10)]
    said = (tmp_path / "chief.log").read_text()
    assert "sal_cl\n" not in said + (tmp_path / "one.log").read_text()
    assert "worker two is gone" in said
    assert "is given again" in said


def test_a_second_chief_is_told_that_the_address_is_taken(tmp_path):
    folder = make_run(tmp_path / "run")[0].path
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        chief = start(
            STUBBED,
            folder,
            log=tmp_path / "log",
            KERASTUNER_TUNER_ID="chief",
            KERASTUNER_ORACLE_IP="127.0.0.1",
            KERASTUNER_ORACLE_PORT=str(taken.getsockname()[1]),
        )
        assert ended(chief, tmp_path / "log") == 2
    assert "cannot listen there; is another chief running?" in (tmp_path / "log").read_text()


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


@pytest.mark.slow
def test_a_chief_that_dies_is_started_again_and_its_workers_go_on(tmp_path):
    folder, alone_folder = (make_run(tmp_path / name)[0].path for name in ("team", "alone"))
    port = free_port()

    def process(name: str, log: str) -> subprocess.Popen:
        place = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
        given = {"KERASTUNER_TUNER_ID": name, "STUB_EPOCH_S": "0.3", **place}
        return start(STUBBED, folder, *WORDS, log=tmp_path / log, **given)

    chief, worker = process("chief", "chief.log"), process("one", "one.log")
    wait_for(lambda: len(epochs(folder)) >= 3 or worker.poll() is not None, "third training")
    chief.kill()
    chief.wait()
    again = process("chief", "again.log")
    straight = start(STUBBED, alone_folder, *WORDS, log=tmp_path / "alone.log")
    assert ended(worker, tmp_path / "one.log") == 0, (tmp_path / "one.log").read_text()
    assert ended(again, tmp_path / "again.log") == 0, (tmp_path / "again.log").read_text()
    assert ended(straight, tmp_path / "alone.log") == 0
    assert results(folder) == results(alone_folder)
    for done in epochs(folder).values():
        assert [note.split(":")[0] for note in done] == [str(epoch) for epoch in range(10)]
