"""A server of the plain model, and one for the conformance suite: the local one or that of TF_SERVING_URL."""

import contextlib
import os
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn

from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.connections import impatient
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.model_base import ModelBase
from scsampler_tf.serving.models_config import ModelConfig, read_models_config
from scsampler_tf.serving.monitoring_config import read_monitoring_config
from tests.scsampler_tf.serving.plain_model import save_model, write_base


@pytest.fixture(scope="session")
def model_base(tmp_path_factory):
    """A model base with the model `scsampler` in version 1. Not to be written to."""
    base = tmp_path_factory.mktemp("saved_models")
    save_model(base / "scsampler" / "1")
    return base


GRACE_S = (
    5  # for requests in hand; without it a connection that a test has left open holds up the end for ever
)


@contextlib.contextmanager
def run_in_thread(app, **settings):
    """A client of the application, served by uvicorn in a thread."""
    usual = {
        "http": impatient(),
        "log_level": "warning",
        "ws": "none",
        "timeout_graceful_shutdown": GRACE_S,
    }
    config = uvicorn.Config(app, port=0, **{**usual, **settings})
    uvicorn_server = uvicorn.Server(config)
    thread = threading.Thread(target=uvicorn_server.run, daemon=True)  # one that hangs fails, and no more
    thread.start()
    while not uvicorn_server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            yield client
    finally:
        uvicorn_server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def running():
    """`run_in_thread`, for tests with an application of their own."""
    return run_in_thread


@pytest.fixture(scope="session")
def server(model_base):
    config = ModelConfig("scsampler", model_base / "scsampler", labels={"stable": 1})
    base = ModelBase(lambda: [config], LoadedModel)
    base.refresh()
    with run_in_thread(create_app(base, threads=2, max_request_bytes=100_000)) as client:
        yield client


@pytest.fixture(scope="session")
def conforming(tmp_path_factory):
    """A client of a server of what `write_base` writes, and the folder in which the server looks for it.

    The server is the local one, or with TF_SERVING_URL a real one, started on the folder TF_SERVING_BASE.
    """
    if url := os.environ.get("TF_SERVING_URL"):
        with httpx.Client(base_url=url.rstrip("/"), trust_env=False, timeout=30) as client:
            yield client, Path(os.environ["TF_SERVING_BASE"])
        return
    folder = tmp_path_factory.mktemp("conformance")
    write_base(folder)
    configs = read_models_config(folder / "models.config", folder)
    base = ModelBase(lambda: configs, LoadedModel)
    base.refresh()
    metrics_path = read_monitoring_config(folder / "monitoring.config")
    with run_in_thread(create_app(base, threads=2, poll_s=0.1, metrics_path=metrics_path)) as client:
        yield client, folder
