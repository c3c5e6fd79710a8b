"""The model base: which models and versions lie there, and which of them are served."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipelines.errors import UserError
from scsampler_tf.serving.models_config import ModelConfig
from scsampler_tf.serving.rest_json import RestError, TensorInfo

RETRY_S = 30.0  # a version that failed to load is tried again after this time
MAX_VERSION = 2**63 - 1

logger = logging.getLogger(__name__)


class Servable(Protocol):
    """A loaded version, callable from several threads."""

    signatures: dict[str, dict[str, TensorInfo]]
    """Inputs of each signature."""
    signature_defs: dict[str, Any]
    """Signatures in TF-Serving's JSON form."""

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class VersionState:
    """What is known of one version; `state` is one of TF-Serving's words."""

    state: str
    servable: Servable | None = None
    error: str = ""
    retry_at: float = 0.0

    def to_json(self, version: int) -> dict:
        """The entry of TF-Serving's status answer."""
        status = {"error_code": "UNKNOWN" if self.error else "OK", "error_message": self.error}
        return {"version": str(version), "state": self.state, "status": status}


def versions_on_disk(base_path: Path) -> dict[int, Path]:
    """Version folders below a model's folder: whole numbers as names, with a SavedModel inside."""
    if not base_path.is_dir():
        return {}
    return {
        int(folder.name): folder
        for folder in base_path.iterdir()
        if folder.name.isascii()
        and folder.name.isdigit()
        and int(folder.name) <= MAX_VERSION
        and (folder / "saved_model.pb").is_file()
    }


def models_in_folder(model_base: Path) -> list[ModelConfig]:
    """Every sub-folder of the model base that holds versions, as a model of the folder's name."""
    if not model_base.is_dir():
        raise UserError(f"{model_base}: no such folder; give the folder that holds the models")
    if versions_on_disk(model_base):
        raise UserError(
            f"{model_base}: holds versions itself; give the folder above it ({model_base.parent})"
        )
    folders = sorted(entry for entry in model_base.iterdir() if entry.is_dir())
    return [ModelConfig(folder.name, folder) for folder in folders if versions_on_disk(folder)]


class ModelBase:
    """The served versions of all models; `refresh` looks at the disk, everything else only in memory."""

    def __init__(
        self,
        configs: Callable[[], list[ModelConfig]],
        load: Callable[[Path], Servable],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._configs = configs
        self._load = load
        self._clock = clock
        self._labels: dict[str, dict[str, int]] = {}
        self._states: dict[str, dict[int, VersionState]] = {}
        self._refreshing = threading.Lock()

    @property
    def available(self) -> dict[str, list[int]]:
        """Served versions of each model, highest first."""
        return {name: [v for v, s in self._newest(name) if s.servable] for name in sorted(self._states)}

    def refresh(self) -> None:
        """Loads versions that have appeared and lets go of those no longer wanted.

        A version is let go of only when its successor is loaded; requests under way keep the object they
        began with, so none of them fails.
        """
        with self._refreshing:
            configs = {config.name: config for config in self._configs()}
            for name in set(self._states) - set(configs):
                self._release(name, keep=[])
            for name, config in configs.items():
                self._labels[name] = config.labels
                self._refresh_model(config)

    def servable(self, name: str, version: int | None, label: str | None) -> tuple[int, Servable]:
        """The version that answers a request: the one asked for, else the highest one."""
        version = self._labelled(name, label) if label is not None else version
        asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        for number, state in self._newest(name):
            if state.servable and version in (None, number):
                return number, state.servable
        raise RestError(404, f"Servable not found for request: {asked}")

    def status(self, name: str, version: int | None, label: str | None) -> list[dict]:
        """TF-Serving's `model_version_status` of all versions or of one, highest first."""
        version = self._labelled(name, label) if label is not None else version
        states = self._newest(name)
        if version is not None:
            states = [(number, state) for number, state in states if number == version]
        if not states:
            which = "any versions" if version is None else f"version {version}"
            raise RestError(404, f"Could not find {which} of model {name}")
        return [state.to_json(number) for number, state in states]

    def _newest(self, name: str) -> list[tuple[int, VersionState]]:
        return sorted(self._states.get(name, {}).items(), key=lambda item: item[0], reverse=True)

    def _labelled(self, name: str, label: str) -> int:
        version = self._labels.get(name, {}).get(label)
        if version is None:
            raise RestError(400, f"Unrecognized servable version label: {label}")
        return version

    def _refresh_model(self, config: ModelConfig) -> None:
        found = versions_on_disk(config.base_path)
        wanted = config.wanted(list(found))
        states = self._states.get(config.name, {})
        for version in wanted:
            state = states.get(version)
            if state is None or (state.servable is None and self._clock() >= state.retry_at):
                self._load_version(config.name, version, found[version])
        served = [v for v in wanted if self._states[config.name][v].servable]
        if served or not wanted:
            self._release(config.name, keep=wanted)

    def _load_version(self, name: str, version: int, folder: Path) -> None:
        self._set(name, version, VersionState("LOADING"))
        try:
            state = VersionState("AVAILABLE", self._load(folder))
            logger.info("model %s: version %d is served", name, version)
        except Exception as error:  # a damaged version must not stop the others
            reason = " ".join(str(error).split())[:500] or type(error).__name__
            state = VersionState("END", error=reason, retry_at=self._clock() + RETRY_S)
            logger.warning("model %s: version %d cannot be loaded (%s)", name, version, reason)
        self._set(name, version, state)

    def _release(self, name: str, keep: list[int]) -> None:
        for version, state in self._newest(name):
            if version not in keep and state.servable:
                self._set(name, version, replace(state, state="END", servable=None))
                logger.info("model %s: version %d is no longer served", name, version)

    def _set(self, name: str, version: int, state: VersionState) -> None:
        # A new dictionary each time: readers in other threads iterate over the old one.
        versions = {**self._states.get(name, {}), version: state}
        self._states = {**self._states, name: versions}
