"""Two thousand bad requests to one server: the right status and one sentence each, and it lives on."""

import contextlib
import json
import os
import resource
import select
import socket
import sys
import threading
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.settings import FeatureSettings
from scsampler_tf.composite import Composite
from scsampler_tf.config import SelectionConfig
from scsampler_tf.export import scan_graph
from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.model_base import ModelBase
from scsampler_tf.serving.models_config import ModelConfig
from tests.scsampler_tf.serving.conftest import run_in_thread
from tests.scsampler_tf.serving.fuzz_requests import (
    FRAMES,
    KINDS,
    LIMIT,
    MODEL,
    SIZE,
    STRIP,
    b64,
    classify,
    make_case,
)

CASES = int(os.environ.get("SERVER_FUZZ_CASES", "2000"))
BASE_SEED = int(os.environ.get("SERVER_FUZZ_SEED", "0"))
GROWTH_MIB = 200  # what a server that holds nothing back may grow by, its caches included
FINE = json.dumps(classify([[b64(STRIP)]])).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A composite as exports are, with a classifier of three classes by brightness."""
    entry = keras.Input((FRAMES, SIZE, SIZE, 3))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling3D()(entry))
    config = SelectionConfig(K=2, K_prime=1)
    graph = Composite(keras.Model(entry, outputs), {}, FeatureSettings(), config, ["a", "b", "c"], {})
    base = tmp_path_factory.mktemp("fuzz")
    tf.saved_model.save(graph, str(base / "scsampler" / "1"), signatures=graph.signatures())
    scan_graph(base / "scsampler" / "1")
    return base


@pytest.fixture(scope="module")
def base(folder):
    base = ModelBase(lambda: [ModelConfig("scsampler", folder / "scsampler")], LoadedModel)
    base.refresh()
    return base


@pytest.fixture(scope="module")
def client(base):
    app = create_app(
        base, threads=2, max_request_bytes=LIMIT, body_timeout_s=0.5, max_waiting_bytes=10 * LIMIT
    )
    with run_in_thread(app) as client:
        yield client


@pytest.fixture(scope="module")
def opened():
    """Paths of the files that Python code of this process opens; the hook cannot be taken away again.

    What the graph opens is not seen here: that it holds no such operation is asked of `scan_graph`.
    """
    paths, active = [], [True]

    def audit(event, arguments):
        if (
            active[0]
            and event == "open"
            and threading.current_thread().name.startswith(("predict", "Thread"))
        ):
            paths.append(str(arguments[0]))

    sys.addaudithook(audit)
    yield paths
    active[0] = False


def memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def problem(client, case) -> str | None:
    response = client.request(case.method, case.path, content=case.body, headers=case.headers)
    if response.status_code not in case.expected:
        return f"status {response.status_code}, not {sorted(case.expected)}: {response.text[:200]}"
    if response.status_code == 200 or case.method == "HEAD":
        return None
    document = json.loads(response.content)
    said = document.get("error", "")
    if list(document) != ["error"] or not said or "\n" in said or "Traceback" in said or len(said) > 600:
        return f"not one sentence: {response.text[:300]}"
    return None


def test_bad_requests_get_the_right_status_and_one_sentence(client, folder, opened):
    client.post(MODEL + ":predict", content=FINE)
    client.post(MODEL + ":predict", content=b"\xef\xbb\xbf")  # Python opens the file of this codec once
    before, middle, problems, kinds = memory_mib(), 0.0, [], Counter()
    opened.clear()
    for number in range(CASES):
        case = make_case(BASE_SEED + number)
        kinds[case.kind] += 1
        if found := problem(client, case):
            problems.append(f"seed {BASE_SEED + number}, {case.kind}: {found}")
        if number == CASES // 2:
            middle = memory_mib()
    assert not problems, "\n".join(problems[:20])
    assert set(kinds) == set(KINDS) or CASES < 500
    assert client.post(MODEL + ":predict", content=FINE).json()["outputs"]["label"]
    assert memory_mib() - before < GROWTH_MIB
    assert memory_mib() - middle < GROWTH_MIB / 4  # it does not go on growing
    outside = [path for path in opened if not Path(path).is_relative_to(folder)]
    assert outside == []


def test_what_the_model_itself_refuses_is_said_in_its_own_words(client):
    response = client.post(MODEL + ":predict", json=classify([["no picture"]]))
    said = "clips: strips must be JPEG or PNG, 8 pixels wide and 1 to 2 times as high"
    assert (response.status_code, response.json()) == (400, {"error": said})


def raw(client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=20)


def head(length: int | str) -> bytes:
    return f"POST {MODEL}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def chunk(length: int) -> bytes:
    return b"%x\r\n" % length + bytes(length) + b"\r\n"


def status_of(connection) -> int:
    return int(connection.makefile("rb").readline().split()[1])


def test_a_body_of_a_gigabyte_is_refused_unread(client):
    before = memory_mib()
    with raw(client) as connection:
        connection.sendall(head(2**30))
        assert status_of(connection) == 413

    with raw(client) as connection:
        connection.sendall(head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        connection.sendall(chunk(LIMIT) + chunk(1))
        assert status_of(connection) == 413  # as soon as it is too much
        with contextlib.suppress(OSError):  # what still comes is dropped, or the server has closed
            for _ in range(1024):
                connection.sendall(chunk(2**20))
    assert memory_mib() - before < 50
    assert client.post(MODEL + ":predict", content=FINE).status_code == 200


@contextlib.contextmanager
def slow_ones(client):
    """A hundred connections whose bodies never come to their end."""
    with contextlib.ExitStack() as held:
        connections = [held.enter_context(raw(client)) for _ in range(100)]
        for connection in connections:
            connection.sendall(head(5000) + b'{"inputs": ')
        yield connections


def test_slow_clients_are_given_up(client):
    with slow_ones(client) as connections:
        assert {status_of(connection) for connection in connections} == {408}
    assert client.post(MODEL + ":predict", content=FINE).status_code == 200


def test_slow_clients_hold_nobody_up(base):
    app = create_app(base, threads=2, max_request_bytes=LIMIT, body_timeout_s=600)
    with run_in_thread(app) as client, slow_ones(client) as connections:
        assert client.post(MODEL + ":predict", content=FINE).status_code == 200
        answered, _, _ = select.select(connections, [], [], 0)
        assert not answered  # all of them still wait


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "9" * 40])
def test_lengths_that_are_none(client, length):
    with raw(client) as connection:
        connection.sendall(head(length) + FINE)
        assert status_of(connection) in (400, 413)
    assert client.post(MODEL + ":predict", content=FINE).status_code == 200


def test_no_http_at_all_and_clients_that_leave(client):
    rng = np.random.default_rng(0)
    for number in range(50):
        with raw(client) as connection:
            connection.sendall(rng.bytes(200) if number % 2 else head(5000) + b"{")
    assert client.post(MODEL + ":predict", content=FINE).status_code == 200


def test_a_header_without_an_end_is_refused(client):
    with raw(client) as connection:
        connection.sendall(b"GET " + MODEL.encode() + b" HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000)
        connection.settimeout(5)
        assert status_of(connection) in (400, 431)
    assert client.post(MODEL + ":predict", content=FINE).status_code == 200
