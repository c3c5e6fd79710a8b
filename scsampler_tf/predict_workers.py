"""Videos answered in worker processes by a model that they share: one of this process, or a server's.

A worker reads its video and streams the features of a few clips at a time to the model, so that memory grows
neither with the length of videos nor with their number.
"""

import contextlib
import json
import multiprocessing
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

import av

from pipelines.errors import UserError, VideoError
from scsampler_tf.predict import predict
from scsampler_tf.predict_models import Call, Server, remote_model
from scsampler_tf.serving.client import RequestRefused

WAITING = 128  # workers that may ask for the model at the same moment


@dataclass(frozen=True)
class Desk:
    """Where workers find the model of their parent process."""

    address: str
    key: bytes


@dataclass(frozen=True)
class Job:
    """One video: its name in the list of videos, the file, its label where it is known, the model to ask, K
    (None: the model's own)."""

    name: str
    path: Path
    label: str | None
    model: Desk | Server
    k: int | None = None


def answered(job: Job) -> dict:
    """The line of a results file for one video: what `predict --json` prints, or the reason why it is not.

    Raises `UserError` for what is not the video's fault: no server, or a model without the signatures.
    """
    if multiprocessing.parent_process() is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the GPU is the model's
    try:
        with _opened(job.model) as call:
            found = predict(job.path, call, job.k, few=isinstance(job.model, Server)).to_dict()
        json.dumps(found, allow_nan=False)
    except (VideoError, RequestRefused) as error:
        return refused(job, str(error))
    except av.FFmpegError as error:
        return refused(job, f"{job.path}: cannot be decoded ({error}); leave it out")
    except UserError:
        raise
    except Exception as error:  # one odd video of thousands must not stop the others
        return refused(job, f"{job.path}: stopped by {type(error).__name__} ({error}); leave it out")
    return {**_named(job), **found}


def refused(job: Job, reason: str) -> dict:
    """The line of a video without an answer."""
    return {**_named(job), "error": reason}


def _named(job: Job) -> dict:
    return {"path": job.name, **({} if job.label is None else {"true_label": job.label})}


@contextlib.contextmanager
def shared(call: Call) -> Iterator[Desk]:
    """Lets other processes of this machine use a model of this one, one request at a time."""
    key = secrets.token_bytes(32)
    turn, ended = threading.Lock(), threading.Event()
    with Listener(backlog=WAITING, authkey=key) as listener:
        desk = Desk(listener.address, key)
        doorman = threading.Thread(target=_admit, args=(listener, call, turn, ended), daemon=True)
        doorman.start()
        try:
            yield desk
        finally:
            ended.set()
            with contextlib.suppress(OSError, EOFError):
                Client(desk.address, authkey=key).close()  # nothing else wakes it
            doorman.join(5)
            with turn:  # what is being computed comes to its end
                pass


def _admit(listener: Listener, call: Call, turn: threading.Lock, ended: threading.Event) -> None:
    while True:
        try:
            connection = listener.accept()
        except Exception:  # a worker has died on its way in
            ended.wait(0.1)
            continue  # also at the end: whoever is to wake this thread waits to be let in
        if ended.is_set():
            connection.close()
            return
        threading.Thread(target=_serve, args=(connection, call, turn, ended), daemon=True).start()


def _serve(connection: Connection, call: Call, turn: threading.Lock, ended: threading.Event) -> None:
    """Answers one worker's requests until it hangs up."""
    with connection, contextlib.suppress(OSError, EOFError):
        while True:
            signature, inputs = connection.recv()
            try:
                with turn:  # one request's memory at a time, whatever the number of workers
                    if ended.is_set():
                        return
                    reply = ("outputs", call(signature, inputs))
            except UserError as error:
                reply = ("mistake", str(error))
            except Exception as error:  # the worker's video is told, the others go on
                reply = ("failure", f"{type(error).__name__}: {error}")
            connection.send(reply)


@contextlib.contextmanager
def _opened(model: Desk | Server) -> Iterator[Call]:
    if isinstance(model, Server):
        with remote_model(model.url, model.name) as call:
            yield call
        return
    with Client(model.address, authkey=model.key) as connection:
        yield lambda signature, inputs: _asked(connection, signature, inputs)


def _asked(connection: Connection, signature: str, inputs: dict) -> dict:
    connection.send((signature, inputs))
    kind, value = connection.recv()
    if kind == "mistake":
        raise UserError(value)
    if kind == "failure":
        raise RuntimeError(value)
    return value
