"""TF-Serving's monitoring config: whether there are Prometheus metrics, and at which path.

The file is a text protobuf, `prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }`.
"""

import os
from pathlib import Path

from google.protobuf import text_format

from pipelines.errors import UserError
from scsampler_tf.serving.text_proto import BOOL, STRING, message_class

METRICS_PATH = "/monitoring/prometheus/metrics"  # TF-Serving's own default
_TAKEN = ("/v1", "/upload", "/page")

_MESSAGES = {
    "Prometheus": {"enable": (1, BOOL, False), "path": (2, STRING, False)},
    "Monitoring": {"prometheus_config": (1, "Prometheus", False)},
}


def read_monitoring_config(path: str | os.PathLike) -> str | None:
    """The path of the metrics, or None where the file leaves them off, as in TF-Serving.

    Raises `UserError` for a missing file, wrong syntax, and a path that other answers need.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); give a monitoring config") from None
    message = message_class(_MESSAGES, "Monitoring")()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        reason = str(error).replace("scsampler_tf.serving.", "")
        raise UserError(f"{path}: not a monitoring config that this server understands ({reason})") from None
    config = message.prometheus_config
    if not config.enable:
        return None
    metrics_path = config.path or METRICS_PATH
    taken = any(f"{metrics_path}/".lower().startswith(f"{prefix}/") for prefix in _TAKEN)
    if not metrics_path.startswith("/") or metrics_path == "/" or taken:
        raise UserError(f"{path}: metrics cannot be at '{metrics_path}'; write {METRICS_PATH}")
    return metrics_path
