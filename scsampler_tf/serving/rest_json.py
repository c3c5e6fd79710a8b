"""JSON bodies of TF-Serving's REST interface and the arrays they stand for.

Source: TensorFlow Serving's page "RESTful API". Needs neither TensorFlow nor a server; strings are object
arrays of `bytes`.
"""

import binascii
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from scsampler_tf.serving.decimals import shortest_decimals
from scsampler_tf.serving.json_bytes import from_base64, is_base64, to_base64

MAX_REQUEST_BYTES = 64 * 2**20
DEFAULT_SIGNATURE = "serving_default"
BYTES_SUFFIX = "_bytes"  # outputs named so are bytes, sent as base64 objects; all others are text

MAX_RANK = 32  # numpy's

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")
_READABLE = ("float32", "float64", "bool", "string", *_INTEGERS)


class RestError(Exception):
    """A refused request: an HTTP status and one sentence for the caller."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class TensorInfo:
    """Type name (`float32`, `string`) and shape: None for a free dimension, None as a whole for any rank."""

    dtype: str
    shape: tuple[int | None, ...] | None


def parse_body(body: bytes) -> dict:
    """The JSON object in a request body; NaN, Infinity and -Infinity are read as numbers."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:  # it knows neither NaN nor a byte order mark
        document = _parse_leniently(body)
    if not isinstance(document, dict):
        raise RestError(400, f"JSON Value: {_short(document)} Is not object")
    return document


def _parse_leniently(body: bytes) -> Any:
    if not body.strip():
        raise RestError(400, "JSON Parse error: The document is empty")
    try:
        return json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise RestError(400, "JSON Parse error: nested too deeply") from None
    except ValueError as error:
        raise RestError(400, f"JSON Parse error: {error}") from None


