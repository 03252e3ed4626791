"""A connection to the model server that an idle pod holds open, so that its run waits for no handshake.

Only connections with TLS are held open. An open connection costs some model servers a worker, and a new connection
without TLS takes less than a millisecond within a cluster.
"""

from __future__ import annotations

from _thread import allocate_lock

from sympozium_agent.transport.errors import TransportError
from sympozium_agent.transport.url import parse_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sympozium_agent.transport.connection import Connection
    from sympozium_agent.transport.url import Url
    from sympozium_agent.waiting import Scope

    Connect = Callable[[Url, float, Scope], Connection]
    """Connects to a URL's host within so many seconds, as ``connection.connect`` does."""

CONNECT_SECONDS = 10.0
"""Longest wait for a connection to the model server."""
_CHECK_SECONDS = 5.0


class Preconnection:
    """At most one open connection, to the host of one URL. One thread maintains it, another one acquires or closes it, once."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._is_over = False
        """True once the connection was acquired or closed: what is opened after that is nobody's."""
        self._origin: tuple[str, str] | None = None
        self._connection: Connection | None = None

    def maintain(self, url: str, scope: Scope, connect: Connect) -> None:
        """Connect to this URL's host, and reconnect whenever the host closes the connection, until the scope ends."""
        target = parse_url(url)
        self._origin = _origin(target)
        pause = _CHECK_SECONDS
        while target.is_secure and not self._is_over:
            if not self._holds_open_connection():
                try:
                    self._hold(connect(target, CONNECT_SECONDS, scope))
                    pause = _CHECK_SECONDS
                except TransportError:
                    pause = min(2 * pause, 60.0)  # the run reports the error if it lasts
            scope.sleep(pause)

    def acquire(self, target: Url) -> Connection | None:
        """Return the connection if it leads to this URL's host and is still open. The caller closes it."""
        with self._lock:
            self._is_over = True
            connection, self._connection = self._connection, None
        if connection is None or (_origin(target) == self._origin and not connection.is_closed):
            return connection
        connection.close()
        return None

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._lock:
            self._is_over = True
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _holds_open_connection(self) -> bool:
        """Return True if there is an open connection; forget a closed one."""
        with self._lock:
            if self._connection is None:
                return False
            if self._connection.is_closed:
                self._connection.close()
                self._connection = None
            return self._connection is not None

    def _hold(self, connection: Connection) -> None:
        with self._lock:
            if not self._is_over:
                self._connection = connection
                return
        connection.close()


def _origin(target: Url) -> tuple[str, str]:
    return target.scheme, target.authority
