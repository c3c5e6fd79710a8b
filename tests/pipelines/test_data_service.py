"""A real tf.data service on this machine: what comes through it, and what it says when it cannot."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipelines import data_service
from pipelines.data_service import (
    checked_address,
    refuse_clips,
    served,
    service_failure,
    start_dispatcher,
    start_worker,
)
from pipelines.datasets import sampler_videos
from pipelines.errors import UserError
from pipelines.prepare import prepare
from pipelines.settings import FeatureSettings
from pipelines.shards import shard_failure
from tests import media

SETTINGS = FeatureSettings(
    clip_frames=4, clip_step=1, canvas=32, md_frames=0, residual_frames=2, residual_size=16, iframe_size=16
)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    lines = ["path,label,split"]
    for number, frames in enumerate((40, 12, 24, 32)):
        media.write_video(folder / f"{number}.mp4", media.noise(frames, seed=number), sound=media.tone(2))
        lines.append(f"{number}.mp4,{'ab'[number % 2]},train")
    (folder / "m.csv").write_text("\n".join([*lines, ""]))
    return prepare(folder / "m.csv", folder / "out", SETTINGS, workers=0, quiet=True)


def free_ports(count):
    """Ports that nobody listens on."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Service:
    """A dispatcher that has been told of `count` workers, and those of them that are started."""

    def __init__(self, count, started):
        self.port, *self.ports = free_ports(count + 1)
        self.address = f"grpc://localhost:{self.port}"
        self.dispatcher = start_dispatcher(self.port, [f"localhost:{port}" for port in self.ports])
        self.workers = {}
        for number in started:
            self.start(number)

    def start(self, number):
        self.workers[number] = start_worker(f"localhost:{self.port}", "localhost", self.ports[number])

    def stop(self):
        for worker in self.workers.values():
            worker._stop()
        self.dispatcher._stop()


class Commands:
    """A dispatcher and two workers as processes; `address` is where they answer."""

    def __init__(self):
        self.running: list[subprocess.Popen] = []
        dispatcher, *ports = free_ports(3)
        self.address = f"grpc://localhost:{dispatcher}"
        workers = ",".join(f"localhost:{port}" for port in ports)
        self._start("dispatcher", dispatcher, "--workers", workers)
        self._require("dispatcher", dispatcher, self.running[0])
        for port in ports:
            self._start("worker", port, "--dispatcher", f"localhost:{dispatcher}")
        for port, process in zip(ports, self.running[1:], strict=True):
            self._require("worker", port, process)

    def _start(self, what, port, *more):
        words = [sys.executable, "-m", "pipelines.data_service", what, "--port", str(port), *more]
        self.running.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))

    def _require(self, what, port, process):
        assert process.stdout.readline() == f"{what} on port {port}\n"

    def stop(self):
        for process in self.running:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def service():
    running = Commands()
    yield running
    running.stop()


def videos(index, field="md", **options):
    scores = [place + np.arange(video.clips) / 100 for place, video in enumerate(index.videos)]
    options = {"clips_per_video": 5, "batch": 2, "seed": 3, **options}
    return sampler_videos(index, index.videos, field, scores, **options)


def require_same(data, expected, count):
    taken = list(data.take(count).as_numpy_iterator())
    assert len(taken) == count
    for (inputs, target), (same, again) in zip(taken, expected.take(count).as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(target, again)
        for name, values in inputs.items():
            np.testing.assert_array_equal(values, same[name])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch": 3, "first_epoch": 5},
        {"field": ("md", "log_mel")},
        {"batch": 4, "shard": (1, 2), "replica_batch": 1},
    ],
    ids=["plain", "later epoch", "two fields", "a worker's share"],
)
def test_what_comes_through_a_service_is_what_comes_without(index, service, options):
    """Bit for bit and in the same order, over several epochs; so every example comes once in each."""
    require_same(videos(index, service=service.address, **options), videos(index, **options), 11)
    assert videos(index, service=service.address).element_spec == videos(index).element_spec


def test_the_work_is_done_and_in_order(service):
    data = served(tf.data.Dataset.counter(), lambda tasks: tasks.map(lambda task: 3 * task), service.address)
    assert [int(task) for task in data.take(9)] == list(range(0, 27, 3))
    assert data.element_spec == tf.TensorSpec([], tf.int64)


