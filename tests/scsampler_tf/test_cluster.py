"""TF_CONFIG read and its mistakes; waiting for workers on loopback."""

import json
import socket
import threading

import pytest

from pipelines.errors import LostWorker, UserError
from scsampler_tf.cluster import Cluster, read_cluster, wait_for_all


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return [f"127.0.0.1:{port}" for port in ports]


def test_workers_and_a_chief(monkeypatch):
    task = {"cluster": {"chief": ["a:1"], "worker": ["b:2", "c:3"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(task))
    assert read_cluster() == Cluster(["a:1", "b:2", "c:3"], "c:3")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[1]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 3}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}',
    ],
)
def test_a_cluster_that_is_none(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="the environment variable TF_CONFIG must list all workers"):
        read_cluster()


def test_all_go_on_once_the_last_has_come():
    hosts = free_ports(3)
    passed = []

    def worker(own):
        wait_for_all(Cluster(hosts, own), 60)
        passed.append(own)
        # What TensorFlow does next: it listens at the same address.
        server = socket.create_server(("", int(own.rpartition(":")[2])))
        over.wait(60)
        server.close()

    over = threading.Event()
    threads = [threading.Thread(target=worker, args=[own]) for own in hosts]
    for thread in threads[:2]:
        thread.start()
    threads[0].join(0.7)
    assert passed == []
    threads[2].start()
    threads[2].join(5)
    over.set()
    for thread in threads:
        thread.join(60)
    assert sorted(passed) == sorted(hosts)


def test_one_that_does_not_come_is_named():
    hosts = free_ports(2)
    with pytest.raises(LostWorker, match=rf"{hosts[1]} did not come in 1 s; start the same command"):
        wait_for_all(Cluster(hosts, hosts[0]), 1)
    assert LostWorker.exit_code == 75


def test_a_port_in_use():
    with socket.create_server(("", 0)) as taken:
        own = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"{own}: cannot listen there"):
            wait_for_all(Cluster([own], own))
