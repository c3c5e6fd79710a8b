"""The samplers' input made on other machines: a tf.data service in between, and the command that starts one.

    python -m pipelines.data_service dispatcher --port 5000 --workers host1:5001,host2:5001
    python -m pipelines.data_service worker --dispatcher host0:5000 --host host1 --port 5001
    python -m scsampler_tf.train sampler --kind md --data-service grpc://host0:5000 ...

What a training sees stays the same to the bit, in the same order: worker w of W makes the batches w, w + W
and so on, and the trainer takes them in turn. None of the service's own ways does that (tried with
TensorFlow 2.21): OFF gives every example W times; DYNAMIC gives whole epochs to workers and mixes them, each
example once but in an order of chance; DATA lets every worker do all the work. Coordinated reads pass over a
worker that takes longer than a tenth of a second. So there is one job a worker, in which HINT leaves nothing
to do for the others.

Batches carry their numbers: a worker that was started anew begins again, which ends the training with a
sentence instead of wrong data. Workers read the feature folder under the same path as the trainer.
"""

import argparse
import socket
import sys
import threading
import uuid
from collections.abc import Callable

import tensorflow as tf

from pipelines.errors import UserError, run_command

SCHEME = "grpc://"
HINT = tf.data.experimental.SHARD_HINT
WAIT_S = 30.0  # until a service that answers at all has to have given its first element
PROBES = 4096  # more than there will be workers
NO_FILE = "No such file"  # a shard's absence, which workers report with the same error as a task's
LOST = "the data service has left out a batch"


def checked_address(address: str) -> str:
    """The address as it is; raises `UserError` unless it reads grpc://HOST:PORT."""
    host, _, port = address.removeprefix(SCHEME).rpartition(":")
    if not address.startswith(SCHEME) or not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise UserError(f"--data-service {address}: write it as {SCHEME}HOST:PORT")
    return address


def refuse_clips(address: str | None) -> None:
    """Raises `UserError` where the classifier's clips are to come through a service."""
    if address is not None:
        raise UserError(
            "--data-service: clips of the classifier are decoded by processes of this machine, which no data "
            "service can run; leave it out and give --workers"
        )


def served(
    tasks: tf.data.Dataset, work: Callable[[tf.data.Dataset], tf.data.Dataset], address: str
) -> tf.data.Dataset:
    """`work(tasks)`, done by the workers of the service at `address`, the elements in the same order.

    `tasks` is endless and cheap, `work` gives one element for each of its elements, in order, from nothing
    but what a graph can do. Raises `UserError` where no service answers, or not all of its workers.
    """
    workers = _workers(checked_address(address))
    numbered = tasks.enumerate()

    def of_worker(number: int) -> tf.data.Dataset:
        """Every W-th element, with its number, from this worker; there is nothing to do for the others."""
        own = numbered.shard(workers, number)
        done = tf.data.Dataset.zip((own.map(lambda count, _: count), work(own.map(lambda _, task: task))))
        here = tf.data.Dataset.range(workers).shard(HINT, HINT).filter(lambda each: each == number)
        return here.flat_map(lambda _: done).apply(_distribute(address))

    rounds = tf.data.Dataset.zip(tuple(of_worker(number) for number in range(workers))).enumerate()
    data = rounds.map(_in_order).unbatch()
    return data.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)).prefetch(2)


def service_failure(error: Exception, address: str | None) -> UserError | None:
    """The sentence for an error that a service has caused in the middle of a training, else None."""
    gone = isinstance(error, tf.errors.UnavailableError | tf.errors.NotFoundError)
    gone = gone and "Collective ops" not in str(error)  # that is a lost worker of the training
    gone = gone and NO_FILE not in str(error)
    if address is None or not (gone or LOST in str(error)):
        return None
    return UserError(
        f"--data-service {address}: one of its workers has ended or was started anew; see that all of them "
        "run, and give the same command again"
    )


def _distribute(address: str):
    # A name of its own: a job that a killed training has left there would go on in its middle.
    name = f"scsampler_{uuid.uuid4().hex}"
    policy = tf.data.experimental.service.ShardingPolicy.HINT
    return tf.data.experimental.service.distribute(policy, address, job_name=name)


