"""A connection to the model that an idle pod holds open, so that its run waits for no handshake.

Only where a handshake is worth it: with TLS. An open connection costs some model servers a worker, and in a cluster a new one
takes less than a millisecond.
"""

import asyncio
from urllib.parse import urlsplit

from sympozium_agent.transport.http1 import CONNECT_SECONDS, Broken, Connection, open_connection

_LOOK_SECONDS = 5.0


class Spare:
    """At most one connection, to the host of one URL."""

    def __init__(self) -> None:
        self._origin: tuple[str, str] | None = None
        self._connection: Connection | None = None

    async def keep(self, url: str) -> None:
        """Have a connection to this URL's host, and another one whenever the host has closed it, until this is cancelled."""
        self._origin = _origin(url)
        pause = _LOOK_SECONDS
        while self._origin[0] == "https":
            if self._connection is None or self._connection.is_closed:
                self.close()
                try:
                    self._connection = await open_connection(url, CONNECT_SECONDS)
                except Broken:
                    pause = min(2 * pause, 60.0)  # the run will find out for itself
            await asyncio.sleep(pause)

    def take(self, url: str) -> Connection | None:
        """The connection, if it is to this URL's host and still open; whoever takes it closes it."""
        connection, self._connection = self._connection, None
        if connection is None or (_origin(url) == self._origin and not connection.is_closed):
            return connection
        connection.close()
        return None

    def close(self) -> None:
        """Nobody needs it any more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
