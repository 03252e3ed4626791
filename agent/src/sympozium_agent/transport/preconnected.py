"""A connection to the model server that an idle pod holds open, so that its run waits for no handshake.

Only connections with TLS are held open. An open connection costs some model servers a worker, and a new connection
without TLS takes less than a millisecond within a cluster.
"""

import asyncio
from urllib.parse import urlsplit

from sympozium_agent.transport.http1 import CONNECT_SECONDS, OpenConnection, TransportError, connect

_CHECK_SECONDS = 5.0


class Preconnection:
    """At most one open connection, to the host of one URL."""

    def __init__(self) -> None:
        self._origin: tuple[str, str] | None = None
        self._connection: OpenConnection | None = None

    async def maintain(self, url: str) -> None:
        """Connect to this URL's host, and reconnect whenever the host closes the connection, until cancelled."""
        self._origin = _origin(url)
        pause = _CHECK_SECONDS
        while self._origin[0] == "https":
            if self._connection is None or self._connection.is_closed:
                self.close()
                try:
                    self._connection = await connect(url, CONNECT_SECONDS)
                except TransportError:
                    pause = min(2 * pause, 60.0)  # the run reports the error if it lasts
            await asyncio.sleep(pause)

    def acquire(self, url: str) -> OpenConnection | None:
        """Return the connection if it leads to this URL's host and is still open. The caller closes it."""
        connection, self._connection = self._connection, None
        if connection is None or (_origin(url) == self._origin and not connection.is_closed):
            return connection
        connection.close()
        return None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
