"""Numbers for Prometheus, under TF-Serving's names where it counts the same.

TF-Serving's are `:tensorflow:serving:request_count` (by model and status word),
`:tensorflow:serving:request_latency` (microseconds, answered predict requests) and
`:tensorflow:serving:runtime_latency` (of these, what the graph takes); source: TensorFlow Serving's
`servables/tensorflow/util.cc`. What it has no name for begins with `scsampler_server_`.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from scsampler_tf.serving.model_base import ModelBase

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_COUNT = ":tensorflow:serving:request_count"
LATENCY_BUCKETS_US = tuple(10 * 1.8**power for power in range(33))  # TF-Serving's: up to about 20 minutes

# TensorFlow's word for an HTTP status; any other failure of the caller's is an invalid argument.
_WORDS = {
    200: "OK",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Metrics:
    """The numbers of one application; nothing is shared with another one in the same process."""

    def __init__(self, base: ModelBase, waiting_bytes: Callable[[], int]):
        self._registry = CollectorRegistry()
        self._predicts = Counter("predicts", "", ("model_name", "status"), registry=None)
        self._registry.register(_RequestCount(self._predicts))
        self._registry.register(_LoadedVersions(base))
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Wall time in microseconds of answered predict requests, from the first byte to the answer.",
            ("model_name", "API", "entrypoint"),
            buckets=LATENCY_BUCKETS_US,
            registry=self._registry,
        )
        self._runtime = Histogram(
            ":tensorflow:serving:runtime_latency",
            "Wall time in microseconds that TensorFlow took for answered predict requests.",
            ("model_name", "API", "runtime"),
            buckets=LATENCY_BUCKETS_US,
            registry=self._registry,
        )
        labels = ("model_name", "verb")
        self._requests = self._counter("requests", "Requests by model, verb and status.", *labels, "code")
        self._received = self._counter("request_bytes", "Bytes of request bodies, as they came.", *labels)
        self._sent = self._counter("response_bytes", "Bytes of response bodies.", *labels)
        in_flight = "Requests that have begun and are not answered yet."
        self._in_flight = Gauge("scsampler_server_requests_in_flight", in_flight, registry=self._registry)
        waiting = "Bytes that the bodies of waiting requests hold in memory."
        held = Gauge("scsampler_server_waiting_bytes", waiting, registry=self._registry)
        held.set_function(waiting_bytes)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"scsampler_server_{name}", text, labels, registry=self._registry)

    def text(self) -> bytes:
        """All numbers in Prometheus' text format."""
        return generate_latest(self._registry)

    @contextlib.contextmanager
    def running(self, model: str) -> Iterator[None]:
        """Counts what happens inside as the time of a graph; a failure is not counted."""
        begun = time.perf_counter()
        yield
        elapsed_us = (time.perf_counter() - begun) * 1e6
        self._runtime.labels(model, "Predict", "TF1").observe(elapsed_us)  # TF-Serving's own words

    async def measure(self, app, scope, receive, send, model: str, verb: str) -> None:
        """Runs an ASGI application for one request and counts it as `verb` of `model` ("" for none)."""
        received = sent = 0
        status = 500
        begun = time.perf_counter()

        async def counted_receive():
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def counted_send(message) -> None:
            nonlocal sent, status
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        self._in_flight.inc()
        try:
            await app(scope, counted_receive, counted_send)
        finally:
            self._in_flight.dec()
            self._requests.labels(model, verb, str(status)).inc()
            self._received.labels(model, verb).inc(received)
            self._sent.labels(model, verb).inc(sent)
            if verb == "predict":
                self._predicts.labels(model, _WORDS.get(status, "INVALID_ARGUMENT")).inc()
            if verb == "predict" and status == 200:
                elapsed_us = (time.perf_counter() - begun) * 1e6
                self._latency.labels(model, verb, "REST").observe(elapsed_us)


class _RequestCount:
    """TF-Serving's counter under its own name, which lacks the ending that the library gives counters.

    Its type is "untyped" therefore; `rate` and `increase` work on it all the same.
    """

    def __init__(self, counter: Counter):
        self._counter = counter

    def collect(self) -> Iterator[Metric]:
        family = Metric(REQUEST_COUNT, "Predict requests by model and status.", "unknown")
        for metric in self._counter.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    family.add_sample(REQUEST_COUNT, sample.labels, sample.value)
        yield family


class _LoadedVersions:
    """Which versions are served at the moment of asking."""

    def __init__(self, base: ModelBase):
        self._base = base

    def collect(self) -> Iterator[Metric]:
        text = "1 for every version that is loaded and served."
        family = GaugeMetricFamily("scsampler_server_loaded_version", text, labels=("model_name", "version"))
        for name, versions in self._base.available.items():
            for version in versions:
                family.add_metric((name, str(version)), 1)
        yield family
