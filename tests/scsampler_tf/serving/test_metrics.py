"""The Prometheus text at TF-Serving's path, against the requests that were made."""

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.errors import UserError
from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.monitoring_config import METRICS_PATH, read_monitoring_config
from tests.scsampler_tf.serving.stub_composite import PlainModel, stub_base

PREDICT = "/v1/models/plain:predict"
BODY = b'{"inputs": {"x": [1.0]}}'


@pytest.fixture
def client(tmp_path, running):
    with running(create_app(stub_base(tmp_path, plain=PlainModel()), metrics_path=METRICS_PATH)) as client:
        yield client


def samples(client) -> dict[tuple, float]:
    """Every sample: (name, *label values in the order of their names) -> value."""
    response = client.get("/monitoring/prometheus/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_requests_are_counted_under_tf_servings_names(client):
    for body in (BODY, BODY, b"{}"):
        client.post(PREDICT, content=body)
    client.get("/v1/models/plain")
    client.post("/v1/models/absent:predict", content=BODY)
    found = samples(client)
    count = ":tensorflow:serving:request_count"
    assert found[count, "plain", "OK"] == 2
    assert found[count, "plain", "INVALID_ARGUMENT"] == 1
    assert found[count, "", "NOT_FOUND"] == 1
    assert found[":tensorflow:serving:request_latency_count", "predict", "REST", "plain"] == 2
    total = "scsampler_server_requests_total"
    assert found[total, "200", "plain", "predict"] == 2
    assert found[total, "400", "plain", "predict"] == 1
    assert found[total, "404", "", "predict"] == 1
    assert found[total, "200", "plain", "status"] == 1


def test_the_latencys_buckets_are_tf_servings(client):
    client.post(PREDICT, content=BODY)
    found = samples(client)
    buckets = [key for key in found if key[0] == ":tensorflow:serving:request_latency_bucket"]
    edges = sorted(float(key[3]) for key in buckets)
    assert len(edges) == 34
    assert edges[:3] == pytest.approx([10, 18, 32.4])
    assert found[":tensorflow:serving:request_latency_sum", "predict", "REST", "plain"] > 0


def test_bytes_requests_in_flight_and_loaded_versions(client):
    answer = client.post(PREDICT, content=BODY).content
    assert json.loads(answer) == {"outputs": [2.0]}
    found = samples(client)
    assert found["scsampler_server_request_bytes_total", "plain", "predict"] == len(BODY)
    assert found["scsampler_server_response_bytes_total", "plain", "predict"] == len(answer)
    assert found["scsampler_server_requests_in_flight",] == 1  # the one that asks
    assert found["scsampler_server_waiting_bytes",] == 0
    assert found["scsampler_server_loaded_version", "plain", "7"] == 1


def test_names_that_are_not_served_do_not_pile_up(client):
    for number in range(50):
        client.post(f"/v1/models/m{number}:predict", content=BODY)
        client.get(f"/{number}")
    assert len([key for key in samples(client) if key[0] == "scsampler_server_requests_total"]) == 2


def test_two_applications_count_apart(client, tmp_path, running):
    client.post(PREDICT, content=BODY)
    with running(create_app(stub_base(tmp_path / "other", plain=PlainModel()))) as other:
        assert not [key for key in samples(other) if key[0] == ":tensorflow:serving:request_count"]


def test_another_path_or_none(tmp_path, running):
    base = stub_base(tmp_path, plain=PlainModel())
    with running(create_app(base, metrics_path="/metrics")) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get(METRICS_PATH).status_code == 404
    with running(create_app(base, metrics_path=None)) as client:
        assert client.get(METRICS_PATH).status_code == 404


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config: { enable: true, path: "/metrics" }', "/metrics"),
        ('prometheus_config { enable: false path: "/metrics" }', None),
        ("", None),
    ],
)
def test_monitoring_config(tmp_path, text, path):
    file = tmp_path / "monitoring.config"
    file.write_text(text)
    assert read_monitoring_config(file) == path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prometheus {", "not a monitoring config"),
        ("prometheus_config { enable: maybe }", "not a monitoring config"),
        ('prometheus_config { enable: true path: "metrics" }', "cannot be at 'metrics'"),
        ('prometheus_config { enable: true path: "/v1/models" }', "cannot be at"),
        ('prometheus_config { enable: true path: "/" }', "cannot be at"),
    ],
)
def test_monitoring_config_mistakes(tmp_path, text, words):
    file = tmp_path / "monitoring.config"
    file.write_text(text)
    with pytest.raises(UserError, match=words):
        read_monitoring_config(file)
    with pytest.raises(UserError, match="cannot be read"):
        read_monitoring_config(tmp_path / "absent")
