"""Several processes on one search: what a role is, who lives, and three real processes on loopback."""

import os
import signal
import socket
import subprocess
import time

import pytest

from pipelines.errors import UserError
from tests.tuning.conftest import make_run
from tests.tuning.processes import STUBBED, ended, epochs, free_port, results, start, team, wait_for
from tuning.team import ADDRESS, ID, PORT, Beats, alone, beating, role


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
        ({"ORACLE_IP": "h", "TUNER_ID": "..", "ORACLE_PORT": "1"}, "'..' is no name"),
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
