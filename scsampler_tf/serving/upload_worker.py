"""The child process that decodes uploaded videos; it holds no model and asks its parent for answers.

Both sides speak JSON over a pipe, one list `[kind, value]` a message, so that a decoder which a damaged file
has taken over can hand nothing to the server but text.
"""

import json
import math
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection, wait

from pipelines.errors import UserError
from pipelines.video import open_video
from scsampler_tf.predict import Call, Prediction, predict
from scsampler_tf.serving.client import decode, encode

NAME = "upload"  # what the file is called in answers; its real name stays with the client


def work(connection: Connection) -> None:
    """Takes paths and works on one after the other, until the other end of the pipe is closed.

    For each it sends `["call", {}]` for every use of the model, at last `["answer", {}]` or
    `["refused", text]`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server decides when this ends
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    while True:
        try:
            path = connection.recv_bytes().decode()
        except EOFError:
            return
        text = json.dumps(_answer_or_refusal(path, connection), allow_nan=False)
        connection.send_bytes(text.replace(json.dumps(path)[1:-1], NAME).encode())


def _answer_or_refusal(path: str, connection: Connection) -> list:
    try:
        open_video(path).close()  # what is no video is told before the model is asked
        return ["answer", answer(predict(path, _calls(connection)))]
    except UserError as error:
        return ["refused", str(error)]


def answer(prediction: Prediction) -> dict:
    """What `predict --json` prints, and under `saliency` a row for every clip, in order of time.

    `visual`, `audio` and `saliency` (the score that ranks the clips) are None where there is none.
    """
    sound = prediction.audio if prediction.audio is not None else [math.nan] * len(prediction.bounds_s)
    rows = zip(prediction.bounds_s, prediction.fused, prediction.visual, sound, strict=True)
    curve = [
        {
            "start_s": start_s,
            "end_s": end_s,
            "saliency": _number(fused),
            "visual": _number(visual),
            "audio": _number(audio),
        }
        for (start_s, end_s), fused, visual, audio in rows
    ]
    return {**prediction.to_dict(), "saliency": curve}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _calls(connection: Connection) -> Call:
    """The model of `predict`, run by the parent."""

    def call(signature: str, inputs: dict) -> dict:
        document = {"signature_name": signature, "inputs": {k: encode(v) for k, v in inputs.items()}}
        connection.send_bytes(json.dumps(["call", document]).encode())
        reply = json.loads(connection.recv_bytes())
        return {name: decode(value, reply["infos"][name]) for name, value in reply["outputs"].items()}

    return call


def _end_with_the_server() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
