"""Requests that no client would send, made by a seed: which of the statuses are right, and what is sent."""

import base64
import gzip
import io
import json
import random
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from PIL import Image

MODEL = "/v1/models/scsampler"
SIZE, FRAMES = 8, 2
LIMIT = 100_000  # bytes of a body

REFUSED = frozenset({400})


@dataclass(frozen=True)
class Case:
    """One request. `expected` are the statuses that answer it rightly."""

    kind: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    expected: frozenset[int]


def make_case(seed: int) -> Case:
    """The case of a seed, always the same."""
    rng = random.Random(seed)
    kind = rng.choice(sorted(KINDS))
    path, body, headers, expected, method = MODEL + ":predict", b"", {}, REFUSED, "POST"
    made = KINDS[kind](rng)
    if isinstance(made, bytes):
        body = made
    elif isinstance(made, tuple):
        path, body, headers, expected, method = made
    else:
        document, expected = made["document"], frozenset(made.get("expected", REFUSED))
        body = json.dumps(document).encode()
    return Case(kind, method, path, body, headers, expected)


def picture(height: int, width: int, form: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 120, np.uint8)).save(stream, form)
    return stream.getvalue()


STRIP = picture(FRAMES * SIZE, SIZE)


def b64(data: bytes) -> dict:
    return {"b64": base64.b64encode(data).decode()}


def classify(clips: object, signature: str = "classify") -> dict:
    return {"signature_name": signature, "inputs": {"clips": clips}}


def select(rng: random.Random) -> dict:
    count = rng.randint(1, 6)
    return {
        "visual": [[rng.random() for _ in range(count)]],
        "audio": [[rng.random() for _ in range(count)]],
        "has_audio": [[rng.random() < 0.5 for _ in range(count)]],
        "mask": [[True] * count],
    }


def _well_formed(rng):
    if rng.random() < 0.5:
        return {"document": classify([[b64(STRIP)] * rng.randint(1, 3)]), "expected": {200}}
    return {"document": {"signature_name": "select", "inputs": select(rng)}, "expected": {200}}


def _damaged_json(rng):
    body = bytearray(json.dumps({"signature_name": "select", "inputs": select(rng)}).encode())
    for _ in range(rng.randint(1, 8)):
        where = rng.randrange(len(body))
        change = rng.choice(("cut", "put", "drop", "twice"))
        if change == "cut":
            del body[where:]
        elif change == "put":
            body[where] = rng.randrange(256)
        elif change == "drop":
            del body[where : where + rng.randint(1, 9)]
        else:
            body[where:where] = body[where : where + rng.randint(1, 40)]
        if not body:
            break
    return MODEL + ":predict", bytes(body), {}, frozenset({200, 400}), "POST"


def _nested(rng):
    depth = rng.choice((40, 1000, 20_000))
    opening = rng.choice(("[", '{"a":'))
    return (b'{"inputs": ' + opening.encode() * depth)[: LIMIT - 1]


def _wrong_type(rng):
    value = rng.choice(["x", None, {}, True, [[]], {"b64": "AA=="}, 1e400, 2**70, "\ud800", [None], {"a": 1}])
    inputs = select(rng)
    inputs[rng.choice(("visual", "audio"))] = rng.choice(([[value]], [value], value))
    return {"document": {"signature_name": "select", "inputs": inputs}, "expected": {200, 400}}


def _wrong_rank(rng):
    value: object = b64(STRIP)
    for _ in range(rng.choice((0, 1, 3, 4, 40, 200))):
        value = [value]
    return {"document": classify(value)}


def _ragged(rng):
    rows = [[b64(STRIP)] * 2, [b64(STRIP)] * rng.choice((0, 1, 3))]
    rng.shuffle(rows)
    return {"document": classify(rows)}


def _sizes_that_differ(rng):
    inputs = select(rng)
    inputs["mask"] = [[True] * (len(inputs["mask"][0]) + rng.randint(1, 3))]
    return {"document": {"signature_name": "select", "inputs": inputs}}


def _bad_base64(rng):
    text = rng.choice(["?", "A", "====", "AA=A", "\u00e9", "A" * 5 + "*", "_-_-*"])
    return {"document": classify([[{"b64": text}]])}


def _damaged_picture(rng):
    data = bytearray(STRIP)
    way = rng.randrange(4)
    if way == 0:
        data = data[: rng.randint(1, len(data) - 30)]
    elif way == 1:
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif way == 2:
        data = bytearray(rng.randbytes(rng.randint(1, 500)))
    else:
        data = bytearray(STRIP[:2] + rng.randbytes(200))
    return {"document": classify([[b64(bytes(data))]]), "expected": {200, 400}}


