"""Who holds a connection open without asking is sent away; who asks or is being answered is not."""

import socket
import time

import pytest

from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.connections import impatient
from tests.scsampler_tf.serving.conftest import run_in_thread
from tests.scsampler_tf.serving.stub_composite import PlainModel, stub_base

PATIENCE_S = 0.4
BODY = b'{"inputs": {"x": [1.0]}}'
HEAD = f"POST /v1/models/plain:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


class SlowModel(PlainModel):
    def run(self, signature, inputs):
        time.sleep(4 * PATIENCE_S)
        return super().run(signature, inputs)


@pytest.fixture
def connection(tmp_path, request):
    model = request.param() if hasattr(request, "param") else PlainModel()
    app = create_app(stub_base(tmp_path, plain=model))
    with run_in_thread(app, http=impatient(PATIENCE_S), timeout_keep_alive=60) as client:
        place = client.base_url.host, client.base_url.port
        with socket.create_connection(place, timeout=20) as opened:
            yield opened


def answer(connection) -> bytes:
    """The first line of an answer, after all of it has come."""
    received = b""
    while not received.endswith(b"}"):
        received += connection.recv(4096)
    return received.split(b"\r\n")[0]


@pytest.mark.parametrize("sent", [b"", b"POST /v1", HEAD[:-2]])
def test_headers_that_do_not_come(connection, sent):
    connection.sendall(sent)
    began = time.monotonic()
    assert connection.recv(1) == b""
    assert time.monotonic() - began < 10 * PATIENCE_S


def test_headers_of_a_second_request_that_do_not_come(connection):
    connection.sendall(HEAD + BODY)
    assert answer(connection) == b"HTTP/1.1 200 OK"
    connection.sendall(b"GET /v1")
    assert connection.recv(1) == b""


@pytest.mark.parametrize("connection", [SlowModel], indirect=True)
def test_a_long_answer_is_waited_for(connection):
    connection.sendall(HEAD + BODY)
    assert answer(connection) == b"HTTP/1.1 200 OK"


def test_a_slow_body_is_left_to_its_own_limit(connection):
    connection.sendall(HEAD)
    time.sleep(3 * PATIENCE_S)
    connection.sendall(BODY)
    assert answer(connection) == b"HTTP/1.1 200 OK"


def test_who_asks_again_in_time_stays(connection):
    for _ in range(6):
        connection.sendall(HEAD + BODY)
        assert answer(connection) == b"HTTP/1.1 200 OK"
        time.sleep(PATIENCE_S / 2)