@pytest.mark.parametrize("slow", [0, 1])
def test_a_slow_worker_changes_no_order(service, slow):
    def work(tasks):
        def wait(task):
            ends = tf.timestamp() + tf.where(task % 2 == slow, tf.constant(0.15, tf.float64), 0.0)
            return tf.while_loop(lambda _: tf.timestamp() < ends, lambda same: [same], [task])[0]

        return tasks.map(wait)

    data = served(tf.data.Dataset.counter(), work, service.address)
    assert [int(task) for task in data.take(12)] == list(range(12))


def test_a_broken_record_is_named_through_the_service_too(index, service):
    shard = Path(index.shard_path(index.videos[1]))
    before = shard.read_bytes()
    try:
        shard.write_bytes(before[:40] + bytes([before[40] ^ 255]) + before[41:])
        with pytest.raises(tf.errors.OpError) as caught:
            list(videos(index, service=service.address).take(4))
        assert "record 1 is broken" in str(shard_failure(caught.value, index, index.videos))
        assert service_failure(caught.value, service.address) is None
        data = videos(index, service=service.address)
        shard.unlink()  # after the trainer has looked for it
        with pytest.raises(tf.errors.OpError) as caught:
            list(data.take(4))
        assert "no such file" in str(shard_failure(caught.value, index, index.videos))
        assert service_failure(caught.value, service.address) is None
    finally:
        shard.write_bytes(before)


def take_until_error(data, seen):
    for _ in range(5000):
        seen.append(int(next(data)))


def test_a_worker_that_is_started_anew_is_noticed_and_none_of_its_batches_comes_twice():
    service = Service(2, (0, 1))
    data = iter(served(tf.data.Dataset.counter(), lambda tasks: tasks, service.address))
    seen = [int(next(data)) for _ in range(5)]
    service.workers[1]._stop()
    del service.workers[1]
    service.start(1)
    with pytest.raises(tf.errors.OpError) as caught:
        take_until_error(data, seen)
    assert seen == list(range(len(seen)))
    failure = str(service_failure(caught.value, service.address))
    assert failure.startswith(f"--data-service {service.address}: one of its workers has ended")
    assert service_failure(caught.value, None) is None
    service.stop()


def test_a_worker_that_is_not_there_yet_is_asked_for():
    service = Service(3, (0, 2))
    with pytest.raises(UserError, match="2 of its 3 workers are there; start the others"):
        served(tf.data.Dataset.counter(), lambda tasks: tasks, service.address)
    service.stop()


def test_a_service_without_workers_is_given_up(monkeypatch):
    monkeypatch.setattr(data_service, "WAIT_S", 1.0)
    service = Service(1, ())
    with pytest.raises(UserError, match="nothing came within 1 seconds"):
        served(tf.data.Dataset.counter(), lambda tasks: tasks, service.address)
    service.start(0)  # what waits for a worker ends when one comes
    service.stop()


def test_a_dispatcher_that_does_not_know_its_workers_is_refused():
    dispatcher = tf.data.experimental.service.DispatchServer()
    name = dispatcher.target.removeprefix("grpc://")
    worker = start_worker(name, "localhost", free_ports(1)[0])
    with pytest.raises(UserError, match="refuses to share the work"):
        served(tf.data.Dataset.counter(), lambda tasks: tasks, dispatcher.target)
    worker._stop()
    dispatcher._stop()


def test_nobody_there_is_one_sentence():
    address = f"grpc://localhost:{free_ports(1)[0]}"
    with pytest.raises(UserError, match="nobody answers there") as caught:
        served(tf.data.Dataset.counter(), lambda tasks: tasks, address)
    assert str(caught.value).startswith(f"--data-service {address}: ")


@pytest.mark.parametrize(
    "wrong", ["localhost:5000", "grpc://:5000", "grpc://x", "grpc://x:y", "grpc://x:70000"]
)
def test_an_address_reads_in_one_way(wrong):
    with pytest.raises(UserError, match="write it as grpc://HOST:PORT"):
        checked_address(wrong)
    assert checked_address("grpc://host:5000") == "grpc://host:5000"


def test_clips_of_the_classifier_need_no_service():
    refuse_clips(None)
    with pytest.raises(UserError, match="leave it out and give --workers"):
        refuse_clips("grpc://host:5000")


@pytest.mark.parametrize("words", [["dispatcher"], ["worker"], ["worker", "--dispatcher", "host"]])
def test_the_command_says_what_it_lacks(words, capsys):
    assert data_service.main([*words, "--port", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
