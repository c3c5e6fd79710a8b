"""A client of TF-Serving's REST interface, for TF-Serving itself and for the local server.

    with ServingClient("http://127.0.0.1:8501", "scsampler") as client:
        answer = client.predict("select", {"visual": ..., "audio": ..., "has_audio": ..., "mask": ...})

Needs httpx, numpy, orjson and pybase64 only, so that a caller does not have to load TensorFlow.
"""

import gzip
import json
import time
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np

from pipelines.errors import UserError
from scsampler_tf.serving.decimals import shortest_decimals
from scsampler_tf.serving.json_bytes import from_base64, is_base64, to_base64
from scsampler_tf.serving.rest_json import DEFAULT_SIGNATURE, MAX_REQUEST_BYTES

RETRIED_STATUS = (502, 503, 504)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PACKED_FROM = 1024  # bytes; below, what packing saves is not worth the time
# TF-Serving unpacks no more: of a larger packed body it sees nothing and answers 400
# (github.com/tensorflow/serving, util/net_http/compression/gzip_zlib.h, kMaxUncompressedBytes).
PACKED_TO = 10 * 2**20
PACKING = 1  # base64 of JPEGs packs to three quarters at any level; higher ones take longer

_DTYPES = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_HALF": np.float16,
    "DT_INT8": np.int8,
    "DT_INT16": np.int16,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_UINT8": np.uint8,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
    "DT_BOOL": np.bool_,
    "DT_STRING": object,
}


class RequestRefused(UserError):
    """This request was too large, too slow or not to the server's liking; others may well be answered."""


