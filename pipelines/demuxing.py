"""Packets of a file, whatever it turns out to hold."""

from collections.abc import Iterator

import av


def packets(container: av.container.InputContainer, *streams: av.stream.Stream) -> Iterator[av.Packet]:
    """The packets of `streams` from the present position to the end, then an empty one for each stream.

    Raises what FFmpeg raises when reading fails.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:  # PyAV stumbles behind the last packet where streams turned up while reading
        return
