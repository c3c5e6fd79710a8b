"""The client against the local server: packed bodies arrive as they were."""

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.serving.client import RequestRefused, ServingClient


@pytest.fixture
def client(server):
    with ServingClient(str(server.base_url), "scsampler", gzip=True) as client:
        yield client


def test_the_server_unpacks_what_the_client_packs(client, monkeypatch):
    values = np.linspace(0, 1, 3000, dtype=np.float32)
    packed = []
    request = client._http.request
    monkeypatch.setattr(
        client._http, "request", lambda *words, **rest: packed.append(rest) or request(*words, **rest)
    )
    np.testing.assert_array_equal(client.predict("", {"x": values})["y"], values / 2 + 3)
    assert packed[-1]["headers"]["Content-Encoding"] == "gzip"


def test_a_refusal_is_the_requests_own_and_a_missing_model_is_not(client, server):
    with pytest.raises(RequestRefused, match="refused with 413"):
        client.predict("", {"x": np.zeros(60_000)})
    with (
        ServingClient(str(server.base_url), "absent") as other,
        pytest.raises(UserError, match="refused with 404") as caught,
    ):
        other.predict("", {"x": [1]})
    assert not isinstance(caught.value, RequestRefused)


def test_for_servers_elsewhere_requests_are_packed():
    with ServingClient("http://videos.example:8501", "m") as client:
        assert client._gzip
        assert "gzip" in client._http.headers["Accept-Encoding"]
