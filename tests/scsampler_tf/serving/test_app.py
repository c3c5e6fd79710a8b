"""The local server against TF-Serving's documented REST interface.

Written from TensorFlow Serving's page "RESTful API".
"""

import asyncio
import base64
import gzip
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.model_base import ModelBase, models_in_folder

MODEL = "/v1/models/scsampler"
B64 = {"b64": base64.b64encode(b"\x00\xffjpeg").decode()}
THREE = [
    {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
    {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
]
THREE_COLUMNS = {name: [row[name] for row in THREE] for name in THREE[0]}


def predict(server, document, path=MODEL) -> tuple[int, dict]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    response = server.post(path + ":predict", content=body)
    assert response.headers["content-type"] == "application/json"
    return response.status_code, json.loads(response.content)


@pytest.mark.parametrize("path", ["", "/versions/1", "/labels/stable"])
def test_status(server, path):
    response = server.get(MODEL + path)
    assert response.status_code == 200
    assert response.json() == {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }


@pytest.mark.parametrize("path", ["", "/versions/1", "/labels/stable"])
def test_metadata(server, path):
    response = server.get(MODEL + path + "/metadata")
    document = response.json()
    assert document["model_spec"] == {"name": "scsampler", "signature_name": "", "version": "1"}
    signature = document["metadata"]["signature_def"]["signature_def"]["three"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["sensor"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["sensor"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}] * 3,
        "unknown_rank": False,
    }
    assert set(signature["outputs"]) == {"tag", "total", "flat"}


@pytest.mark.parametrize("path", [MODEL, MODEL + "/versions/1", MODEL + "/labels/stable", MODEL.upper()[:10]])
@pytest.mark.parametrize("name", [{}, {"signature_name": "serving_default"}, {"signature_name": ""}])
def test_predict_of_the_default_signature(server, path, name):
    path = path if path.startswith("/v1") else "/V1/MODELS/scsampler"
    row = predict(server, {**name, "instances": [1.0, 2.0, 5.0]}, path)
    assert row == (200, {"predictions": [3.5, 4.0, 5.5]})
    assert predict(server, {**name, "inputs": [1, 2, 5]}, path) == (200, {"outputs": [3.5, 4.0, 5.5]})


ANSWERS = {
    "named single input, rows": ({"instances": [{"x": 1.0}]}, {"predictions": [3.5]}),
    "named single input, columns": ({"inputs": {"x": [1.0]}}, {"outputs": [3.5]}),
    "names beyond the signature's, columns": ({"inputs": {"x": [1.0], "z": 0}}, {"outputs": [3.5]}),
    "several inputs, rows": (
        {"signature_name": "three", "instances": THREE},
        {
            "predictions": [
                {"flat": [3.0, 7.0], "tag": "FOO", "total": 15},
                {"flat": [9.0, 14.0], "tag": "BAR", "total": 15},
            ]
        },
    ),
    "several inputs, columns": (
        {"signature_name": "three", "inputs": THREE_COLUMNS},
        {"outputs": {"flat": [[3.0, 7.0], [9.0, 14.0]], "tag": ["FOO", "BAR"], "total": [15, 15]}},
    ),
    "base64, columns": (
        {"signature_name": "images", "inputs": {"image": [[B64, "text"]]}},
        {"outputs": {"image_bytes": [[B64, {"b64": "dGV4dA=="}]], "length": [[6, 4]]}},
    ),
    "base64, rows": (
        {"signature_name": "images", "instances": [[B64], ["a"]]},
        {
            "predictions": [
                {"image_bytes": [B64], "length": [6]},
                {"image_bytes": [{"b64": "YQ=="}], "length": [1]},
            ]
        },
    ),
    "text": ({"signature_name": "raw", "inputs": ["caf\u00e9"]}, {"outputs": ["caf\u00e9"]}),
    "types": (
        {"signature_name": "types", "inputs": {"i8": [-128], "u8": [255], "f64": [0.1], "flag": [True]}},
        {"outputs": {"i8": [-128], "u8": [255], "f64": [0.1], "flag": [False], "half": [0.099975586]}},
    ),
    "no rows of strings": (
        {"signature_name": "images", "inputs": {"image": [[]]}},
        {"outputs": {"image_bytes": [[]], "length": [[]]}},
    ),
    "scalar output, columns": ({"signature_name": "mean", "inputs": [1, 2]}, {"outputs": 1.5}),
    "batches of two sizes, columns": (
        {"signature_name": "batches", "inputs": [1]},
        {"outputs": {"one": [1.0], "two": [1.0, 1.0]}},
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_predict(server, case):
    request, answer = ANSWERS[case]
    assert predict(server, request) == (200, answer)


def test_special_numbers_are_words_both_ways(server):
    body = b'{"signature_name": "echo", "inputs": [NaN, Infinity, -Infinity, 0.1]}'
    response = server.post(MODEL + ":predict", content=body)
    assert response.content == b'{"outputs": [NaN, Infinity, -Infinity, 0.1]}'


REFUSALS = {
    "empty": b"",
    "not JSON": b"instances = [1, 2]",
    "not UTF-8": b'{"instances": ["\xff"]}',
    "not an object": b"[1]",
    "too deep": b'{"inputs": ' + b"[" * 40_000,
    "neither form": {},
    "both forms": {"inputs": [1.0], "instances": [1.0]},
    "signature not a string": {"signature_name": 100},
    "unknown signature": {"signature_name": "absent", "inputs": [1.0]},
    "initialiser as signature": {"signature_name": "__saved_model_init_op", "inputs": [1.0]},
    "wrong type": {"instances": ["x"]},
    "bool as number": {"instances": [True]},
    "wrong rank": {"instances": [[1.0]]},
    "rank too low": {"inputs": 1.0},
    "ragged": {"signature_name": "images", "inputs": {"image": [["a", "b"], ["c"]]}},
    "bad base64": {"signature_name": "images", "inputs": {"image": [[{"b64": "?"}]]}},
    "other object": {"signature_name": "images", "inputs": {"image": [[{"url": "file:///etc/passwd"}]]}},
    "missing input, columns": {"signature_name": "three", "inputs": {"tag": ["a"]}},
    "missing input, rows": {"signature_name": "three", "instances": [{"tag": "a"}]},
    "plain list for several inputs": {"signature_name": "three", "instances": ["a"]},
    "scalar output, rows": {"signature_name": "mean", "instances": [1.0]},
    "batches of two sizes, rows": {"signature_name": "batches", "instances": [1.0]},
    "error in the graph": {"signature_name": "add", "inputs": {"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}},
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
    _, document = predict(server, REFUSALS["error in the graph"])
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


def test_requests_at_the_same_time(server):
    def ask(number):
        return predict(server, {"inputs": [float(number)] * 100})[1]["outputs"]

    with ThreadPoolExecutor(8) as pool:
        for number, answer in enumerate(pool.map(ask, range(80))):
            assert answer == [number / 2 + 3] * 100
