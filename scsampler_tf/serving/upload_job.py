"""One uploaded video: decoded in a child process, its clips answered by a model of this process."""

import json
import multiprocessing
import threading
from concurrent.futures import Executor
from pathlib import Path

from scsampler_tf.serving.model_base import Servable
from scsampler_tf.serving.rest_json import RestError, read_inputs, write_tensor
from scsampler_tf.serving.upload_worker import work

MAX_MESSAGE_BYTES = 256 * 2**20  # of a child that a damaged file has taken over
KEPT = 1  # idle children; a new one takes a second or so to start


class Child:
    """A worker process and the pipe to it."""

    def __init__(self) -> None:
        # Spawned, not forked: a fork copies the locks of TensorFlow's threads in any state.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """False when it has crashed or was ended."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Ends it at once; whoever reads from its pipe gets an `EOFError`."""
        self._process.kill()

    def end(self) -> None:
        """Ends it and closes the pipe."""
        self.kill()
        self._process.join()
        self.connection.close()

    def failure(self) -> RestError:
        """Why it has left without a word: killed by its decoder, or by an error that nobody foresaw."""
        self._process.join(5)
        if self._process.exitcode is not None and self._process.exitcode > 0:
            return RestError(500, "internal error; see the log of the server")
        return RestError(422, "the decoder crashed on this file; convert it to H.264")


class Children:
    """Starts children and keeps an idle one for the next video; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Child] = []

    def take(self) -> Child:
        """An idle child, or a new one."""
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.alive:
                    return child
                child.end()
        return Child()

    def give_back(self, child: Child) -> None:
        """Keeps a child that has done its work, or ends it."""
        with self._lock:
            if len(self._idle) < KEPT:
                self._idle.append(child)
                return
        child.end()

    def close(self) -> None:
        """Ends those that are idle."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()


class UploadJob:
    """`run` in a thread, `end` from anywhere."""

    def __init__(self, path: Path, servable: Servable, predict_pool: Executor, children: Children):
        """The model is called in `predict_pool`, in turn with the requests of others."""
        self._path, self._servable, self._pool, self._children = path, servable, predict_pool, children
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._ended = False

    def run(self) -> dict:
        """The answer (`upload_worker.answer`).

        Raises `RestError`: 422 for a file that cannot be used or kills its decoder, 500 for a failure of ours
        (told on the server's stderr), others of the model.
        """
        with self._lock:
            if self._ended:
                raise RestError(503, "the video was given up before its turn came; send it again")
            child = self._child = self._children.take()
        kind = ""
        try:
            child.connection.send_bytes(str(self._path).encode())
            kind, value = self._result(child)
        except (EOFError, OSError):
            raise child.failure() from None
        except ValueError:  # no JSON
            raise RestError(422, "the decoder crashed on this file; convert it to H.264") from None
        finally:
            self._leave(child, healthy=bool(kind))
        if kind == "refused":
            raise RestError(422, value)
        return value

    def end(self) -> None:
        """Ends the child at once, in the middle of its work if need be."""
        with self._lock:
            self._ended = True
            if self._child:
                self._child.kill()

    def _leave(self, child: Child, healthy: bool) -> None:
        with self._lock:
            self._child = None
            if healthy and not self._ended:
                self._children.give_back(child)
                return
        child.end()

    def _result(self, child: Child) -> tuple:
        """Answers the child's calls until its result comes."""
        while True:
            kind, value = json.loads(child.connection.recv_bytes(MAX_MESSAGE_BYTES))
            if kind in ("answer", "refused"):
                return kind, value
            child.connection.send_bytes(json.dumps(self._called(value)).encode())

    def _called(self, document: dict) -> dict:
        signature = document["signature_name"]
        if signature not in self._servable.signatures:
            raise RestError(501, f"the model has no signature '{signature}'; export it again")
        inputs, _ = read_inputs(document, self._servable.signatures[signature])
        outputs = self._pool.submit(self._servable.run, signature, inputs).result()
        return {
            "outputs": {name: write_tensor(values, name) for name, values in outputs.items()},
            "infos": self._servable.signature_defs[signature]["outputs"],
        }
