"""Connections on which no whole request arrives are closed; uvicorn by itself waits for headers for ever.

The parser is h11 wherever httptools is installed, too: httptools sets no limit to the size of headers.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 30.0


def impatient(seconds: float = HEADERS_S) -> type[asyncio.Protocol]:
    """uvicorn's protocol, which closes a connection that waits for a request's headers between one and two
    times so long. Bodies and answers have limits of their own."""

    class Impatient(H11Protocol):
        def connection_made(self, transport) -> None:
            super().connection_made(transport)
            self._look_again()

        def connection_lost(self, exc) -> None:
            self._look.cancel()
            super().connection_lost(exc)

        def _look_again(self) -> None:
            self._look = self.loop.call_later(seconds, self._close_if_waiting, self.cycle)

        def _close_if_waiting(self, before) -> None:
            answered = self.cycle is None or self.cycle.response_complete
            if answered and self.cycle is before and not self.transport.is_closing():
                self.transport.close()
            else:
                self._look_again()

    return Impatient
