"""Many clients at a time against a server on this machine, and what that did to the server."""

import asyncio
import contextlib
import os
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
TIMEOUT_S = 300.0
HEAD = (
    "POST {path}:predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    "{encoding}Content-Length: {length}\r\n\r\n"
)


@dataclass
class Load:
    """What the clients have seen. seconds: of each answered request, by its kind; memory: (time, MiB)."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failures: Counter = field(default_factory=Counter)
    memory: list[tuple[float, float]] = field(default_factory=list)
    elapsed_s: float = 0.0
    processor_s: float = 0.0

    @property
    def answered(self) -> int:
        """How many requests were answered with 200."""
        return sum(map(len, self.seconds.values()))


def run_load(
    host: str,
    port: int,
    path: str,
    bodies: dict[str, bytes],
    packed: bool,
    clients: int,
    seconds: float,
    process: int,
) -> Load:
    """`clients` connections send `bodies` one after the other, each when the one before is answered.

    process: the server's number. Requests that were begun in time are finished and counted.
    """
    encoding = "Content-Encoding: gzip\r\n" if packed else ""
    requests = {
        kind: HEAD.format(path=path, host=host, port=port, encoding=encoding, length=len(body)).encode()
        + body
        for kind, body in bodies.items()
    }
    load = Load(seconds={kind: [] for kind in bodies})
    asyncio.run(_all_clients(load, host, port, requests, clients, seconds, process))
    return load


async def _all_clients(load, host, port, requests, clients, seconds, process) -> None:
    begun, used = time.perf_counter(), processor_s(process)
    end = begun + seconds
    watch = asyncio.ensure_future(_watch(load, process, begun, seconds))
    await asyncio.gather(*(_client(load, host, port, requests, end) for _ in range(clients)))
    watch.cancel()
    load.elapsed_s = time.perf_counter() - begun
    load.processor_s = processor_s(process) - used
    load.memory.append((load.elapsed_s, memory_mib(process)))


async def _watch(load: Load, process: int, begun: float, seconds: float) -> None:
    while True:
        load.memory.append((time.perf_counter() - begun, memory_mib(process)))
        await asyncio.sleep(max(0.5, seconds / 60))


async def _client(load: Load, host: str, port: int, requests: dict[str, bytes], end: float) -> None:
    connection = None
    while time.perf_counter() < end:
        for kind, request in requests.items():
            begun = time.perf_counter()
            try:
                connection = connection or await asyncio.open_connection(host, port)
                status = await asyncio.wait_for(_exchange(*connection, request), TIMEOUT_S)
            except (OSError, asyncio.IncompleteReadError, ValueError, TimeoutError) as error:
                load.failures[type(error).__name__] += 1
                connection = await _closed(connection)
                await asyncio.sleep(0.1)  # a server that is away is not asked thousands of times
                continue
            if status == 200:
                load.seconds[kind].append(time.perf_counter() - begun)
            else:
                load.failures[f"status {status}"] += 1
    await _closed(connection)


async def _closed(connection) -> None:
    if connection:
        connection[1].close()
        with contextlib.suppress(OSError):
            await connection[1].wait_closed()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Sends a request and reads the whole answer; returns its status.

    Raises `ValueError` for an answer that does not state its length.
    """
    writer.write(request)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), None)
    if length is None:
        raise ValueError("an answer without Content-Length")
    await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split()[1])


def memory_mib(process: int) -> float:
    """What a process holds in memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def processor_s(process: int) -> float:
    """Seconds that all threads of a process have had a processor."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
