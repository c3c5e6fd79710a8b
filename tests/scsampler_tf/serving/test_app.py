"""What the local server does more strictly than TF-Serving, or as its own; the rest: `test_conformance`."""

import asyncio
import base64
import gzip
import itertools
import json
import time
from functools import partial

import pytest

from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.model_base import ModelBase, models_in_folder
from scsampler_tf.serving.server import names, parse_arguments

MODEL = "/v1/models/scsampler"
B64 = {"b64": base64.b64encode(b"\x00\xffjpeg").decode()}


def predict(server, document, path=MODEL) -> tuple[int, dict]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    response = server.post(path + ":predict", content=body)
    assert response.headers["content-type"] == "application/json"
    return response.status_code, json.loads(response.content)


ANSWERS = {
    "names beyond the signature's, columns": ({"inputs": {"x": [1.0], "z": 0}}, {"outputs": [3.5]}),
    "types": (
        {"signature_name": "types", "inputs": {"i8": [-128], "u8": [255], "f64": [0.1], "flag": [True]}},
        {"outputs": {"i8": [-128], "u8": [255], "f64": [0.1], "flag": [False], "half": [0.099975586]}},
    ),
    "no rows of strings": (
        {"signature_name": "images", "inputs": {"image": [[]]}},
        {"outputs": {"image_bytes": [[]], "length": [[]]}},
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_predict(server, case):
    request, answer = ANSWERS[case]
    assert predict(server, request) == (200, answer)


REFUSALS = {
    "not UTF-8": b'{"instances": ["\xff"]}',
    "too deep": b'{"inputs": ' + b"[" * 40_000,
    "wrong rank": {"instances": [[1.0]]},
    "rank too low": {"inputs": 1.0},
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_requests(server, case):
    status, document = predict(server, REFUSALS[case])
    assert status == 400
    assert list(document) == ["error"]
    assert document["error"]
    assert "\n" not in document["error"]
    assert "Traceback" not in document["error"]


def test_error_of_the_graph_is_one_sentence(server):
    request = {"signature_name": "add", "inputs": {"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}}
    _, document = predict(server, request)
    assert document == {"error": "Incompatible shapes: [2] vs. [3]"}


def test_other_statuses_of_predict(server):
    assert predict(server, {"signature_name": "raw", "inputs": [B64]})[0] == 500
    half = {"i8": [1], "u8": [1], "f64": [1], "flag": [True], "half": 1.0}
    assert predict(server, {"signature_name": "half_input", "inputs": half})[0] == 501


@pytest.mark.parametrize("path", ["/v1/models/absent", MODEL + "/versions/99", MODEL + "99"])
def test_unknown_models_and_versions(server, path):
    assert server.get(path).status_code == 404
    assert server.get(path + "/metadata").status_code == 404
    status, document = predict(server, {"instances": [1.0]}, path)
    assert status == 404
    assert document["error"].startswith("Servable not found for request: ")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("POST", "/v1/foo", 400, "Malformed request"),
        ("GET", "/v1/models", 400, "Missing model name"),
        ("POST", "/v1/models", 400, "Malformed request"),
        ("GET", MODEL + ":predict", 400, "Malformed request"),
        ("POST", MODEL + "/version/50:predict", 400, "Malformed request"),
        ("POST", MODEL + "/versions/HELLO:predict", 400, "Malformed request"),
        ("POST", MODEL + "/versions/1/labels/stable:predict", 400, "Malformed request"),
        ("POST", MODEL + "/metadata", 400, "Malformed request"),
        ("POST", MODEL + "/versions/18446744073709551615:predict", 400, "Failed to convert version"),
        ("GET", MODEL + "/versions/" + "9" * 5000, 400, "Failed to convert version"),
        ("POST", MODEL + "/labels/absent:predict", 400, "Unrecognized servable version label"),
        ("POST", MODEL + ":explain", 400, "Malformed request"),
        ("POST", MODEL + ":regress", 501, "not offered"),
        ("PUT", MODEL + ":predict", 400, "Malformed request"),
        ("GET", "/", 404, "Malformed request"),
        ("GET", "/v1/models/..%2f..%2fetc%2fpasswd", 404, "Could not find any versions"),
        ("GET", "/v1/models/%2e%2e", 404, "Could not find any versions"),
        ("GET", "/v1/models/scsampler%2f1", 404, "Could not find any versions"),
        ("GET", "/v1/models/%00%ff", 404, "Could not find any versions"),
        ("GET", "/v1/models//etc/passwd", 400, "Malformed request"),
        ("GET", MODEL + "/versions/1/saved_model.pb", 400, "Malformed request"),
    ],
)
def test_paths(server, method, path, status, words):
    response = server.request(method, path, content=b'{"instances": [1.0]}')
    assert response.status_code == status
    assert words in response.json()["error"]


def test_too_large_a_body(server):
    for content in (b" " * 100_001, itertools.repeat(b" " * 1000, 101)):
        response = server.post(MODEL + ":predict", content=content)
        assert response.status_code == 413
        assert "100000 bytes" in response.json()["error"]
    assert predict(server, b'{"inputs": [1.0]}' + b" " * 90_000)[0] == 200


def test_gzip_bodies_are_unpacked_within_the_limit(server):
    def post(content, encoding="gzip"):
        return server.post(MODEL + ":predict", content=content, headers={"Content-Encoding": encoding})

    packed = gzip.compress(b'{"inputs": [1.0]}')
    assert post(packed).json() == {"outputs": [3.5]}
    assert post(gzip.compress(b" " * 10**7)).status_code == 413
    assert post(packed[:-4]).status_code == 400
    assert post(b"no gzip").status_code == 400
    assert post(packed, "br").status_code == 400


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0, *", False),
        ("gzip; q=0.0", False),
        ("", False),
    ],
)
def test_answers_are_packed_for_those_who_read_it(server, accepted, is_packed):
    body = json.dumps({"inputs": [1.0] * 1000})
    headers = {"Accept-Encoding": accepted}
    with server.stream("POST", MODEL + ":predict", content=body, headers=headers) as response:
        content = b"".join(response.iter_raw())
    assert (response.headers.get("content-encoding") == "gzip") is is_packed
    assert json.loads(gzip.decompress(content) if is_packed else content) == {"outputs": [3.5] * 1000}
    assert int(response.headers["content-length"]) == len(content)
    short = server.post(MODEL + ":predict", content=b'{"inputs": [1.0]}', headers=headers)
    assert "content-encoding" not in short.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8501", 200),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:8501", 200),
        ("videos.example", 200),
        ("evil.example", 403),
        ("evil.example:8501", 403),
        ("127.0.0.1.evil.example", 403),
        ("[::1", 403),
    ],
)
def test_a_server_of_this_machine_goes_by_its_own_names(model_base, running, host, status):
    arguments = parse_arguments(["--model-base", str(model_base), "--allow-host", "Videos.example"])
    base = ModelBase(partial(models_in_folder, model_base), LoadedModel)
    base.refresh()
    with running(create_app(base, names=names(arguments))) as server:
        for path in (MODEL, "/", "/monitoring/prometheus/metrics"):
            found = server.get(path, headers={"Host": host}).status_code
            assert found == (404 if (path, status) == ("/", 200) else status)
        found = server.post(MODEL + ":predict", content=b'{"inputs": [1.0]}', headers={"Host": host})
        assert found.status_code == status


