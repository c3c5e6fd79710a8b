"""TF-Serving's models.config: which models are served, from where, and in which versions.

The file is a text protobuf, `model_config_list { config { ... } }`. Read are `name`, `base_path`,
`model_platform` ("tensorflow" or nothing), `model_version_policy` (latest, all, specific) and
`version_labels`. Any other field changes what a server does, so it is refused and not passed over.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from google.protobuf import text_format

from pipelines.errors import UserError
from scsampler_tf.serving.text_proto import INT64, STRING, UINT32, message_class

CONTAINER_BASE = PurePosixPath("/models")  # where the TF-Serving image mounts the model base

# message: field -> (number, type or message name, repeated); the numbers are TF-Serving's
_MESSAGES = {
    "All": {},
    "Latest": {"num_versions": (1, UINT32, False)},
    "Specific": {"versions": (1, INT64, True)},
    "Policy": {
        "latest": (100, "Latest", False),
        "all": (101, "All", False),
        "specific": (102, "Specific", False),
    },
    "Label": {"key": (1, STRING, False), "value": (2, INT64, False)},
    "Config": {
        "name": (1, STRING, False),
        "base_path": (2, STRING, False),
        "model_platform": (4, STRING, False),
        "model_version_policy": (7, "Policy", False),
        "version_labels": (8, "Label", True),
    },
    "List": {"config": (1, "Config", True)},
    "File": {"model_config_list": (1, "List", False)},
}


@dataclass(frozen=True)
class ModelConfig:
    """One served model: its name, the folder of its version folders, the versions wanted, their labels."""

    name: str
    base_path: Path
    latest: int | None = 1
    """How many of the highest versions are served; None for all of them."""
    specific: tuple[int, ...] = ()
    """The versions that are served; empty for a choice by `latest`."""
    labels: dict[str, int] = field(default_factory=dict)

    def wanted(self, found: list[int]) -> list[int]:
        """The versions out of `found` to serve, highest first."""
        ordered = sorted(found, reverse=True)
        if self.specific:
            return [version for version in ordered if version in self.specific]
        return ordered if self.latest is None else ordered[: self.latest]


def read_models_config(
    path: str | os.PathLike, model_base: str | os.PathLike | None = None
) -> list[ModelConfig]:
    """Reads a models.config; a `base_path` below /models is looked for in `model_base` when that is given.

    Raises `UserError` for a missing file, wrong syntax, unknown fields, two models of one name.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); give a models.config") from None
    message = message_class(_MESSAGES, "File")()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        reason = str(error).replace("scsampler_tf.serving.", "")
        raise UserError(f"{path}: not a models.config that this server understands ({reason})") from None
    configs = [_model(entry, path, model_base) for entry in message.model_config_list.config]
    if not configs:
        raise UserError(f"{path}: names no model; write model_config_list {{ config {{ ... }} }}")
    names = [config.name for config in configs]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise UserError(f"{path}: two models are called '{double}'; give each its own name")
    return configs


def _model(entry, path: Path, model_base: str | os.PathLike | None) -> ModelConfig:
    if not entry.name or not entry.base_path:
        raise UserError(f"{path}: a model without name or base_path; write both")
    if entry.model_platform not in ("", "tensorflow"):
        raise UserError(f"{path}: model_platform '{entry.model_platform}'; only \"tensorflow\" can be served")
    if not entry.base_path.startswith("/"):
        raise UserError(f"{path}: base_path '{entry.base_path}' must be absolute, as TF-Serving wants it")
    base = PurePosixPath(entry.base_path)
    if model_base is not None and base.is_relative_to(CONTAINER_BASE):
        base = Path(model_base) / base.relative_to(CONTAINER_BASE)
    policy = entry.model_version_policy
    choice = [name for name in ("latest", "all", "specific") if policy.HasField(name)]
    if len(choice) > 1 or (choice == ["specific"] and not policy.specific.versions):
        raise UserError(
            f"{path}: model '{entry.name}' needs one version policy: latest, all or specific versions"
        )
    return ModelConfig(
        name=entry.name,
        base_path=Path(base),
        latest=None if choice == ["all"] else policy.latest.num_versions or 1,
        specific=tuple(policy.specific.versions),
        labels={label.key: label.value for label in entry.version_labels},
    )
