"""What TensorFlow Serving's pages "RESTful API" and "Configuration" say, asked of the local server.

With TF_SERVING_URL the same tests ask a real TF-Serving; how to start one says `plain_model`.
"""

import base64
import gzip
import itertools
import json
import os
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.scsampler_tf.serving.plain_model import add_version, remove_version

MODEL, SEVERAL, CHANGING = "/v1/models/scsampler", "/v1/models/several", "/v1/models/changing"
LONGEST_S = 60  # for a version to come or go
B64 = {"b64": base64.b64encode(b"\x00\xffjpeg").decode()}
THREE = [
    {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
    {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
]
THREE_COLUMNS = {name: [row[name] for row in THREE] for name in THREE[0]}
AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


@pytest.fixture(scope="session")
def server(conforming):
    return conforming[0]


def predict(server, document, path=MODEL) -> tuple[int, dict]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    response = server.post(path + ":predict", content=body)
    assert response.headers["content-type"].startswith("application/json")
    return response.status_code, json.loads(response.content)


def refused(response, status) -> str:
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    return response.json()["error"]


@pytest.mark.parametrize("path", ["", "/versions/1", "/labels/stable"])
def test_status(server, path):
    response = server.get(MODEL + path)
    assert response.status_code == 200
    assert response.json() == {"model_version_status": [{"version": "1", **AVAILABLE}]}


@pytest.mark.parametrize("path", ["", "/versions/1", "/labels/stable"])
def test_metadata(server, path):
    document = server.get(MODEL + path + "/metadata").json()
    assert document["model_spec"] == {"name": "scsampler", "signature_name": "", "version": "1"}
    signature = document["metadata"]["signature_def"]["signature_def"]["three"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    sensor = signature["inputs"]["sensor"]
    assert sensor["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in sensor["tensor_shape"]["dim"]] == ["-1"] * 3
    assert sensor["tensor_shape"]["unknown_rank"] is False
    assert set(signature["outputs"]) == {"tag", "total", "flat"}


@pytest.mark.parametrize(
    "path", [MODEL, MODEL + "/versions/1", MODEL + "/labels/stable", "/V1/MODELS/scsampler"]
)
@pytest.mark.parametrize("name", [{}, {"signature_name": "serving_default"}, {"signature_name": ""}])
def test_predict_of_the_default_signature(server, path, name):
    row = predict(server, {**name, "instances": [1.0, 2.0, 5.0]}, path)
    assert row == (200, {"predictions": [3.5, 4.0, 5.5]})
    assert predict(server, {**name, "inputs": [1, 2, 5]}, path) == (200, {"outputs": [3.5, 4.0, 5.5]})


ANSWERS = {
    "named single input, rows": ({"instances": [{"x": 1.0}]}, {"predictions": [3.5]}),
    "named single input, columns": ({"inputs": {"x": [1.0]}}, {"outputs": [3.5]}),
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
    content = server.post(MODEL + ":predict", content=body).content
    assert b"".join(content.split()) == b'{"outputs":[NaN,Infinity,-Infinity,0.1]}'


REFUSALS = {
    "empty": b"",
    "not JSON": b"instances = [1, 2]",
    "not an object": b"[1]",
    "neither form": {},
    "both forms": {"inputs": [1.0], "instances": [1.0]},
    "no instances": {"instances": []},
    "instances not a list": {"instances": 1.0},
    "signature not a string": {"signature_name": 100},
    "unknown signature": {"signature_name": "absent", "inputs": [1.0]},
    "initialiser as signature": {"signature_name": "__saved_model_init_op", "inputs": [1.0]},
    "wrong type": {"instances": ["x"]},
    "bool as number": {"instances": [True]},
    "too precise a number": {"inputs": [2**24]},
    "too large a number": {"inputs": [1e39]},
    "ragged": {"signature_name": "images", "inputs": {"image": [["a", "b"], ["c"]]}},
    "ragged rows": {"signature_name": "images", "instances": [["a", "b"], ["c"]]},
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
    assert (status, list(document)) == (400, ["error"])
    assert document["error"]
    if "TF_SERVING_URL" not in os.environ:
        assert "\n" not in document["error"]  # one sentence
        assert "Traceback" not in document["error"]


@pytest.mark.parametrize("path", ["/v1/models/absent", MODEL + "/versions/99"])
def test_unknown_models_and_versions(server, path):
    refused(server.get(path), 404)
    refused(server.get(path + "/metadata"), 404)
    assert "Servable not found for request" in refused(
        server.post(path + ":predict", content=b'{"instances": [1.0]}'), 404
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("POST", "/v1/foo"),
        ("GET", "/v1/models"),
        ("GET", MODEL + ":predict"),
        ("POST", MODEL + "/version/50:predict"),
        ("POST", MODEL + "/versions/HELLO:predict"),
        ("POST", MODEL + "/versions/1/labels/stable:predict"),
        ("POST", MODEL + "/versions/18446744073709551615:predict"),
        ("POST", MODEL + ":explain"),
    ],
)
def test_malformed_paths(server, method, path):
    refused(server.request(method, path, content=b'{"instances": [1.0]}'), 400)


def test_packed_bodies(server):
    packed = gzip.compress(b'{"inputs": [1.0]}')
    response = server.post(MODEL + ":predict", content=packed, headers={"Content-Encoding": "gzip"})
    assert response.json() == {"outputs": [3.5]}


def test_several_models_versions_and_labels_of_the_config(server):
    states = {each["version"]: each["state"] for each in server.get(SEVERAL).json()["model_version_status"]}
    assert states == {"3": "AVAILABLE", "1": "AVAILABLE"}
    for path, answer in (
        (SEVERAL, 5.5),
        (SEVERAL + "/versions/1", 3.5),
        (SEVERAL + "/versions/3", 5.5),
        (SEVERAL + "/labels/stable", 3.5),
        (SEVERAL + "/labels/canary", 5.5),
    ):
        assert predict(server, {"inputs": [1.0]}, path) == (200, {"outputs": [answer]})
    refused(server.get(SEVERAL + "/versions/2"), 404)
    refused(server.post(SEVERAL + "/labels/absent:predict", content=b'{"inputs": [1.0]}'), 400)


def wait_until(true) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def states(server) -> dict[str, str]:
    return {each["version"]: each["state"] for each in server.get(CHANGING).json()["model_version_status"]}


def test_a_new_version_takes_over_without_a_failed_request(conforming):
    """Four clients ask all the time while version 2 comes and then goes again."""
    server, folder = conforming
    answers, stop = [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(predict(server, {"inputs": [1.0] * 50}, CHANGING))

    def answer() -> float:
        return answers[-1][1]["outputs"][0]

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: answers and answer() == 3.5)
        add_version(folder, "changing", 2)
        wait_until(lambda: answer() == 4.5)
        wait_until(
            lambda: states(server).get("2") == "AVAILABLE" and states(server).get("1") in (None, "END")
        )
        refused(server.post(CHANGING + "/versions/1:predict", content=b'{"inputs": [1.0]}'), 404)
        remove_version(folder, "changing", 2)
        wait_until(lambda: answer() == 3.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        remove_version(folder, "changing", 2)
    assert {status for status, _ in answers} == {200}
    assert {tuple(document["outputs"]) for _, document in answers} == {(3.5,) * 50, (4.5,) * 50}


def test_metrics(server):
    assert predict(server, {"inputs": [1.0]})[0] == 200
    assert predict(server, {})[0] == 400
    text = server.get("/monitoring/prometheus/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    own = [sample for sample in samples if sample.labels.get("model_name") == "scsampler"]
    counted = {sample.labels["status"]: sample.value for sample in own if "request_count" in sample.name}
    assert counted["OK"] >= 1
    for name in ("request_latency", "runtime_latency"):
        prefix = f":tensorflow:serving:{name}"
        (count,) = (sample for sample in own if sample.name == f"{prefix}_count")
        assert count.value >= 1
        assert count.labels["API"].lower() == "predict"
        buckets = [sample.value for sample in own if sample.name == f"{prefix}_bucket"]
        assert buckets == sorted(buckets)
        assert buckets[-1] == count.value
        assert len(buckets) == 34


def test_many_requests_at_a_time_keep_their_own_answers(server):
    numbers, wrong = itertools.count(), []

    def ask() -> None:
        for _ in range(20):
            number = float(next(numbers))
            found = predict(server, {"inputs": [number] * 100})
            if found != (200, {"outputs": [number / 2 + 3] * 100}):
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
