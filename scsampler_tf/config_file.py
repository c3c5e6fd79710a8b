"""Settings from a file: JSON, or TOML where the name ends in .toml."""

import json
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from scsampler_tf.config import ExperimentConfig, from_dict
from scsampler_tf.config_values import parsed_settings


def configured(base: ExperimentConfig, file: str | Path | None, settings: list[str]) -> ExperimentConfig:
    """`base` with the settings of a file, if any, and over these the `part.key=value` texts.

    They are checked together, so that a text may mend what would not work with the file alone. Raises
    `UserError`; a mistake of the file begins with its name.
    """
    given, texts = read_settings(file) if file else {}, parsed_settings(settings)
    try:
        return from_dict(_over(given, texts), base)
    except UserError:
        if file:
            _require_sound(given, base, file)
        raise


def read_settings(path: str | Path) -> dict[str, Any]:
    """The groups of settings in a file; raises `UserError` for one that is missing, damaged or no group."""
    try:
        content = Path(path).read_bytes()
        values = _toml(content, path) if Path(path).suffix == ".toml" else json.loads(content, **_STRICT)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable file of settings ({error})") from None
    if not isinstance(values, dict):
        raise UserError(f'{path}: holds no settings; write them as {{"classifier": {{"epochs": 3}}}}')
    return values


def _toml(content: bytes, path: str | Path) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:
        raise UserError(f"{path}: reading TOML needs Python 3.11 or newer; write it as JSON") from None
    return tomllib.loads(content.decode("utf-8"))


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"'{twice}' is given twice in one group")
    return dict(pairs)


_STRICT = {"object_pairs_hook": _only_once}  # JSON would take the last of two values in silence


def _over(below: dict, above: dict) -> dict:
    """Both together; where both have a value it is that of `above`."""
    joined = dict(below)
    for name, value in above.items():
        there = below.get(name, {})
        if not isinstance(value, dict):
            joined[name] = value
        elif isinstance(there, dict):
            joined[name] = _over(there, value)
    return joined


def _require_sound(given: dict, base: ExperimentConfig, path: str | Path) -> None:
    try:
        from_dict(given, base)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