def _in_order(number: tf.Tensor, elements: tuple):
    """The elements of a round `[W, ...]`, whose numbers must be those of this round."""
    numbers, done = tf.nest.map_structure(lambda *values: tf.stack(values), *elements)
    right = tf.reduce_all(numbers == number * len(elements) + tf.range(len(elements), dtype=tf.int64))
    with tf.control_dependencies([tf.debugging.Assert(right, [LOST, numbers])]):
        return tf.nest.map_structure(tf.identity, done)


def _workers(address: str) -> int:
    """How many workers the service has been told of; raises `UserError` unless all are there."""
    _require_listener(address)
    found: list = []

    def ask() -> None:
        data = tf.data.Dataset.range(PROBES).shard(HINT, HINT).batch(PROBES).apply(_distribute(address))
        try:
            found.append([numbers[:2] for numbers in data.as_numpy_iterator()])
        except tf.errors.OpError as error:
            found.append(error)

    # In a thread of its own: TensorFlow waits for workers for ever, and cannot be interrupted.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(WAIT_S)
    return _counted(found[0] if found else None, address)


def _counted(answer: list | Exception | None, address: str) -> int:
    if answer is None:
        raise UserError(
            f"--data-service {address}: nothing came within {WAIT_S:.0f} seconds; start its workers with "
            "python -m pipelines.data_service worker"
        )
    if isinstance(answer, Exception):
        raise UserError(
            f"--data-service {address}: refuses to share the work ({answer.message.splitlines()[0][:300]}); "
            "start it with python -m pipelines.data_service, which knows all of its workers"
        )
    expected = int(answer[0][1] - answer[0][0])
    if len(answer) != expected:
        raise UserError(
            f"--data-service {address}: {len(answer)} of its {expected} workers are there; start the others"
        )
    return expected


def _require_listener(address: str) -> None:
    host, _, port = address.removeprefix(SCHEME).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=WAIT_S).close()
    except OSError as error:
        raise UserError(
            f"--data-service {address}: nobody answers there ({error.strerror or error}); start it with "
            "python -m pipelines.data_service dispatcher"
        ) from None


def start_dispatcher(port: int, workers: list[str]) -> tf.data.experimental.service.DispatchServer:
    """A dispatcher on a port (0: any free one) for these workers (HOST:PORT)."""
    config = tf.data.experimental.service.DispatcherConfig(port=port, worker_addresses=workers)
    return tf.data.experimental.service.DispatchServer(config)


def start_worker(dispatcher: str, host: str, port: int) -> tf.data.experimental.service.WorkerServer:
    """A worker that others reach at host:port, of the dispatcher at HOST:PORT."""
    config = tf.data.experimental.service.WorkerConfig(
        dispatcher_address=dispatcher, worker_address=f"{host}:{port}", port=port
    )
    return tf.data.experimental.service.WorkerServer(config)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.data_service", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("what", choices=("dispatcher", "worker"))
    parser.add_argument("--port", type=int, required=True, help="where it listens")
    parser.add_argument("--workers", metavar="HOST:PORT,...", help="dispatcher: all workers there will be")
    parser.add_argument("--dispatcher", metavar="HOST:PORT", help="worker: whom it works for")
    parser.add_argument("--host", default="localhost", help="worker: its name for others (default localhost)")
    args = parser.parse_args(argv)
    return run_command(lambda: _serve(args))


def _serve(args: argparse.Namespace) -> None:
    needed = args.workers if args.what == "dispatcher" else args.dispatcher
    if not needed:
        option = "--workers" if args.what == "dispatcher" else "--dispatcher"
        raise UserError(f"{args.what}: give {option} HOST:PORT")
    for address in needed.split(","):
        checked_address(f"{SCHEME}{address}")
    try:
        if args.what == "dispatcher":
            server = start_dispatcher(args.port, needed.split(","))
        else:
            _require_listener(f"{SCHEME}{needed}")
            server = start_worker(needed, args.host, args.port)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())[:300]
        raise UserError(
            f"--port {args.port}: cannot work there ({why}); a worker's HOST:PORT is one of those that the "
            "dispatcher was given, and nobody else's"
        ) from None
    print(f"{args.what} on port {args.port}", flush=True)
    threading.Event().wait()  # `server.join` would not feel Ctrl-C
    del server


if __name__ == "__main__":
    sys.exit(main())
