"""Values of settings: what they may be, and how they come from JSON and from a command line."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Sequence
from typing import Any

from pipelines.errors import UserError

POSITIVE = (
    *("size", "resize", "epochs", "batch", "clips_per_video", "learning_rate", "K", "stride"),
    *("step_epochs", "patience", "pretrained_rate", "stop_least"),
)
NOT_NEGATIVE = ("warmup_epochs", "weight_decay", "margin", "nms_gap", "temperature")
BELOW_ONE = ("dropout", "crop_area", "colour", "mask")


def check_number(name: str, key: str, value: Any) -> None:
    """Raises `UserError` when the setting `key`, called `name` in full, cannot have this value."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name}: {value} is not a finite number")
    if key in POSITIVE and not value > 0 and (value < 0 or name != "classifier.epochs"):
        raise UserError(f"{name}: {value} is not positive")
    if key in NOT_NEGATIVE and value < 0:
        raise UserError(f"{name}: {value} is negative")
    if key in BELOW_ONE and not 0 <= value < 1:
        raise UserError(f"{name}: {value} is not within 0..1, 1 excluded")
    if key == "pretrained_rate" and value > 1:
        raise UserError(f"{name}: {value} is above 1, the rate of all other layers")
    if key == "ktr_fraction" and not 0 < value <= 1:
        raise UserError(f"{name}: {value} is not within 0..1, 0 excluded")


def check_word(name: str, word: str, known: Sequence[str]) -> None:
    """Raises `UserError` when `word` is none of the `known` ones."""
    if word not in known:
        raise UserError(f"{name}: '{word}' is none of {', '.join(known)}")


def literal(text: str) -> Any:
    """The value that a text on a command line stands for; what is no JSON is a word."""
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False}.get(text, text)


def parsed_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Groups of settings from `part.key=value` texts as given on a command line; the last of two counts."""
    values: dict[str, Any] = {}
    for text in settings:
        key, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"--set {text}: write it as part.key=value, e.g. classifier.epochs=3")
        *path, last = key.strip().split(".")
        inner = values
        for step in path:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise UserError(f"--set {text}: {step} was given a value of its own; leave one of them out")
        inner[last] = literal(value.strip())
    return values


def replaced(base: Any, values: dict, where: str) -> Any:
    """The dataclass `base` with plain data in place of its values.

    Raises `UserError` for unknown keys and values of another type; `where` is put before their names.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where.rstrip('.')}: a group of settings is needed, not {values!r}")
    hints = typing.get_type_hints(type(base))
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise UserError(
            f"unknown setting '{where}{unknown[0]}'; known are {', '.join(where + name for name in hints)}"
        )
    changed = {}
    for name, value in values.items():
        current = getattr(base, name)
        if dataclasses.is_dataclass(current):
            changed[name] = replaced(current, value, f"{where}{name}.")
        else:
            changed[name] = _typed(value, hints[name], where + name)
    return dataclasses.replace(base, **changed)


def _typed(value: Any, kind: type | types.UnionType, name: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{name}: {value!r} is not of type {getattr(kind, '__name__', kind)}")
    return value
