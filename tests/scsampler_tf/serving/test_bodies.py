"""Bodies that wait: how much memory they may hold together."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.bodies import Budget
from scsampler_tf.serving.rest_json import RestError
from tests.scsampler_tf.serving.stub_composite import PlainModel, stub_base

PREDICT = "/v1/models/slow:predict"


class SlowModel(PlainModel):
    """Answers when it is told to."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert self.go.wait(30)
        return super().run(signature, inputs)


def body(size: int) -> bytes:
    return b'{"inputs": {"x": [1.0]}}'.ljust(size)


def test_a_budget_is_shared_and_given_back():
    budget = Budget(100)
    with budget.share() as first, budget.share() as second:
        first.take(60)
        second.take(40)
        with pytest.raises(RestError, match="hold 100 bytes together") as refused:
            second.take(1)
        assert refused.value.status == 503
        assert budget.held == 100
    assert budget.held == 0


def test_bodies_that_wait_are_bounded_together(tmp_path, running):
    model = SlowModel()
    app = create_app(stub_base(tmp_path, slow=model), threads=1, max_waiting_bytes=100_000)
    with running(app) as client, ThreadPoolExecutor(4) as pool:
        try:
            first = [pool.submit(client.post, PREDICT, content=body(45_000)) for _ in range(2)]
            deadline = time.monotonic() + 20
            while waiting_bytes(client) < 90_000:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            refused = client.post(PREDICT, content=body(20_000))
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert "100000 bytes" in refused.json()["error"]
            small = pool.submit(client.post, PREDICT, content=body(5_000))
        finally:
            model.go.set()
        assert [each.result().json() for each in [*first, small]] == [{"outputs": [2.0]}] * 3
        assert waiting_bytes(client) == 0
        assert client.post(PREDICT, content=body(99_000)).status_code == 200


def waiting_bytes(client) -> float:
    lines = client.get("/monitoring/prometheus/metrics").text.splitlines()
    return next(
        float(line.split()[1]) for line in lines if line.startswith("scsampler_server_waiting_bytes ")
    )


def test_a_body_that_is_refused_gives_its_part_back(tmp_path, running):
    model = SlowModel()
    model.go.set()
    app = create_app(
        stub_base(tmp_path, slow=model), threads=1, max_request_bytes=50_000, max_waiting_bytes=60_000
    )
    with running(app) as client:
        for _ in range(5):
            parts = iter([b" " * 30_000] * 2)
            assert client.post(PREDICT, content=parts).status_code == 413
            assert client.post(PREDICT, content=b"no JSON".ljust(40_000)).status_code == 400
        assert waiting_bytes(client) == 0