def _other_picture(rng):
    sizes = [
        (1, 1),
        (SIZE, SIZE),
        (FRAMES * SIZE, SIZE + 1),
        (SIZE, FRAMES * SIZE),
        (999, 7),
        (3 * SIZE, SIZE),
    ]
    size, form = rng.choice(sizes), rng.choice(("JPEG", "PNG", "GIF", "BMP"))
    fits = size == (SIZE, SIZE) and form in ("JPEG", "PNG")
    return {"document": classify([[b64(picture(*size, form))]]), "expected": {200} if fits else {400}}


def _picture_that_says_it_is_huge(rng):
    side = rng.choice((9_000, 20_000, 65_000, 65_535))
    data = bytearray(STRIP)
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = side.to_bytes(2, "big") * 2
    return {"document": classify([[b64(bytes(data))]])}


def _absurd_k(rng):
    k = rng.choice([0, -1, -(2**31), 2**31, 2**31 - 1, 10**30, 1.5, "3", None, [3], True])
    fine = k == 2**31 - 1
    document = {"signature_name": "select_k", "inputs": {**select(rng), "K": [k]}}
    return {"document": document, "expected": {200} if fine else {400}}


def _absurd_shape(rng):
    shape = rng.choice([[], [[]], [[], []], [[]] * 1000])
    if rng.random() < 0.5:
        return {"document": classify(shape), "expected": {200, 400}}
    inputs = dict.fromkeys(("visual", "audio", "has_audio", "mask"), shape)
    return {"document": {"signature_name": "select", "inputs": inputs}, "expected": {200, 400}}


def _odd_document(rng):
    return {
        "document": rng.choice(
            [
                {},
                [],
                1,
                "x",
                None,
                {"inputs": None},
                {"instances": {}},
                {"instances": []},
                {"inputs": [1], "instances": [1]},
                {"signature_name": 3, "inputs": {}},
                {"signature_name": "../../etc/passwd", "inputs": {}},
                {"signature_name": "__saved_model_init_op", "inputs": {}},
                {"signature_name": "select", "inputs": {"visual": [[0.1]]}},
                {"signature_name": "select", "instances": [{"visual": [0.1]}, 3]},
            ]
        )
    }


def _path(rng):
    name = rng.choice(
        [
            "..",
            "../..",
            "....//",
            "/etc/passwd",
            "scsampler/../..",
            "\x00",
            "a" * 5000,
            "scsampler%2f..",
            "\xff",
            " ",
        ]
    )
    name = rng.choice((quote(name, safe=""), quote(name, safe="/.%"), quote(quote(name, safe=""), safe="")))
    tail = rng.choice(
        ("", ":predict", "/metadata", "/versions/1", "/versions/../1", "/labels/..%2f..", ":explain")
    )
    method = rng.choice(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"))
    start = rng.choice(("/v1/models/", "/v1/", "/", "/page/", "/upload/"))
    return f"{start}{name}{tail}", b"{}", {}, frozenset({400, 403, 404, 405, 501}), method


def _version(rng):
    version = rng.choice(["0", "-1", "9" * 400, "1e3", "latest", "18446744073709551615", "01", "%31", "1 "])
    tail = rng.choice(("", "/metadata", ":predict"))
    method = "POST" if tail == ":predict" else "GET"
    body = json.dumps(classify([[b64(STRIP)]])).encode()
    path = f"{MODEL}/versions/{version}{tail}"
    return path.replace(" ", "%20"), body, {}, frozenset({200, 400, 404}), method


def _too_large(rng):
    return MODEL + ":predict", b" " * (LIMIT + rng.randint(1, 1000)), {}, frozenset({413}), "POST"


def _gzip(rng):
    packed = gzip.compress(json.dumps(classify([[b64(STRIP)]])).encode())
    way = rng.choice(("bomb", "cut", "noise", "other", "fine"))
    encoding = rng.choice(("br", "zstd", "gzip, gzip")) if way == "other" else "gzip"
    body = {
        "bomb": gzip.compress(b" " * rng.choice((200_000, 5_000_000))),
        "cut": packed[: rng.randint(1, len(packed) - 1)],
        "noise": rng.randbytes(rng.randint(1, 300)),
    }.get(way, packed)
    expected = {"bomb": 413, "fine": 200}.get(way, 400)
    return MODEL + ":predict", body, {"Content-Encoding": encoding}, frozenset({expected}), "POST"


def _noise(rng):
    return rng.randbytes(rng.randint(0, 2000))


KINDS = {
    name.removeprefix("_").replace("_", " "): made
    for name, made in list(globals().items())
    if name.startswith("_") and not name.startswith("__") and callable(made)
}
