"""POST /upload/MODEL: a video file as the body, label and salient moments as the answer."""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from scsampler_tf.serving.bodies import declared_bytes
from scsampler_tf.serving.model_base import ModelBase
from scsampler_tf.serving.rest_json import RestError
from scsampler_tf.serving.upload_job import Children, UploadJob

PREFIX = "scsampler-upload-"
BLOCK = 1 << 20  # bytes written at a time


@dataclass(frozen=True)
class UploadLimits:
    """Bounds of one upload, and how many there may be at a time."""

    max_bytes: int = 512 * 2**20
    idle_s: float = 30.0
    """Longest wait for the next part of the file."""
    arrive_s: float = 600.0
    compute_s: float = 600.0
    at_once: int = 4


class Uploads:
    """Answers uploads with the models of a base; `predict_pool` runs them."""

    def __init__(self, base: ModelBase, predict_pool: Executor, limits: UploadLimits):
        self.limits = limits
        self._base, self._predict_pool = base, predict_pool
        self._under_way = 0
        self._children = Children()
        # Children are started from these threads and inherit that they do not feel Ctrl-C.
        self._threads = ThreadPoolExecutor(limits.at_once, "upload", initializer=_hold_interrupts_back)
        _remove_left(limits.arrive_s + limits.compute_s)

    def close(self) -> None:
        """Waits for the uploads under way."""
        self._threads.shutdown(wait=True)
        self._children.close()

    def models(self) -> list[dict]:
        """The models that take videos: name and the version that answers."""
        served = [(name, versions[0]) for name, versions in self._base.available.items() if versions]
        return [
            {"name": name, "version": str(version)}
            for name, version in served
            if "describe" in self._base.servable(name, version, None)[1].signatures
        ]

    async def answer(self, request: Request, name: str) -> bytes:
        """The JSON answer to one upload. Raises `RestError`."""
        version, servable = self._base.servable(name, None, None)
        if "describe" not in servable.signatures:
            raise RestError(501, f"model {name} takes no videos; it was not made by scsampler_tf.export")
        self._check_headers(request)
        if self._under_way >= self.limits.at_once:
            raise RestError(503, f"{self.limits.at_once} videos are being worked on already; try again later")
        self._under_way += 1
        try:
            with _temporary_file() as path:
                await self._receive(request, path)
                job = UploadJob(path, servable, self._predict_pool, self._children)
                found = await self._computed(request, job)
        finally:
            self._under_way -= 1
        return json.dumps({**found, "model": {"name": name, "version": str(version)}}).encode()

    def _check_headers(self, request: Request) -> None:
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise RestError(415, "a form was sent; send the video file itself as the body")
        if request.headers.get("content-encoding", "identity") != "identity":
            raise RestError(415, "Content-Encoding is not understood here; send the video file as it is")
        if declared_bytes(request) > self.limits.max_bytes:
            raise self._too_large()

    def _too_large(self) -> RestError:
        return RestError(413, f"the video is larger than {self.limits.max_bytes} bytes; send a shorter one")

    async def _receive(self, request: Request, path: Path) -> None:
        try:
            await asyncio.wait_for(self._write(request, path), self.limits.arrive_s)
        except (asyncio.TimeoutError, TimeoutError):
            raise RestError(408, "the video came too slowly; send it again over a faster line") from None
        except OSError as error:
            raise RestError(507, f"the video cannot be stored ({error.strerror})") from None

    async def _write(self, request: Request, path: Path) -> None:
        size, block = 0, bytearray()
        parts = request.stream()
        with path.open("wb") as file:
            while (part := await asyncio.wait_for(anext(parts, None), self.limits.idle_s)) is not None:
                size += len(part)
                if size > self.limits.max_bytes:
                    raise self._too_large()
                block += part
                if len(block) >= BLOCK:
                    await asyncio.to_thread(file.write, block)
                    block = bytearray()
            await asyncio.to_thread(file.write, block)
        if not size:
            raise RestError(400, "the video is empty; send the file as the body of the request")

    async def _computed(self, request: Request, job: UploadJob) -> dict:
        """The job's answer, unless the client leaves or time runs out; then its child is ended."""
        work = asyncio.get_running_loop().run_in_executor(self._threads, job.run)
        gone = asyncio.ensure_future(_disconnected(request))
        seconds = self.limits.compute_s
        try:
            done, _ = await asyncio.wait({work, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if work in done:
                return work.result()
            if gone in done:
                raise ClientDisconnect()
            raise RestError(504, f"the video took longer than {seconds:g} seconds; send a shorter one")
        finally:
            gone.cancel()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody else asks
            job.end()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@contextlib.contextmanager
def _temporary_file() -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=PREFIX)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _remove_left(older_than_s: float) -> None:
    """Removes what a server that was killed has left; a living one's files are never that old."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - older_than_s:
                path.unlink()


def _hold_interrupts_back() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
