"""Connections with TLS. The only module that imports ssl on the plain path, and imported for https only."""

from __future__ import annotations

import _socket
import socket
import ssl

from sympozium_agent.transport.connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sympozium_agent.waiting import Scope


class _SecureConnection(Connection):
    def __init__(self, connected: ssl.SSLSocket) -> None:
        super().__init__(connected)
        self._tls = connected

    def handshake(self, scope: Scope) -> None:
        while True:
            try:
                return self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.wait(scope)
            except ssl.SSLWantWriteError:
                self.wait(scope, sends=True)

    def receive(self) -> bytes | None:
        self._waits_for_room = False
        try:
            return super().receive()
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            self._waits_for_room = True
            return None

    def send(self, data: bytes | bytearray) -> int:
        try:
            return super().send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0


def secured(connected: _socket.socket, host: str, scope: Scope) -> Connection:
    """Return a connection to ``host`` with TLS over a connected socket. Raises OSError, also for a certificate that is not trusted.

    Trusted certificate authorities are those of OpenSSL, SSL_CERT_FILE and SSL_CERT_DIR.
    """
    context = ssl.create_default_context()
    plain = socket.socket(fileno=connected.detach())
    plain.settimeout(0)
    try:
        tls = context.wrap_socket(plain, server_hostname=host.encode(), do_handshake_on_connect=False)
    except BaseException:
        plain.close()
        raise
    connection = _SecureConnection(tls)
    try:
        connection.handshake(scope)
    except BaseException:
        connection.close()
        raise
    return connection
