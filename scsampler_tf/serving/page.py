"""The page at / as files of this package, and what keeps other sites out of it."""

from importlib import resources
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from scsampler_tf.serving.rest_json import RestError

_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "timeline.js": "text/javascript; charset=utf-8",
}
# Nothing from elsewhere and nothing inline; the video that is played is the browser's own copy (blob:).
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src blob:; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Page:
    """The page's files, read once; a path is looked up among them and never joined to a file name."""

    def __init__(self) -> None:
        folder = resources.files("scsampler_tf.serving") / "page"
        self._files = {f"/page/{name}": (folder / name).read_bytes() for name in _TYPES}

    def response(self, path: str) -> Response | None:
        """The file at a path, or None."""
        path = "/page/index.html" if path == "/" else path
        if path not in self._files:
            return None
        return Response(self._files[path], media_type=_TYPES[path.removeprefix("/page/")], headers=_HEADERS)


def refuse_other_names(request: Request, names: frozenset[str]) -> None:
    """Raises `RestError` 403 when `Host` holds none of `names`, the server's own.

    Another site can let its own name point to this machine (DNS rebinding); to a browser its pages and this
    server are one site then, and only the name tells. Without a `Host` no browser is asking.
    """
    host = request.headers.get("host")
    if host is None:
        return
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in names:
        raise RestError(
            403, f"refused: this server is not called '{host[:80]}'; start it with --allow-host NAME"
        )


def refuse_other_sites(request: Request) -> None:
    """Raises `RestError` 403 when a browser sends the request for a page of another site.

    Browsers name the page's site in `Origin`; other programs send no such header.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return
    try:
        site = urlsplit(origin).netloc
    except ValueError:
        site = ""
    if not site or site.lower() != request.headers.get("host", "").lower():
        raise RestError(403, "refused: the request comes from a page of another site")
