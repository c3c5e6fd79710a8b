"""One training on one device, on two devices, and by two processes that find each other on loopback."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from pipelines.files import write_json
from scsampler_tf import train
from scsampler_tf.config import tiny, to_dict
from scsampler_tf.model_folder import is_finished, load_model
from scsampler_tf.tables import save_table
from tests.training_set import make_training_set

# Of weights after three epochs whose sums run in another order: at most, and on average.
TOLERANCES = {"sampler": (1e-4, 1e-6), "classifier": (1e-3, 1e-4)}
VALUES = 1e-3  # of losses and what is measured on validation videos
ROOT = Path(__file__).parents[2]
PATIENCE_S = 300
SAMPLER = ("sampler", "--kind", "md", "--objective", "sal_rank", "--set", "md.batch=4")
# With short steps: where a gradient is all but zero its sign is that of the order of sums, and Adam makes a
# whole step of it.
CLASSIFIER = ("classifier", "--set", "classifier.batch=6", "--set", "classifier.flip=true")
CLASSIFIER += ("--set", "classifier.learning_rate=1e-4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with features and a classifier's scores, whose networks are to be trained."""
    folder = tmp_path_factory.mktemp("distributed")
    data = make_training_set(folder)
    write_json(folder / "config.json", to_dict(tiny()))
    save_table(data.table, folder / "scores" / "classifier.npz")
    return folder


def words_of(folder, out, what, epochs):
    own = "classifier" if what[0] == "classifier" else "md"
    return [
        *what,
        "--workdir",
        str(folder),
        "--out",
        str(out),
        "--workers",
        "0",
        "--set",
        f"{own}.epochs={epochs}",
    ]


class Workers:
    """Two processes that train together."""

    def __init__(self, words, logs: Path, processes: ExitStack):
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two)]
        logs.mkdir()
        self.errors = [logs / f"{number}.txt" for number in range(2)]
        self.processes = []
        for number, log in enumerate(self.errors):
            task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": number}}
            command = [sys.executable, "-m", "scsampler_tf.train", *words, "--strategy", "multi_worker"]
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "TF_CONFIG": json.dumps(task), "TF_CPP_MIN_LOG_LEVEL": "3"},
                stdout=subprocess.DEVNULL,
                stderr=processes.enter_context(log.open("w")),
            )
            processes.callback(process.wait)
            processes.callback(process.kill)
            self.processes.append(process)

    def ended(self) -> list[int]:
        """The exit codes, once both have ended."""
        return [process.wait(PATIENCE_S) for process in self.processes]

    def said(self, number: int) -> str:
        """The lines of a worker's stderr that are the command's own."""
        lines = self.errors[number].read_text().splitlines()
        return "\n".join(line for line in lines if line.startswith(("error:", "terminated")))


def history(folder):
    path = folder / "history.csv"
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def require_same(one, other, what):
    most, average = TOLERANCES[what]
    left, right = load_model(one).network, load_model(other).network
    for mine, theirs in zip(left.weights, right.weights, strict=True):
        difference = np.abs(mine.numpy() - theirs.numpy())
        assert difference.max() <= most, mine.path
        assert difference.mean() <= average, mine.path
    rows = list(zip(history(one), history(other), strict=True))
    assert len(rows) >= 3
    for row, again in rows:
        for key in row.keys() - {"examples_per_second", "input_wait"}:
            assert float(row[key]) == pytest.approx(float(again[key]), abs=VALUES), (row["epoch"], key)


@pytest.mark.slow
@pytest.mark.parametrize("what", [SAMPLER, CLASSIFIER], ids=["sampler", "classifier"])
def test_one_device_two_devices_and_two_processes_train_alike(folder, tmp_path, what):
    """The same batches, cut in two: the weights of the networks that are kept, and every value on the way."""
    with ExitStack() as processes:
        workers = Workers(words_of(folder, tmp_path / "workers", what, 3), tmp_path / "logs", processes)
        for strategy in ("one_device", "mirrored"):
            words = words_of(folder, tmp_path / strategy, what, 3)
            assert train.main([*words, "--strategy", strategy]) == 0
        assert workers.ended() == [0, 0], workers.said(0) + workers.said(1)
    require_same(tmp_path / "one_device", tmp_path / "mirrored", what[0])
    require_same(tmp_path / "one_device", tmp_path / "workers", what[0])


def wait_for(condition, workers):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        assert all(process.poll() is None for process in workers.processes), workers.said(0)
        time.sleep(0.02)


@pytest.mark.slow
def test_a_worker_that_is_killed_and_started_again(folder, tmp_path):
    """The other says so and ends; both, started again, go on after the last whole epoch."""
    words = words_of(folder, tmp_path / "killed", SAMPLER, 20)
    with ExitStack() as processes:
        workers = Workers(words, tmp_path / "first", processes)
        wait_for(lambda: len(history(tmp_path / "killed")) >= 2, workers)
        workers.processes[1].send_signal(signal.SIGKILL)
        assert workers.ended() == [75, -signal.SIGKILL]
        assert workers.said(0).startswith("error: another worker has ended; start the same command")
        assert not is_finished(tmp_path / "killed")
        done = len(history(tmp_path / "killed"))
        assert 2 <= done < 20

        again = Workers(words, tmp_path / "second", processes)
        wait_for(lambda: len(history(tmp_path / "killed")) >= done + 2, again)
        again.processes[1].send_signal(signal.SIGTERM)
        assert again.ended() == [143, 143]  # both of them
        assert again.said(0) == "terminated; the same command goes on from here"
        assert again.said(1) == ""

        assert Workers(words, tmp_path / "third", processes).ended() == [0, 0]
    assert [int(row["epoch"]) for row in history(tmp_path / "killed")] == list(range(20))
    assert train.main(words_of(folder, tmp_path / "whole", SAMPLER, 20)) == 0
    cut = done + 1
    losses = [[float(row["loss"]) for row in history(tmp_path / name)] for name in ("whole", "killed")]
    np.testing.assert_allclose(losses[0][:cut], losses[1][:cut], atol=VALUES)
    assert is_finished(tmp_path / "killed")
    assert not (tmp_path / "killed" / "backup").exists()


def test_without_a_cluster(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert train.main([*words_of(folder, tmp_path / "x", SAMPLER, 1), "--strategy", "multi_worker"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: strategy multi_worker: the environment variable TF_CONFIG must list")
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()
