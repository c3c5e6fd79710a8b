"""A small SavedModel with the kinds of signatures that the REST interface must carry, and a server of it."""

import contextlib
import threading
import time

import httpx
import pytest
import tensorflow as tf
import uvicorn

from scsampler_tf.serving.app import create_app
from scsampler_tf.serving.loaded_model import LoadedModel
from scsampler_tf.serving.model_base import ModelBase
from scsampler_tf.serving.models_config import ModelConfig


def spec(name, dtype, rank):
    return tf.TensorSpec([None] * rank, dtype, name)


class Model(tf.Module):
    def __init__(self, offset):
        super().__init__()
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[spec("x", tf.float32, 1)])
    def half_plus(self, x):
        return {"y": x / 2 + self.offset}

    @tf.function(
        input_signature=[
            spec("tag", tf.string, 1),
            spec("signal", tf.int64, 2),
            spec("sensor", tf.float32, 3),
        ]
    )
    def three(self, tag, signal, sensor):
        total = tf.reduce_sum(signal, 1)
        return {"tag": tf.strings.upper(tag), "total": total, "flat": tf.reduce_sum(sensor, 2)}

    @tf.function(input_signature=[spec("image", tf.string, 2)])
    def images(self, image):
        return {"image_bytes": image, "length": tf.strings.length(image)}

    @tf.function(input_signature=[spec("image", tf.string, 1)])
    def raw(self, image):
        return {"text": image}

    @tf.function(input_signature=[spec("x", tf.float32, 1)])
    def echo(self, x):
        return {"x": tf.identity(x)}

    @tf.function(
        input_signature=[
            spec("i8", tf.int8, 1),
            spec("u8", tf.uint8, 1),
            spec("f64", tf.float64, 1),
            spec("flag", tf.bool, 1),
            spec("half", tf.float16, 0),
        ]
    )
    def half_input(self, i8, u8, f64, flag, half):
        return {"i8": i8, "u8": u8, "f64": f64, "flag": flag, "half": half}

    @tf.function(
        input_signature=[
            spec("i8", tf.int8, 1),
            spec("u8", tf.uint8, 1),
            spec("f64", tf.float64, 1),
            spec("flag", tf.bool, 1),
        ]
    )
    def types(self, i8, u8, f64, flag):
        half = tf.cast(f64, tf.float16)
        return {"i8": i8 + 0, "u8": u8 + 0, "f64": f64 + 0, "flag": tf.logical_not(flag), "half": half}

    @tf.function(input_signature=[spec("a", tf.float32, 1), spec("b", tf.float32, 1)])
    def add(self, a, b):
        return {"sum": a + b}

    @tf.function(input_signature=[spec("x", tf.float32, 1)])
    def mean(self, x):
        return {"mean": tf.reduce_mean(x)}

    @tf.function(input_signature=[spec("x", tf.float32, 1)])
    def batches(self, x):
        return {"one": x + 0, "two": tf.concat([x, x], 0)}

    @tf.function(
        input_signature=[
            spec("visual", tf.float32, 2),
            spec("audio", tf.float32, 2),
            spec("has_audio", tf.bool, 2),
            spec("mask", tf.bool, 2),
        ]
    )
    def select(self, visual, audio, has_audio, mask):
        saliency = tf.where(mask, visual + tf.where(has_audio, audio, 0.0), -1.0)
        best = tf.math.top_k(saliency, tf.minimum(2, tf.shape(saliency)[1]))
        return {"indices": tf.where(best.values < 0, -1, best.indices), "saliency": saliency}


def save_model(folder, offset: float = 3.0) -> None:
    model = Model(offset)
    names = ["three", "images", "raw", "echo", "types", "half_input", "add", "mean", "batches", "select"]
    signatures = {name: getattr(model, name) for name in names}
    tf.saved_model.save(model, str(folder), {"serving_default": model.half_plus, **signatures})


@pytest.fixture(scope="session")
def model_base(tmp_path_factory):
    """A model base with the model `scsampler` in version 1. Not to be written to."""
    base = tmp_path_factory.mktemp("saved_models")
    save_model(base / "scsampler" / "1")
    return base


@contextlib.contextmanager
def run_in_thread(app):
    """A client of the application, served by uvicorn in a thread."""
    uvicorn_server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=uvicorn_server.run)
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
        thread.join()


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
