"""Bodies of requests: read within bounds of size, time and memory, and unpacked; answers, packed."""

import asyncio
import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator

from starlette.requests import Request

from scsampler_tf.serving.rest_json import RestError

MAX_WAITING_BYTES = 512 * 2**20
BODY_TIMEOUT_S = 60.0
PACKED_FROM = 1024  # bytes of an answer; below, packing is not worth the time
_REFUSED_ENCODING = re.compile(r"q=0(\.0*)?$")


class Share:
    """What one request holds of a `Budget`."""

    def __init__(self, budget: "Budget"):
        self._budget = budget
        self.bytes = 0

    def take(self, count: int) -> None:
        """Holds `count` more bytes; raises `RestError` 503 when the budget does not have them."""
        self._budget.take(count)
        self.bytes += count


class Budget:
    """Bytes that the bodies of all waiting requests may hold together;
    for one event loop, not for threads.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.held = 0

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """One request's share, given back when the request is answered."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.bytes

    def take(self, count: int) -> None:
        """Counts `count` bytes as held."""
        if self.held + count > self.limit:
            raise RestError(
                503, f"the requests that wait hold {self.limit} bytes together, the limit; try again later"
            )
        self.held += count


async def read_body(request: Request, limit: int, timeout_s: float, share: Share) -> bytearray:
    """The whole body; `RestError` 413 for more than `limit` bytes, 408 for a slow one, 503 without room."""
    if declared_bytes(request) > limit:
        raise too_large(limit)

    async def read() -> bytearray:
        body = bytearray()
        async for chunk in request.stream():
            if len(body) + len(chunk) > limit:
                raise too_large(limit)
            share.take(len(chunk))
            body += chunk
        return body

    try:
        return await asyncio.wait_for(read(), timeout_s)
    except (asyncio.TimeoutError, TimeoutError):
        raise RestError(408, f"the request's body did not arrive within {timeout_s:g} seconds") from None


def declared_bytes(request: Request) -> int:
    """The body's size as the client announces it; 0 when it does not."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdigit() else 0


def unpacked(body: bytes | bytearray, packed: str, limit: int) -> bytes | bytearray:
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
        raise too_large(limit)
    if not unpacker.eof:
        raise RestError(400, "the request's gzip body is cut short")
    return plain


def takes_gzip(accepted: str) -> bool:
    """Whether a client with this Accept-Encoding reads gzip."""
    offers = [re.sub(r"\s", "", offer).lower().split(";") for offer in accepted.split(",")]
    qualities = {name: not any(map(_REFUSED_ENCODING.match, rest)) for name, *rest in offers}
    return qualities.get("gzip", qualities.get("*", False))


def packed(body: bytes) -> tuple[bytes, dict[str, str]]:
    """An answer for a client that reads gzip, with its headers; a short one is left as it is."""
    if len(body) < PACKED_FROM:
        return body, {}
    return gzip.compress(body, 1, mtime=0), {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


def too_large(limit: int) -> RestError:
    """The refusal of a body of more than `limit` bytes."""
    return RestError(413, f"the request is larger than {limit} bytes; send fewer clips at a time")
