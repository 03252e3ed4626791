"""TCP connections, without TLS; ``tls`` adds it. Sockets do not block: whoever has nothing to do waits in a ``Scope``.

``_socket`` is the part of ``socket`` that is written in C. The rest, enumerations and file objects, is not needed and costs 4 ms.
"""

from __future__ import annotations

import _socket
import os
from errno import EINPROGRESS
from select import POLLIN, POLLOUT

from sympozium_agent.transport.errors import TransportError, no_connection
from sympozium_agent.waiting import Background, DeadlineExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sympozium_agent.transport.url import Url
    from sympozium_agent.waiting import Event, Scope

_READ_BYTES = 65536


class Connection:
    """An open connection. Its owner is one thread at a time."""

    def __init__(self, connected: _socket.socket) -> None:
        self.socket = connected
        self._waits_for_room = False
        """True while TLS has to send before it can receive."""

    def receive(self) -> bytes | None:
        """Return the next bytes, b"" once the peer has closed, or None if there is nothing yet. Raises OSError."""
        try:
            return self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None

    def send(self, data: bytes | bytearray) -> int:
        """Send the beginning of the data; return how many bytes the kernel took. Raises OSError."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def wait(self, scope: Scope, *events: Event, sends: bool = False) -> None:
        """Wait until there is something to receive or, if it ``sends``, room to send, or one of the events is set."""
        readiness = POLLIN | POLLOUT if sends or self._waits_for_room else POLLIN
        scope.wait_for(self.socket.fileno(), readiness, *events)

    @property
    def is_closed(self) -> bool:
        """True if the peer has closed a connection that has carried no request yet, on which no peer sends anything else."""
        if self.socket.fileno() < 0:
            return True
        try:
            return self.receive() is not None
        except OSError:
            return True

    def close(self) -> None:
        """Close the connection at once: nothing is left to be read or flushed."""
        self.socket.close()


def connect(url: Url, timeout: float, scope: Scope) -> Connection:
    """Connect to a URL's host within ``timeout`` seconds. Raises TransportError; Cancelled and DeadlineExceeded of the scope."""
    scope.check()
    try:
        return _connected(url, scope.within(timeout))
    except DeadlineExceeded:
        scope.check()
        raise no_connection(TimeoutError()) from None
    except (OSError, ValueError) as failure:
        raise no_connection(failure) from failure


def _connected(url: Url, scope: Scope) -> Connection:
    failure: OSError | None = None
    for family, kind, protocol, _, address in _addresses(url, scope):
        try:
            opened = _socket.socket(family, kind, protocol)
        except OSError as refusal:  # the node has no IPv6, but the name has such an address
            failure = failure or refusal
            continue
        try:
            _connect(opened, address, scope)
            return secured(opened, url.host, scope) if url.is_secure else Connection(opened)
        except OSError as refusal:
            opened.close()
            failure = failure or refusal
        except BaseException:
            opened.close()
            raise
    raise failure or OSError("the name has no address")


def _addresses(url: Url, scope: Scope) -> list[Any]:
    """Return the addresses of a host. Names are looked up in a thread, because the C library looks without bounds."""
    host = url.host.encode("ascii")  # a text would be encoded by the codec "idna", whose import costs 5 ms

    def look_up(flags: int = 0) -> list[Any]:
        return _socket.getaddrinfo(host, url.port, 0, _socket.SOCK_STREAM, 0, flags)

    try:
        return look_up(_socket.AI_NUMERICHOST)
    except _socket.gaierror:
        lookup = Background(look_up)
        scope.wait(lookup.ended)
        addresses: list[Any] = lookup.result()
        return addresses


def _connect(opened: _socket.socket, address: Any, scope: Scope) -> None:
    opened.settimeout(0)
    opened.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    _enable_keepalive(opened)
    code = opened.connect_ex(address)
    if code == EINPROGRESS:
        scope.wait_for(opened.fileno(), POLLOUT)
        code = opened.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def secured(opened: _socket.socket, host: str, scope: Scope) -> Connection:
    """Return a connection to ``host`` with TLS over a connected socket. Raises OSError."""
    from sympozium_agent.transport import tls  # noqa: PLC0415 - the import of ssl costs 20 ms

    return tls.secured(opened, host, scope)


def _enable_keepalive(opened: _socket.socket) -> None:
    """Probe an idle connection, because a peer whose node is gone sends nothing: it is noticed within half a minute."""
    opened.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
    opened.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_KEEPIDLE, 15)
    opened.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_KEEPINTVL, 5)
    opened.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_KEEPCNT, 3)


__all__ = ["Connection", "TransportError", "connect", "secured"]