def test_which_names_a_server_has(model_base):
    def of(*words):
        return names(parse_arguments(["--model-base", str(model_base), *words]))

    assert of() == {"localhost", "127.0.0.1", "::1"}
    assert of("--host", "127.0.0.2") == {"localhost", "127.0.0.1", "::1", "127.0.0.2"}
    assert of("--host", "0.0.0.0") is None
    assert "videos.example" in of("--host", "0.0.0.0", "--allow-host", "videos.example")


def test_slow_body(server, model_base):
    base = ModelBase(partial(models_in_folder, model_base), LoadedModel)
    app = create_app(base, body_timeout_s=0.01)
    sent = []

    async def receive():
        await asyncio.sleep(5)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": MODEL + ":predict", "headers": []}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408


def test_a_new_version_is_served_while_running(model_base, tmp_path, running):
    def copy(version):
        target = tmp_path / "base" / "scsampler" / str(version)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(model_base / "scsampler" / "1")

    copy(1)
    base = ModelBase(partial(models_in_folder, tmp_path / "base"), LoadedModel)
    base.refresh()
    with running(create_app(base, poll_s=0.05)) as server:
        copy(12)
        deadline = time.monotonic() + 20
        while server.get(MODEL + "/metadata").json()["model_spec"]["version"] != "12":
            assert time.monotonic() < deadline
            assert predict(server, {"inputs": [1.0]}) == (200, {"outputs": [3.5]})
            time.sleep(0.02)
        assert predict(server, {"inputs": [1.0]}, MODEL + "/versions/12")[0] == 200
        while server.get(MODEL + "/versions/1").json()["model_version_status"][0]["state"] != "END":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert predict(server, {"inputs": [1.0]}, MODEL + "/versions/1")[0] == 404
