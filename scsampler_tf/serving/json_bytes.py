"""Bytes as JSON carries them in TF-Serving's REST interface: `{"b64": "..."}`."""

from typing import Any

import pybase64


def to_base64(item: bytes) -> dict[str, str]:
    """Bytes as JSON carries them: `{"b64": "..."}`."""
    return {"b64": pybase64.b64encode_as_string(item)}


def from_base64(text: str) -> bytes:
    """Decodes base64; white space and missing padding are let pass, as TF-Serving does."""
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        text = "".join(text.split())
        bare = text.rstrip("=")
        missing = -len(bare) % 4
        if len(text) - len(bare) not in (0, missing):
            raise
        return pybase64.b64decode(bare + "=" * missing, validate=True)


def is_base64(value: Any) -> bool:
    """True for an object with the one key `b64` and a string behind it."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)
