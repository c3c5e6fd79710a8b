"""TF-Serving's REST interface as an ASGI application: status, metadata, predict."""

import asyncio
import contextlib
import json
import logging
import re
import threading
import zlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount

from scsampler_tf.serving.model_base import MAX_VERSION, ModelBase
from scsampler_tf.serving.rest_json import (
    MAX_REQUEST_BYTES,
    RestError,
    parse_body,
    read_inputs,
    signature_name,
    write_outputs,
)

BODY_TIMEOUT_S = 60.0

_MODEL = r"/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_GET = re.compile(rf"/v1/models(?:{_MODEL}(?P<metadata>/metadata)?)?", re.IGNORECASE)
_POST = re.compile(rf"/v1/models{_MODEL}:(?P<verb>predict|classify|regress)", re.IGNORECASE)

logger = logging.getLogger(__name__)


def create_app(
    base: ModelBase,
    threads: int = 4,
    poll_s: float = 2.0,
    max_request_bytes: int = MAX_REQUEST_BYTES,
    body_timeout_s: float = BODY_TIMEOUT_S,
) -> Starlette:
    """The application over an already refreshed model base.

    `threads` requests are computed at a time, away from the event loop; the disk is looked at every
    `poll_s` seconds; a larger body than `max_request_bytes` (unpacked, too) is refused with 413, one
    that takes longer than `body_timeout_s` with 408.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")

    async def rest(scope, receive, send) -> None:
        request = Request(scope, receive)
        response = await _respond(base, pool, request, max_request_bytes, body_timeout_s)
        await response(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with _polling(base, poll_s):
            yield
        pool.shutdown(wait=True)

    return Starlette(routes=[Mount("/", app=rest)], lifespan=lifespan)


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


async def _respond(
    base: ModelBase, pool: ThreadPoolExecutor, request: Request, limit: int, timeout_s: float
) -> Response:
    path = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1")
    try:
        if request.method == "POST" and (match := _POST.fullmatch(path)):
            body = await _read_body(request, limit, timeout_s)
            packed = request.headers.get("content-encoding", "")
            work = asyncio.get_running_loop().run_in_executor
            return _json(200, await work(pool, _predict, base, match, body, packed, limit))
        if request.method == "GET" and (match := _GET.fullmatch(path)):
            return _json(200, json.dumps(_describe(base, match), indent=1).encode())
        status = 400 if path.lower().startswith("/v1/") else 404
        raise RestError(status, f"Malformed request: {request.method} {path[:200]}")
    except RestError as error:
        return _json(error.status, json.dumps({"error": str(error)}).encode())
    except ClientDisconnect:
        return _json(499, b'{"error": "the client went away"}')
    except Exception:
        logger.exception("request to %s failed", path[:200])
        return _json(500, b'{"error": "internal error; see the log of the server"}')


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")


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


def _predict(base: ModelBase, match: re.Match, body: bytes, packed: str, limit: int) -> bytes:
    if match["verb"].lower() != "predict":
        raise RestError(501, f"{match['verb']} is not offered here; use predict")
    _, servable = base.servable(*_target(match))
    document = parse_body(_unpacked(body, packed, limit))
    signature = signature_name(document)
    if signature not in servable.signatures:
        raise RestError(400, f'Serving signature name: "{signature[:80]}" not found in signature def')
    if not servable.signatures[signature]:
        raise RestError(400, f"Failed to get input map for signature: {signature}")
    inputs, row = read_inputs(document, servable.signatures[signature])
    return write_outputs(servable.run(signature, inputs), row)


async def _read_body(request: Request, limit: int, timeout_s: float) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)

    async def read() -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
        return bytes(body)

    try:
        return await asyncio.wait_for(read(), timeout_s)
    except (asyncio.TimeoutError, TimeoutError):
        raise RestError(408, f"the request's body did not arrive within {timeout_s:g} seconds") from None


def _unpacked(body: bytes, packed: str, limit: int) -> bytes:
    """The body without its gzip wrapping; never more than `limit` bytes are unpacked."""
    if packed in ("", "identity"):
        return body
    if packed != "gzip":
        raise RestError(400, f"Content-Encoding '{packed[:40]}' is not understood; use gzip or none")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise RestError(400, "the request's body is not valid gzip") from None
    if len(plain) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise RestError(400, "the request's gzip body is cut short")
    return plain


def _too_large(limit: int) -> RestError:
    return RestError(413, f"the request is larger than {limit} bytes; send fewer clips at a time")