class ServingClient:
    """One model on one server. Safe to share between threads; close it, or use it in a `with`."""

    def __init__(
        self,
        url: str,
        model: str | None = None,
        timeout_s: float = 60.0,
        retries: int = 3,
        backoff_s: float = 0.25,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        gzip: bool | None = None,
    ):
        """
        Args:
            url: `http://host:8501`, or with the model: `http://host:8501/v1/models/NAME[/versions/N]`.
            model: the model's name; not needed when `url` names it.
            timeout_s: longest wait, in seconds, for connecting, sending and each part of the answer.
            retries: further attempts when the server cannot be reached or says 502, 503 or 504.
            backoff_s: seconds before the first of them; doubled every time.
            max_request_bytes: a larger request is refused here, before it is packed and sent.
            gzip: whether bodies of 1 KiB to 10 MiB, the most that TF-Serving unpacks, are sent packed; None
                is for servers elsewhere only, since on this machine packing costs more than it saves.
        """
        self.url = model_url(url, model)
        self._retries = retries
        self._backoff_s = backoff_s
        self._max_request_bytes = max_request_bytes
        self._timeout_s = timeout_s
        self._outputs: dict[str, dict[str, dict]] = {}
        # A proxy of the environment cannot know this machine's own servers.
        elsewhere = urlsplit(self.url).hostname not in LOOPBACK
        self._gzip = elsewhere if gzip is None else gzip
        headers = {} if self._gzip else {"Accept-Encoding": "identity"}
        self._http = httpx.Client(timeout=timeout_s, trust_env=elsewhere, headers=headers)

    def __enter__(self) -> "ServingClient":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def status(self) -> list[dict]:
        """State of each version: `[{"version": "1", "state": "AVAILABLE", "status": {...}}]`."""
        return self._field(self._request("GET", self.url), "model_version_status", list)

    def metadata(self) -> dict[str, dict]:
        """The model's signatures in TF-Serving's JSON form: `{name: {"inputs": ..., "outputs": ...}}`."""
        answer = self._field(self._request("GET", self.url + "/metadata"), "metadata", dict)
        signatures = answer.get("signature_def", {}).get("signature_def")
        if not isinstance(signatures, dict):
            raise UserError(f"{self.url}: metadata without signatures; is this a TF-Serving REST port?")
        return signatures

    def predict(self, signature: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature: its name; empty for `serving_default`.
            inputs: arrays or nested lists by input name; `bytes` travel as base64.
        Returns:
            Arrays by output name, in the types that the signature states. Strings are object arrays: of
            `bytes` for outputs named `*_bytes`, else of `str`.
        Raises:
            RequestRefused: the request is too large or was not answered in time, or the server refuses it.
            UserError: the server cannot be reached, or does not have the model or the signature.
        """
        signature = signature or DEFAULT_SIGNATURE
        document = {"signature_name": signature, "inputs": {k: encode(v) for k, v in inputs.items()}}
        body = json.dumps(document).encode()
        if len(body) > self._max_request_bytes:
            raise RequestRefused(
                f"{self.url}: a request of {len(body) / 2**20:.1f} MiB is larger than the "
                f"{self._max_request_bytes / 2**20:.1f} MiB allowed; send fewer clips or videos at a time"
            )
        infos = self._output_infos(signature)
        answer = self._field(self._request("POST", self.url + ":predict", body), "outputs", object)
        values = answer if len(infos) > 1 else dict.fromkeys(infos, answer)
        if not isinstance(values, dict) or set(values) != set(infos):
            self._outputs = {}  # a new version with other outputs; the next call asks again
            raise UserError(f"{self.url}: answered with other outputs than its metadata states; call again")
        try:
            return {name: decode(values[name], info) for name, info in infos.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{self.url}: an answer that does not fit its metadata ({error})") from None

    def _output_infos(self, signature: str) -> dict[str, dict]:
        """Outputs of a signature; asked for all at once, since TF-Serving does not name a lone output."""
        known = self._outputs
        if signature not in known:
            known = {name: each.get("outputs", {}) for name, each in self.metadata().items()}
            if signature not in known:
                names = ", ".join(sorted(name for name in known if not name.startswith("__")))
                raise UserError(
                    f"{self.url}: has no signature '{signature}'; it has {names}; "
                    "if it should be there, export the model again"
                )
            self._outputs = known
        return known[signature]

    def _field(self, document: Any, name: str, kind: type) -> Any:
        value = document.get(name) if isinstance(document, dict) else None
        if value is None or not isinstance(value, kind):
            raise UserError(f"{self.url}: answered without '{name}'; is this a TF-Serving REST port?")
        return value

    def _request(self, method: str, url: str, body: bytes | None = None) -> Any:
        """One exchange with its retries; returns the JSON of a good answer."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if body is not None and self._gzip and PACKED_FROM <= len(body) <= PACKED_TO:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, PACKING, mtime=0)
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(self._backoff_s * 2 ** (attempt - 1))
            try:
                response = self._http.request(method, url, content=body, headers=headers)
            except (httpx.ReadTimeout, httpx.WriteTimeout):
                raise RequestRefused(
                    f"{url}: no answer within {self._timeout_s:g} seconds; allow more time or send less"
                ) from None
            except httpx.TransportError as error:
                failure = (
                    f"{url}: cannot be reached ({error or type(error).__name__}); is the server running?"
                )
                continue
            if response.status_code not in RETRIED_STATUS:
                return _json(response, url)
            failure = _refusal(response, url)
        raise UserError(failure)


def model_url(url: str, model: str | None) -> str:
    """The address of a model, `http://host:8501/v1/models/NAME`, from a server's or a model's own."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UserError(f"{url}: not a server's address; write it as http://host:8501")
    base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    head, found, tail = base.partition("/v1/models/")
    named = tail.split("/")[0]
    if ":" in tail:
        raise UserError(f"{url}: ends in a verb; give the address up to the model's name")
    if not found:
        if not model:
            raise UserError(f"{url}: which model? Add /v1/models/NAME to the address")
        return f"{head.removesuffix('/v1/models').removesuffix('/v1')}/v1/models/{quote(model, safe='')}"
    if model and quote(model, safe="") != named:
        raise UserError(f"{url}: names the model '{named}', but '{model}' is asked for; give one of them")
    return base


def encode(value: Any) -> Any:
    """Arrays, nested lists and scalars as JSON values; `bytes` become base64 objects."""
    if isinstance(value, bytes | bytearray | memoryview):
        return to_base64(bytes(value))
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind in "OS":
            return encode(value.tolist())
        short = value.dtype.kind == "f" and value.dtype.itemsize < 8
        return (shortest_decimals(value) if short else value).tolist()
    return value


def decode(value: Any, info: dict) -> np.ndarray:
    """The array of an output, in the type and with the rank that the metadata state for it."""
    dtype = _DTYPES.get(info["dtype"])
    if dtype is None:
        raise ValueError(f"type {info['dtype']} is not known here")
    array = np.array(_unwrapped(value) if dtype is object else value, dtype)
    shape = info.get("tensor_shape", {})
    if not array.size and not shape.get("unknown_rank"):
        # Lists cannot say how long the inner dimensions are once an outer one is empty.
        array = array.reshape(array.shape + (0,) * (len(shape.get("dim", [])) - array.ndim))
    return array


def _unwrapped(value: Any) -> Any:
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    return from_base64(value["b64"]) if is_base64(value) else value


def _json(response: httpx.Response, url: str) -> Any:
    if response.status_code != 200:
        # 404 speaks of the model, not of the request.
        kind = UserError if response.status_code == 404 else RequestRefused
        raise kind(_refusal(response, url))
    try:
        return json.loads(response.content)
    except ValueError:
        raise UserError(
            f"{url}: answered with something else than JSON; is this a TF-Serving port?"
        ) from None


def _refusal(response: httpx.Response, url: str) -> str:
    try:
        said = json.loads(response.content)["error"]
    except (ValueError, KeyError, TypeError):
        said = response.text or response.reason_phrase
    said = " ".join(str(said).split())
    return f"{url}: refused with {response.status_code}: {said[:300]}{'...' if len(said) > 300 else ''}"
