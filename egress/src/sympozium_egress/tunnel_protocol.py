"""The protocol of port 8082: HTTP for uvicorn, and connections that begin with CONNECT, which ASGI does not know."""

import asyncio

from sympozium_egress.policy.tunnel_request import MAX_HEAD_BYTES
from sympozium_egress.tunnels import PIECE_BYTES, Tunnels
from sympozium_http.request_limits import RequestLimits
from sympozium_http.request_parser import RequestParser

_METHOD = b"CONNECT "
_END = b"\r\n\r\n"


class TunnelLimits(RequestLimits):
    """Limits of requests; a connection whose first bytes are ``CONNECT `` becomes a tunnel."""

    tunnels: Tunnels
    _head: bytearray | None = None
    """Head of a request for a tunnel, as far as it has arrived."""

    def data_received(self, data: bytes) -> None:
        """Collect the head of a request for a tunnel; parse anything else as HTTP."""
        if self._head is None and (self._requests or self._stage != "idle" or not data.startswith(_METHOD)):
            super().data_received(data)
            return
        self._head = (self._head or bytearray()) + data
        head, mark, rest = bytes(self._head).partition(_END)
        if len(head) > MAX_HEAD_BYTES:
            self._refuse_head()
        elif mark:
            self._begin(head, rest)

    def _begin(self, head: bytes, rest: bytes) -> None:
        """Give the connection to a task that uvicorn waits for at its end, as it waits for requests."""
        self._stop_clock()
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        parser: RequestParser = self.parser  # type: ignore[assignment]
        parser.close()
        reader = asyncio.StreamReader(PIECE_BYTES, loop=self.loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if rest:
            reader.feed_data(rest)
        writer = asyncio.StreamWriter(self.transport, protocol, reader, self.loop)
        task = self.loop.create_task(self.tunnels.serve(head, reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def with_tunnels(tunnels: Tunnels) -> type[TunnelLimits]:
    """Return the protocol with its maker of tunnels."""
    return type(TunnelLimits.__name__, (TunnelLimits,), {"tunnels": tunnels})
