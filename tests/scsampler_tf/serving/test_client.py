"""The client against a scripted server: what it sends, how it reads, what it says when things go wrong."""

import gzip
import http.server
import json
import threading

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.serving import client as client_module
from scsampler_tf.serving.client import RequestRefused, ServingClient, decode, encode, model_url


def output(dtype: str, rank: int) -> dict:
    return {"dtype": dtype, "tensor_shape": {"dim": [{"size": "-1"}] * rank, "unknown_rank": False}}


SIGNATURES = {
    "serving_default": {"outputs": {"y": output("DT_FLOAT", 1)}},
    "many": {"outputs": {"y": output("DT_INT32", 3), "name": output("DT_STRING", 1)}},
    "__saved_model_init_op": {"outputs": {}},
}
METADATA = {"metadata": {"signature_def": {"signature_def": SIGNATURES}}}


class Scripted(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        metadata = self.path.endswith("/metadata")
        self._answer(200, METADATA if metadata else {"model_version_status": [{"version": "1"}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.headers.append(self.headers)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append((self.path, json.loads(body)))
        self._answer(*(self.server.answers.pop(0) if self.server.answers else (200, {"outputs": [1.0]})))

    def _answer(self, status, document):
        if status == 0:
            self.connection.close()
            return
        if status == -1:
            self.server.released.wait(5)
            return
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        if self.server.packs:
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def scripted():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    server.requests, server.answers, server.released = [], [], threading.Event()
    server.headers, server.packs = [], False
    server.handle_error = lambda *arguments: None  # connections that the script cut
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(scripted):
    with ServingClient(f"http://127.0.0.1:{scripted.server_port}", "m", backoff_s=0.001, gzip=True) as client:
        yield client


def test_status_and_metadata(client):
    assert client.status() == [{"version": "1"}]
    assert client.metadata() == SIGNATURES


def test_what_is_sent(client, scripted):
    inputs = {
        "clips": np.array([[b"\xff", b""]], object),
        "nested": [[b"\xff"], ["text"]],
        "x": np.array([0.1], np.float32),
        "k": np.int64(3),
        "mask": np.array([True]),
    }
    client.predict("", inputs)
    path, document = scripted.requests[0]
    assert path == "/v1/models/m:predict"
    assert document == {
        "signature_name": "serving_default",
        "inputs": {
            "clips": [[{"b64": "/w=="}, {"b64": ""}]],
            "nested": [[{"b64": "/w=="}], ["text"]],
            "x": [0.1],
            "k": 3,
            "mask": [True],
        },
    }


def large(count: int) -> dict:
    """Inputs that make a body of `count` bytes."""
    return {"x": "a" * (count - len('{"signature_name": "serving_default", "inputs": {"x": ""}}'))}


def test_bodies_of_a_size_that_a_server_unpacks_are_packed(client, scripted, monkeypatch):
    monkeypatch.setattr(client_module, "PACKED_TO", 3000)
    for size in (1023, 1024, 3000, 3001):
        client.predict("", large(size))
    packed = [(headers["Content-Encoding"], int(headers["Content-Length"])) for headers in scripted.headers]
    assert packed[0] == (None, 1023)
    assert packed[3] == (None, 3001)
    assert packed[1][0] == packed[2][0] == "gzip"
    assert packed[1][1] < packed[2][1] < 200
    assert [document["inputs"] for _, document in scripted.requests] == [
        large(size) for size in (1023, 1024, 3000, 3001)
    ]


def test_packed_bodies_are_sent_again_as_they_were(client, scripted):
    scripted.answers.append((503, {"error": "busy"}))
    client.predict("", large(2000))
    first, second = scripted.requests
    assert first == second
    assert [headers["Content-Encoding"] for headers in scripted.headers] == ["gzip", "gzip"]


@pytest.mark.parametrize("chosen", [{}, {"gzip": False}])
def test_on_this_machine_nothing_is_packed_unless_asked_for(scripted, chosen):
    with ServingClient(f"http://127.0.0.1:{scripted.server_port}", "m", **chosen) as client:
        client.predict("", large(5000))
    assert scripted.headers[0]["Content-Encoding"] is None
    assert scripted.headers[0]["Accept-Encoding"] == "identity"


def test_packed_answers_are_asked_for_and_read(client, scripted):
    scripted.packs = True
    assert client.predict("", {})["y"].tolist() == [1.0]
    assert "gzip" in scripted.headers[0]["Accept-Encoding"]


def test_the_size_limit_is_that_of_the_unpacked_body(scripted):
    url = f"http://127.0.0.1:{scripted.server_port}/v1/models/m"
    with ServingClient(url, max_request_bytes=5000) as client:
        client.predict("", large(5000))
        with pytest.raises(RequestRefused, match="fewer clips"):
            client.predict("", large(5001))
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(("status", "of_the_request"), [(400, True), (413, True), (404, False), (503, False)])
def test_which_failures_are_the_requests_own(client, scripted, status, of_the_request):
    scripted.answers.extend([(status, {"error": "no"})] * 4)
    with pytest.raises(UserError) as caught:
        client.predict("", {})
    assert isinstance(caught.value, RequestRefused) == of_the_request


def test_lone_output_gets_its_name_back(client, scripted):
    scripted.answers.append((200, b'{"outputs": [NaN, 0.1]}'))
    answer = client.predict("serving_default", {"x": [1]})
    assert list(answer) == ["y"]
    assert answer["y"].dtype == np.float32
    np.testing.assert_array_equal(answer["y"], np.array([np.nan, 0.1], np.float32))


def test_several_outputs_with_empty_dimensions(client, scripted):
    scripted.answers.append((200, {"outputs": {"y": [[], []], "name": ["a", "b"]}}))
    answer = client.predict("many", {})
    assert answer["y"].shape == (2, 0, 0)
    assert answer["y"].dtype == np.int32
    assert answer["name"].tolist() == ["a", "b"]


def test_bytes_come_back_as_bytes():
    values = decode([[{"b64": "/w=="}], [{"b64": ""}]], output("DT_STRING", 2))
    assert values.tolist() == [[b"\xff"], [b""]]
    with pytest.raises(ValueError, match="DT_COMPLEX64"):
        decode([1], output("DT_COMPLEX64", 1))


def test_encode_leaves_what_it_does_not_know_to_json():
    assert encode(None) is None
    assert encode((1, memoryview(b"a"))) == [1, {"b64": "YQ=="}]
    assert encode(np.array([b"a"])) == [{"b64": "YQ=="}]


@pytest.mark.parametrize("first", [[(503, {"error": "busy"})] * 2, [(502, b"<html>")], [(0, b"")]])
def test_passing_failures_are_tried_again(client, scripted, first):
    scripted.answers.extend(first)
    assert client.predict("", {})["y"].tolist() == [1.0]
    assert len(scripted.requests) == len(first) + 1


def test_lasting_failure_says_what_the_server_said(client, scripted):
    scripted.answers.extend([(503, {"error": "still\nbusy"})] * 9)
    with pytest.raises(UserError, match=r"127\.0\.0\.1.*503: still busy"):
        client.predict("", {})
    assert len(scripted.requests) == 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((400, {"error": "wrong rank"}), "refused with 400: wrong rank"),
        ((404, b"not found"), "refused with 404: not found"),
        ((413, b""), "refused with 413"),
        ((400, {"error": "x" * 1000}), "x" * 300 + r"\.\.\."),
        ((200, b"<html>"), "something else than JSON"),
        ((200, {"predictions": []}), "without 'outputs'"),
        ((200, b"[]"), "without 'outputs'"),
        ((200, {"outputs": ["a"]}), "does not fit its metadata"),
    ],
)
def test_refusals_are_not_tried_again(client, scripted, answer, words):
    scripted.answers.append(answer)
    with pytest.raises(UserError, match=words) as caught:
        client.predict("", {})
    assert "\n" not in str(caught.value)
    assert len(scripted.requests) == 1


def test_outputs_that_changed_are_asked_for_again(client, scripted):
    scripted.answers.append((200, {"outputs": {"z": [1]}}))
    with pytest.raises(UserError, match="other outputs"):
        client.predict("many", {})


def test_the_metadata_are_asked_for_once_for_all_signatures(client, scripted, monkeypatch):
    asked = []
    metadata = client.metadata
    monkeypatch.setattr(client, "metadata", lambda: asked.append(1) or metadata())
    for signature, outputs in (("", [1.0]), ("many", {"y": [[[1]]], "name": ["a"]}), ("", [2.0])):
        scripted.answers = [(200, {"outputs": outputs})]
        client.predict(signature, {"x": [1.0]})
    assert len(asked) == 1


def test_unknown_signature_names_the_known(client):
    with pytest.raises(UserError, match=r"no signature 'absent'; it has many, serving_default; if it"):
        client.predict("absent", {})


def test_too_large_a_request_is_not_sent(scripted):
    url = f"http://127.0.0.1:{scripted.server_port}/v1/models/m"
    with ServingClient(url, max_request_bytes=1000) as client, pytest.raises(UserError, match="fewer clips"):
        client.predict("", {"x": b"x" * 1000})
    assert scripted.requests == []


def test_timeout(scripted):
    scripted.answers.append((-1, b""))
    url = f"http://127.0.0.1:{scripted.server_port}"
    with ServingClient(url, "m", timeout_s=0.2) as client, pytest.raises(UserError, match=r"within 0\.2 sec"):
        client.predict("", {})


def test_no_server():
    with ServingClient("http://127.0.0.1:9", "m", backoff_s=0) as client, pytest.raises(UserError) as caught:
        client.status()
    assert "http://127.0.0.1:9/v1/models/m: cannot be reached" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "model", "address"),
    [
        ("http://h:8501", "m", "http://h:8501/v1/models/m"),
        ("http://h:8501/", "a b", "http://h:8501/v1/models/a%20b"),
        ("http://h:8501/v1/models", "m", "http://h:8501/v1/models/m"),
        ("https://h/tf/v1/models/m/", None, "https://h/tf/v1/models/m"),
        ("http://h/v1/models/m/versions/3", "m", "http://h/v1/models/m/versions/3"),
    ],
)
def test_addresses(url, model, address):
    assert model_url(url, model) == address


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("localhost:8501", "m"),
        ("ftp://h", "m"),
        ("http://", "m"),
        ("http://h", None),
        ("http://h/v1/models/a", "b"),
        ("http://h/v1/models/a:predict", None),
    ],
)
def test_wrong_addresses(url, model):
    with pytest.raises(UserError):
        model_url(url, model)
