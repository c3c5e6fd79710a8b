"""TF-Serving's REST interface as an ASGI application: status, metadata, predict; metrics and the page too."""

import asyncio
import contextlib
import json
import logging
import re
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount

from scsampler_tf.serving.bodies import (
    BODY_TIMEOUT_S,
    MAX_WAITING_BYTES,
    Budget,
    packed,
    read_body,
    takes_gzip,
    unpacked,
)
from scsampler_tf.serving.metrics import CONTENT_TYPE, Metrics
from scsampler_tf.serving.model_base import MAX_VERSION, ModelBase
from scsampler_tf.serving.monitoring_config import METRICS_PATH
from scsampler_tf.serving.page import Page, refuse_other_names, refuse_other_sites
from scsampler_tf.serving.rest_json import (
    MAX_REQUEST_BYTES,
    RestError,
    parse_body,
    read_inputs,
    signature_name,
    write_outputs,
)
from scsampler_tf.serving.uploads import UploadLimits, Uploads

RETRY_AFTER_S = 1

_MODEL = r"/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_GET = re.compile(rf"/v1/models(?:{_MODEL}(?P<metadata>/metadata)?)?", re.IGNORECASE)
_POST = re.compile(rf"/v1/models{_MODEL}:(?P<verb>predict|classify|regress)", re.IGNORECASE)
_UPLOAD = re.compile(r"/upload/(?P<name>[^/:]+)")
_MODELS = "/page/models.json"

logger = logging.getLogger(__name__)


