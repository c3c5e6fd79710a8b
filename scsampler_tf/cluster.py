"""The processes that TF_CONFIG lists, and waiting until all of them are there. No TensorFlow here.

TensorFlow's own waiting cannot be ended by Ctrl-C or SIGTERM and takes an hour; here it is over before
TensorFlow is asked.
"""

import json
import os
import socket
import time
from dataclasses import dataclass

from pipelines.errors import LostWorker, UserError

TF_CONFIG = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
JOBS = ("chief", "worker")
WAIT_S = 600.0
EVERY_S = 0.2


@dataclass(frozen=True)
class Cluster:
    """Addresses host:port of all workers, and which of them is this process."""

    hosts: list[str]
    own: str


def read_cluster() -> Cluster:
    """The cluster that the environment variable TF_CONFIG describes; raises `UserError` where it is none."""
    try:
        values = json.loads(os.environ.get(TF_CONFIG) or "null")
        jobs, task = values["cluster"], values["task"]
        found = Cluster(
            [host for hosts in jobs.values() for host in hosts], jobs[task["type"]][int(task["index"])]
        )
        sound = (
            int(task["index"]) >= 0
            and set(jobs) <= set(JOBS)
            and all(host.rpartition(":")[2].isdigit() for host in found.hosts)
        )
    except (AttributeError, ValueError, TypeError, KeyError, IndexError):
        sound = False
    if not sound:
        raise UserError(
            f"strategy multi_worker: the environment variable {TF_CONFIG} must list all workers and name "
            f"this one, as in {EXAMPLE}"
        )
    return found


def wait_for_all(cluster: Cluster, patience_s: float = WAIT_S) -> None:
    """Waits until every worker answers at its address.

    Raises `LostWorker` when some have not come after `patience_s`, `UserError` when this one's own port is
    taken.
    """
    port = int(cluster.own.rpartition(":")[2])
    end = time.monotonic() + patience_s
    try:
        door = socket.create_server(("", port))
    except OSError as error:
        raise UserError(
            f"{TF_CONFIG}: {cluster.own}: cannot listen there ({error}); use a free port"
        ) from None
    with door:
        missing = [host for host in cluster.hosts if host != cluster.own]
        while missing := [host for host in missing if not _answers(host)]:
            if time.monotonic() > end:
                raise LostWorker(
                    f"{TF_CONFIG}: {', '.join(missing)} did not come in {patience_s:.0f} s; start the same "
                    "command there too"
                )
            time.sleep(EVERY_S)


def _answers(host: str) -> bool:
    name, _, port = host.rpartition(":")
    try:
        socket.create_connection((name.strip("[]"), int(port)), timeout=5).close()
    except OSError:
        return False
    return True