def signature_name(document: dict) -> str:
    """The signature that a request asks for; `serving_default` when it names none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise RestError(400, "'signature_name' key must be a string value.")
    return name or DEFAULT_SIGNATURE


def read_inputs(document: dict, infos: dict[str, TensorInfo]) -> tuple[dict[str, np.ndarray], bool]:
    """The input arrays of a predict request, and whether it came in row form (`instances`).

    Raises `RestError` 400 for whatever does not fit the signature's `infos`.
    """
    if ("instances" in document) == ("inputs" in document):
        raise RestError(400, "Expecting one of the keys 'inputs' and 'instances', and only one")
    row = "instances" in document
    values = _columns(document["instances"], infos) if row else _named(document["inputs"], infos)
    return {name: read_tensor(values[name], info, name) for name, info in infos.items()}, row


def read_tensor(value: Any, info: TensorInfo, name: str) -> np.ndarray:
    """The array of one nested JSON list, checked against type and shape of the signature."""
    if info.dtype not in _READABLE:
        raise RestError(501, f"input '{name}': JSON values of type {info.dtype} are not supported")
    shape = _shape_of(value)
    fits = (info.shape is None and len(shape) <= MAX_RANK) or (
        info.shape is not None
        and len(info.shape) == len(shape)
        and all(a in (None, b) for a, b in zip(info.shape, shape, strict=True))
    )
    if not fits:
        raise RestError(400, f"input '{name}': shape {_show(shape)} does not fit {_show(info.shape)}")
    leaves: list = []
    _flatten(value, shape, 0, leaves, name)
    return _array(leaves, info.dtype, name).reshape(shape)


def write_outputs(outputs: dict[str, np.ndarray], row: bool) -> bytes:
    """The response body: `predictions` in row form, else `outputs`; one lone output loses its name."""
    if row:
        _check_batch(outputs)
    usual = all(map(_is_usual, outputs.values()))
    write = _kept_array if usual else write_tensor
    lists = {name: write(values, name) for name, values in outputs.items()}
    if len(lists) == 1:
        (answer,) = lists.values()
    elif row:
        answer = [dict(zip(lists, items, strict=True)) for items in zip(*lists.values(), strict=True)]
    else:
        answer = lists
    document = {"predictions" if row else "outputs": answer}
    if usual:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(document, separators=(",", ":")).encode()


def _is_usual(values: np.ndarray) -> bool:
    """Whether orjson writes it as TF-Serving does: no NaN, no infinity, nothing at the edge of float32."""
    values = np.asarray(values)
    if values.dtype.kind != "f" or values.dtype.itemsize > 8:
        return values.dtype.kind in "biuOSU" and values.dtype.isnative
    if not values.dtype.isnative:
        return False
    return values.size == 0 or bool(np.abs(values).max() < np.finfo(np.float32).max)


def _kept_array(values: np.ndarray, name: str) -> Any:
    """The array itself where orjson reads it."""
    values = np.asarray(values)
    if values.dtype.kind in "OSU":
        return write_tensor(values, name)
    return np.ascontiguousarray(values) if values.ndim else values[()]


def write_tensor(values: np.ndarray, name: str) -> Any:
    """Nested lists of JSON values; strings as text, or as base64 objects when `name` ends in `_bytes`."""
    values = np.asarray(values)
    kind = values.dtype.kind
    if kind in "biu" or values.dtype == np.float64:
        return values.tolist()
    if kind == "f" or values.dtype.name == "bfloat16":
        return shortest_decimals(values).tolist()
    if kind in "OSU":
        write = to_base64 if name.endswith(BYTES_SUFFIX) else lambda item: _text(item, name)
        leaves = [write(item) for item in values.astype(object).ravel()]
        return _nested(leaves, values.shape)
    raise RestError(400, f"output '{name}': values of type {values.dtype} have no JSON form")


def _named(value: Any, infos: dict[str, TensorInfo]) -> dict[str, Any]:
    if isinstance(value, dict) and not is_base64(value):
        missing = [name for name in infos if name not in value]
        if missing:
            raise RestError(400, f"Missing named input: {missing[0]} in 'inputs' object.")
        return value
    if len(infos) > 1:
        raise RestError(400, f"'inputs' is a plain value, but an object with {', '.join(infos)} is needed")
    return dict.fromkeys(infos, value)


def _columns(rows: Any, infos: dict[str, TensorInfo]) -> dict[str, list]:
    if not isinstance(rows, list) or not rows:
        raise RestError(400, "Expecting 'instances' to be a list with at least one value")
    objects = [isinstance(row, dict) and not is_base64(row) for row in rows]
    if not any(objects):
        if len(infos) > 1:
            raise RestError(
                400, f"'instances' is a plain list, but objects with {', '.join(infos)} are needed"
            )
        return dict.fromkeys(infos, rows)
    for number, row in enumerate(rows):
        if not objects[number] or set(row) != set(infos):
            raise RestError(400, f"element {number} of 'instances': keys must be equal to {', '.join(infos)}")
    return {name: [row[name] for row in rows] for name in infos}


def _shape_of(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _flatten(value: Any, shape: tuple[int, ...], level: int, leaves: list, name: str) -> None:
    """Appends the values of a rectangular nested list; a ragged one is refused."""
    if level == len(shape):
        leaves.append(value)
        return
    if not isinstance(value, list) or len(value) != shape[level]:
        found = f"{len(value)} values" if isinstance(value, list) else "a single value"
        raise RestError(400, f"input '{name}': ragged list, {found} where {shape[level]} are expected")
    if level == len(shape) - 1:
        leaves.extend(value)
        return
    for item in value:
        _flatten(item, shape, level + 1, leaves, name)


def _array(leaves: list, dtype: str, name: str) -> np.ndarray:
    if dtype == "string":
        array = np.empty(len(leaves), object)
        array[:] = [_bytes(leaf, name) for leaf in leaves]
        return array
    allowed = {"bool": {bool}, "float32": {int, float}, "float64": {int, float}}.get(dtype, {int})
    if not set(map(type, leaves)) <= allowed:
        wrong = next(leaf for leaf in leaves if type(leaf) not in allowed)
        raise RestError(400, f"input '{name}': {_short(wrong)} is not of expected type: {dtype}")
    if dtype in ("float32", "float64"):
        _check_lossless(leaves, np.finfo(dtype), name)
    elif dtype != "bool" and leaves:
        limits = np.iinfo(dtype)
        if not limits.min <= min(leaves) <= max(leaves) <= limits.max:
            raise RestError(400, f"input '{name}': a number is out of range for {dtype}")
    return np.array(leaves, dtype)


def _check_lossless(leaves: list, limits: np.finfo, name: str) -> None:
    """Refuses what the type cannot hold: whole numbers beyond its digits, decimals beyond its range."""
    whole = 2 ** (limits.nmant + 1) - 1
    largest = float(limits.max)
    for leaf in leaves:
        limit = whole if type(leaf) is int else largest
        if not -limit <= leaf <= limit and not (type(leaf) is float and not math.isfinite(leaf)):
            shown = _short(leaf)
            raise RestError(
                400, f"input '{name}': cannot convert {shown} to {limits.dtype} without loss of precision"
            )


def _bytes(leaf: Any, name: str) -> bytes:
    if isinstance(leaf, str):
        try:
            return leaf.encode()
        except UnicodeEncodeError:
            raise RestError(400, f"input '{name}': a string that is not valid Unicode") from None
    if not is_base64(leaf):
        raise RestError(400, f"input '{name}': {_short(leaf)} is not of expected type: string")
    try:
        return from_base64(leaf["b64"])
    except (binascii.Error, ValueError):
        raise RestError(400, f"input '{name}': Unable to base64 decode") from None


def _text(item: bytes | str, name: str) -> str:
    try:
        return item if isinstance(item, str) else item.decode()
    except UnicodeDecodeError:
        raise RestError(
            500, f"output '{name}': bytes that are not UTF-8 text; its name must end in {BYTES_SUFFIX}"
        ) from None


def _nested(leaves: list, shape: tuple[int, ...]) -> Any:
    if not shape:
        return leaves[0]
    array = np.empty(len(leaves), object)
    array[:] = leaves
    return array.reshape(shape).tolist()


def _check_batch(outputs: dict[str, np.ndarray]) -> None:
    batch = None
    for name, values in outputs.items():
        if np.ndim(values) == 0:
            raise RestError(400, f"Tensor name: {name} has no shape information; use the columnar form")
        if batch not in (None, len(values)):
            raise RestError(
                400, f"Tensor name: {name} has inconsistent batch size: {len(values)} expecting: {batch}"
            )
        batch = len(values)


def _short(value: Any) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        return "a value nested too deeply"
    return text if len(text) <= 60 else text[:60] + "..."


def _show(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return f"any of at most {MAX_RANK} dimensions"
    return "[" + ",".join("?" if size is None else str(size) for size in shape) + "]"
