"""Tunnels through the egress guard to model servers outside the cluster. TLS is from end to end: the guard sees host and port."""

from __future__ import annotations

import json

from sympozium_agent.transport.connection import connect, secured
from sympozium_agent.transport.errors import TransportError
from sympozium_agent.transport.response_parser import ResponseParser
from sympozium_agent.transport.url import parse_url
from sympozium_agent.waiting import DeadlineExceeded
from sympozium_api.agent_protocol import HEADER_INSTANCE, HEADER_RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from sympozium_agent.transport.connection import Connection
    from sympozium_agent.transport.url import Url
    from sympozium_agent.waiting import Scope

REFUSED = "EgressRefused"
"""Reason of a tunnel that the guard does not make, which lasts until somebody changes something."""


class Guard:
    """The egress guard as one pod knows it. ``token`` returns the pod's bearer token."""

    def __init__(self, url: str, token: Callable[[], str], *, run: str | None, instance: str) -> None:
        self._url = parse_url(url)
        self._token = token
        self.run = run
        """The pod's run; None while the pod is idle."""
        self._instance = instance

    def connect(self, target: Url, timeout: float, scope: Scope) -> Connection:
        """Connect to a URL's host through the guard. Raises as ``connection.connect``, and TransportError with the guard's reason."""
        limited = scope.within(timeout)
        try:
            tunnel = connect(self._url, timeout, scope)
        except TransportError as failure:
            raise TransportError(f"no connection to the egress guard: {failure}", failure.reason) from failure
        try:
            self._ask(tunnel, target, limited)
            return secured(tunnel.socket, target.host, limited) if target.is_secure else tunnel
        except BaseException as failure:
            tunnel.close()
            if isinstance(failure, DeadlineExceeded):
                scope.check()
                raise TransportError("no connection: timed out", "Timeout") from None
            if isinstance(failure, OSError | ValueError):
                from sympozium_agent.transport.errors import no_connection  # noqa: PLC0415 - only for a failure

                raise no_connection(failure) from failure
            raise

    def _ask(self, tunnel: Connection, target: Url, scope: Scope) -> None:
        """Send the request, and read the answer to it. Raises TransportError unless the tunnel stands."""
        unsent, parser = bytearray(self._request(target)), ResponseParser()
        body = bytearray()
        while unsent:
            del unsent[: tunnel.send(unsent)]
            if unsent:
                tunnel.wait(scope, sends=True)
        while parser.head is None or not (parser.head.status == 200 or parser.is_complete):
            received = tunnel.receive()
            if received is None:
                tunnel.wait(scope)
                continue
            for piece in parser.feed(received):
                body += piece
            if parser.failure is not None:
                raise TransportError(f"the egress guard gave no answer: {parser.failure}", "ConnectionFailed")
        if parser.head.status != 200:
            reason = REFUSED if parser.head.status < 500 else "ConnectionFailed"
            raise TransportError(f"the egress guard makes no tunnel: {_message(bytes(body))}", reason)

    def _request(self, target: Url) -> bytes:
        host = f"[{target.host}]" if ":" in target.host else target.host
        who = (HEADER_RUN, self.run) if self.run else (HEADER_INSTANCE, self._instance)
        lines = (
            f"CONNECT {host}:{target.port} HTTP/1.1",
            f"host: {host}:{target.port}",
            f"proxy-authorization: Bearer {self._token()}",
            f"{who[0]}: {who[1]}",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return "it gave no reason"
