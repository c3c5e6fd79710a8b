"""Searches in processes of their own."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUBBED, REAL = "tests.tuning.stub", "tuning.search"
PATIENCE_S = 240


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
