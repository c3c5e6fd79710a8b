"""A local server with TF-Serving's REST interface, for laptops and tests.

    python -m scsampler_tf.serving.server --model-base saved_models

TF-Serving itself is the server for production; the same calls go to both (docs/serving.md).
"""

import argparse
import contextlib
import functools
import importlib.util
import logging
import os
import signal
import socket
import sys
from pathlib import Path

from pipelines.errors import UserError, run_command
from scsampler_tf.serving.rest_json import MAX_REQUEST_BYTES

LOOPBACK = ("localhost", "127.0.0.1", "::1")
POSITIVE = ("threads", "poll_seconds", "max_request_mb", "max_waiting_mb", "max_upload_mb", "upload_seconds")


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line of the server."""
    parser = argparse.ArgumentParser(prog="scsampler_tf.serving.server", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model-base", type=Path, required=True, help="folder with NAME/VERSION/saved_model.pb"
    )
    parser.add_argument(
        "--models-config", type=Path, help="TF-Serving's models.config; /models is --model-base"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (this machine only)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which requests may call this server, such as a reverse proxy's; may be repeated",
    )
    parser.add_argument("--port", type=int, default=8501, help="0 for any free one (8501)")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 4, help="requests computed at a time"
    )
    parser.add_argument("--poll-seconds", type=float, default=2.0, help="between looks for new versions (2)")
    parser.add_argument(
        "--monitoring-config", type=Path, help="TF-Serving's monitoring config: metrics or none, and where"
    )
    parser.add_argument("--no-page", action="store_true", help="no page at / and no POST /upload")
    _add_limits(parser)
    arguments = parser.parse_args(argv)
    for name in POSITIVE:
        if not getattr(arguments, name) > 0:
            parser.error(f"--{name.replace('_', '-')} must be positive")
    if arguments.max_waiting_mb < arguments.max_request_mb:
        parser.error("--max-waiting-mb must not be less than --max-request-mb")
    return arguments


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-request-mb", type=float, default=MAX_REQUEST_BYTES / 2**20, help="MiB (64)")
    parser.add_argument(
        "--max-waiting-mb", type=float, default=512, help="MiB of all requests that wait, together (512)"
    )
    parser.add_argument("--max-upload-mb", type=float, default=512, help="MiB of a video on the page (512)")
    parser.add_argument(
        "--upload-seconds", type=float, default=600, help="to send a video, and to answer it (600)"
    )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket's address, taken before the models are loaded; a taken port is a `UserError`."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
        except OSError:
            bound.close()
            raise
    except (OSError, OverflowError) as error:
        raise UserError(f"{host}:{port}: cannot listen there ({error}); choose another --port") from None
    return bound


def names(arguments: argparse.Namespace) -> frozenset[str] | None:
    """What a request's `Host` may be; None for anything.

    A server of this machine alone goes by this machine's names, so that no other site's pages can use it.
    """
    if arguments.host not in LOOPBACK and not arguments.host.startswith("127.") and not arguments.allow_host:
        return None
    return frozenset(name.lower() for name in (*LOOPBACK, arguments.host, *arguments.allow_host))


def _metrics_path(arguments: argparse.Namespace) -> str | None:
    from scsampler_tf.serving.monitoring_config import METRICS_PATH, read_monitoring_config

    if arguments.monitoring_config is None:
        return METRICS_PATH
    return read_monitoring_config(arguments.monitoring_config)


def _app(arguments: argparse.Namespace, base, metrics_path: str | None):
    from scsampler_tf.serving.app import create_app
    from scsampler_tf.serving.uploads import UploadLimits

    seconds = arguments.upload_seconds
    uploads = UploadLimits(int(arguments.max_upload_mb * 2**20), arrive_s=seconds, compute_s=seconds)
    return create_app(
        base,
        arguments.threads,
        arguments.poll_seconds,
        max_request_bytes=int(arguments.max_request_mb * 2**20),
        max_waiting_bytes=int(arguments.max_waiting_mb * 2**20),
        metrics_path=metrics_path,
        uploads=None if arguments.no_page else uploads,
        names=names(arguments),
    )


def serve(arguments: argparse.Namespace) -> None:
    """Loads the models and answers requests until SIGTERM or Ctrl-C; requests under way are finished."""
    for package in ("starlette", "uvicorn", "prometheus_client"):
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"{package} is not installed; the local server needs: pip install scsampler-tf[server]"
            )
    import uvicorn

    from scsampler_tf.serving.connections import impatient
    from scsampler_tf.serving.model_base import ModelBase, models_in_folder
    from scsampler_tf.serving.models_config import read_models_config

    configs = functools.partial(models_in_folder, arguments.model_base)
    configs()
    metrics_path = _metrics_path(arguments)
    if arguments.models_config:
        listed = read_models_config(arguments.models_config, arguments.model_base)
        configs = functools.partial(list, listed)
    with bind(arguments.host, arguments.port) as bound:
        from scsampler_tf.serving.loaded_model import LoadedModel

        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        base = ModelBase(configs, LoadedModel)
        base.refresh()
        if not any(base.available.values()):
            print(f"{arguments.model_base}: no version to serve yet; waiting for one", file=sys.stderr)
        app = _app(arguments, base, metrics_path)
        settings = uvicorn.Config(
            app, http=impatient(), log_level="warning", ws="none", timeout_graceful_shutdown=30
        )
        bound.listen(1024)
        host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
        url = f"http://{host}:{bound.getsockname()[1]}"
        print(f"serving at {url}/v1/models", flush=True)
        if not arguments.no_page:
            print(f"a page for videos at {url}/", flush=True)
        # uvicorn stops gracefully and then raises the signal again; a stop that was asked for is no failure.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(settings).run(sockets=[bound])


def main(argv: list[str] | None = None) -> int:
    """Runs the server; see the module's docstring."""
    arguments = parse_arguments(argv)
    return run_command(lambda: serve(arguments))


if __name__ == "__main__":
    sys.exit(main())