def create_app(
    base: ModelBase,
    threads: int = 4,
    poll_s: float = 2.0,
    max_request_bytes: int = MAX_REQUEST_BYTES,
    body_timeout_s: float = BODY_TIMEOUT_S,
    max_waiting_bytes: int = MAX_WAITING_BYTES,
    metrics_path: str | None = METRICS_PATH,
    uploads: UploadLimits | None = None,
    names: frozenset[str] | None = None,
) -> Starlette:
    """The application over an already refreshed model base.

    `threads` requests are computed at a time, away from the event loop; the disk is looked at every
    `poll_s` seconds; a larger body than `max_request_bytes` (unpacked, too) is refused with 413, one
    that takes longer than `body_timeout_s` with 408, one that would bring all waiting bodies above
    `max_waiting_bytes` with 503. `metrics_path` of None leaves out the metrics, `uploads` of None the page
    and POST /upload. Requests whose `Host` is none of `names` are refused; None lets any in.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")
    answers = _Answers(base, pool, max_request_bytes, body_timeout_s, Budget(max_waiting_bytes))
    answers.metrics_path, answers.names = metrics_path, names
    if uploads:
        answers.uploads, answers.page = Uploads(base, pool, uploads), Page()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with _polling(base, poll_s):
            yield
        if answers.uploads:
            answers.uploads.close()
        pool.shutdown(wait=True)

    return Starlette(routes=[Mount("/", app=answers)], lifespan=lifespan)


@contextlib.contextmanager
def _polling(base: ModelBase, poll_s: float):
    stop = threading.Event()

    def poll() -> None:
        while not stop.wait(poll_s):
            try:
                base.refresh()
            except Exception as error:  # a folder that is away for a moment: what is served stays
                logger.warning("looking for new versions failed (%s); trying again", error)

    thread = threading.Thread(target=poll, name="poll", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)


class _Answers:
    """The ASGI application: what is asked for, answered and counted."""

    metrics_path: str | None = None
    names: frozenset[str] | None = None
    uploads: Uploads | None = None
    page: Page | None = None

    def __init__(
        self, base: ModelBase, pool: ThreadPoolExecutor, limit: int, timeout_s: float, budget: Budget
    ):
        self._base, self._pool, self._budget = base, pool, budget
        self._limit, self._timeout_s = limit, timeout_s
        self._metrics = Metrics(base, lambda: budget.held)

    async def __call__(self, scope, receive, send) -> None:
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")

        async def respond(scope, receive, send) -> None:
            response = await self._respond(Request(scope, receive), path)
            await response(scope, receive, send)

        model, verb = self._kind(scope["method"], path)
        await self._metrics.measure(respond, scope, receive, send, model, verb)

    def _kind(self, method: str, path: str) -> tuple[str, str]:
        """Model and verb as metrics count them; a model that is not served has no name there."""
        if method == "POST" and (match := _POST.fullmatch(path)):
            verb = match["verb"].lower()
        elif method == "POST" and self.uploads and (match := _UPLOAD.fullmatch(path)):
            verb = "upload"
        elif method == "GET" and (match := _GET.fullmatch(path)):
            verb = "metadata" if match["metadata"] else "status"
        else:
            return "", "metrics" if path == self.metrics_path else "other"
        name = unquote(match["name"] or "")
        return name if name in self._base.available else "", verb

    async def _respond(self, request: Request, path: str) -> Response:
        try:
            if self.names is not None:
                refuse_other_names(request, self.names)
            return await (self._posted if request.method == "POST" else self._got)(request, path)
        except RestError as error:
            return _json(error.status, json.dumps({"error": str(error)}).encode())
        except ClientDisconnect:
            return _json(499, b'{"error": "the client went away"}')
        except Exception:
            logger.exception("request to %s failed", path[:200])
            return _json(500, b'{"error": "internal error; see the log of the server"}')

    async def _posted(self, request: Request, path: str) -> Response:
        refuse_other_sites(request)
        if match := _POST.fullmatch(path):
            with self._budget.share() as share:
                body = await read_body(request, self._limit, self._timeout_s, share)
                work = asyncio.get_running_loop().run_in_executor
                answer, headers = await work(self._pool, self._predict, match, body, request.headers)
            return _json(200, answer, headers)
        if self.uploads and (match := _UPLOAD.fullmatch(path)):
            return _json(200, await self.uploads.answer(request, unquote(match["name"])))
        raise _malformed(request, path)

    def _predict(self, match: re.Match, body: bytearray, headers: Headers) -> tuple[bytes, dict[str, str]]:
        """The answer's body and headers; runs in a thread of the pool."""
        if match["verb"].lower() != "predict":
            raise RestError(501, f"{match['verb']} is not offered here; use predict")
        name, version, label = _target(match)
        _, servable = self._base.servable(name, version, label)
        document = parse_body(unpacked(body, headers.get("content-encoding", ""), self._limit))
        signature = signature_name(document)
        if signature not in servable.signatures:
            raise RestError(400, f'Serving signature name: "{signature[:80]}" not found in signature def')
        if not servable.signatures[signature]:
            raise RestError(400, f"Failed to get input map for signature: {signature}")
        inputs, row = read_inputs(document, servable.signatures[signature])
        with self._metrics.running(name):
            outputs = servable.run(signature, inputs)
        answer = write_outputs(outputs, row)
        return packed(answer) if takes_gzip(headers.get("accept-encoding", "")) else (answer, {})

    async def _got(self, request: Request, path: str) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise _malformed(request, path)
        if path == self.metrics_path:
            return Response(self._metrics.text(), media_type=CONTENT_TYPE)
        if self.page and (file := self.page.response(path)):
            return file
        if self.uploads and path == _MODELS:
            offer = {"models": self.uploads.models(), "max_bytes": self.uploads.limits.max_bytes}
            return _json(200, json.dumps(offer).encode())
        if request.method == "GET" and (match := _GET.fullmatch(path)):
            return _json(200, json.dumps(_describe(self._base, match), indent=1).encode())
        raise _malformed(request, path)


def _malformed(request: Request, path: str) -> RestError:
    status = 400 if path.lower().startswith("/v1/") else 404
    return RestError(status, f"Malformed request: {request.method} {path[:200]}")


def _json(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else headers
    return Response(body, status, headers, media_type="application/json")


def _target(match: re.Match) -> tuple[str, int | None, str | None]:
    """Name, version and label in a path. They are only looked up in memory, never joined to a file name."""
    digits, label = match["version"], match["label"]
    if digits and (len(digits) > 40 or int(digits) > MAX_VERSION):
        raise RestError(400, f"Failed to convert version: {digits[:40]} to numeric.")
    return unquote(match["name"]), int(digits) if digits else None, unquote(label) if label else None


def _describe(base: ModelBase, match: re.Match) -> dict:
    if match["name"] is None:
        raise RestError(400, "Missing model name in request.")
    name, version, label = _target(match)
    if not match["metadata"]:
        return {"model_version_status": base.status(name, version, label)}
    number, servable = base.servable(name, version, label)
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(number)},
        "metadata": {"signature_def": {"signature_def": servable.signature_defs}},
    }
