"""Ways to damage a file's bytes; the number of a case decides everything."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HEADER = 200  # bytes at the start in which most containers say what they are
TAIL = 0.2  # share at the end in which many containers keep their index
HUGE = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x00FFFFFF, 0x40004000, 0x00010000)
SEVERAL = (2, 5)

Random = np.random.Generator


def cut(data: bytearray, random: Random) -> bytearray:
    """The file ends early."""
    return data[: random.integers(len(data)) or 1]


def flip(data: bytearray, random: Random) -> bytearray:
    """Single bits are wrong."""
    for _ in range(2 ** random.integers(0, 8)):
        data[random.integers(len(data))] ^= 1 << random.integers(8)
    return data


def overwrite(data: bytearray, random: Random) -> bytearray:
    """A stretch is zeros, ones or anything."""
    start, stop = _stretch(data, random)
    fill = random.integers(3)
    if fill == 2:
        data[start:stop] = random.bytes(stop - start)
    else:
        data[start:stop] = (b"\0", b"\xff")[fill] * (stop - start)
    return data


def remove(data: bytearray, random: Random) -> bytearray:
    """A stretch is missing."""
    start, stop = _stretch(data, random)
    return data[:start] + data[stop:]


def repeat(data: bytearray, random: Random) -> bytearray:
    """A stretch comes twice."""
    start, stop = _stretch(data, random)
    return data[:stop] + data[start:]


def insert(data: bytearray, random: Random) -> bytearray:
    """Something else is in between."""
    place = random.integers(len(data))
    return data[:place] + random.bytes(2 ** random.integers(0, 12)) + data[place:]


def header(data: bytearray, random: Random) -> bytearray:
    """Some of the first bytes are wrong."""
    for _ in range(random.integers(1, 6)):
        data[random.integers(min(HEADER, len(data)))] = random.integers(256)
    return data


def tail(data: bytearray, random: Random) -> bytearray:
    """Some of the last fifth is wrong."""
    start = int(len(data) * (1 - TAIL))
    for _ in range(2 ** random.integers(0, 7)):
        data[random.integers(start, len(data))] = random.integers(256)
    return data


def swap(data: bytearray, random: Random) -> bytearray:
    """Two stretches have changed places."""
    a, b, c, d = sorted(random.integers(0, len(data) + 1, 4).tolist())
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def number(data: bytearray, random: Random) -> bytearray:
    """A number of four bytes is absurd, mostly one near either end, where sizes and times are told."""
    near = min(len(data), 1500)
    places = [random.integers(near), len(data) - 1 - random.integers(near), random.integers(len(data))]
    place = places[random.integers(3)]
    told = int(random.choice(HUGE)).to_bytes(4, ("little", "big")[random.integers(2)])
    data[place : place + 4] = told
    return data


ONE_FILE = (cut, flip, overwrite, remove, repeat, insert, header, tail, swap, number)


@dataclass(frozen=True)
class Case:
    """A damaged file: the number of the corpus' file it was made of, what was done to it, its bytes."""

    source: int
    mutation: str
    data: bytes


def damaged(files: Sequence[bytes], seed: int, case: int) -> Case:
    """The damaged file number `case`; equal arguments give equal bytes. `files` are those of the corpus."""
    random = np.random.default_rng([seed, case])
    source = int(random.integers(len(files)))
    kinds = [function.__name__ for function in ONE_FILE] + ["join", "several"]
    kind = kinds[case % len(kinds)]
    data = bytearray(files[source])
    if kind == "join":
        data += files[random.integers(len(files))]
    elif kind == "several":
        for _ in range(random.integers(*SEVERAL)):
            data = ONE_FILE[random.integers(len(ONE_FILE))](data, random) or bytearray(1)
    else:
        data = ONE_FILE[case % len(kinds)](data, random)
    return Case(source, kind, bytes(data))


def _stretch(data: bytearray, random: Random) -> tuple[int, int]:
    """Any place, and short lengths as often as long ones."""
    start = int(random.integers(len(data)))
    return start, min(len(data), start + int(len(data) ** random.uniform(0, 0.95)))
