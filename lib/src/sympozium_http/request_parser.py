"""Parsing of HTTP/1 requests whose clients also offer another protocol, add trailers, or know only HTTP/1.0."""

from typing import Any

import httptools

_OFFERS = (b"upgrade", b"http2-settings")
"""Headers of an offer to continue in another protocol. The application never sees an offer."""
_FRAMING = (b"content-length", b"transfer-encoding", b"connection")
"""Headers that decide where a request ends, and whether its connection stays open."""
_WEBSOCKET = b"websocket"


class RequestParser:
    """A request parser for uvicorn's protocol that ignores an offer to upgrade, as RFC 9110, section 7.8 allows.

    httptools takes the offer for accepted: it stops after the headers, and the body is lost. A second parser therefore gets the
    headers that frame the request, without the offer, and reads on. curl --http2 and Java's HttpClient send such offers.
    An offer of WebSocket passes as it is, where the server has a protocol for it and the request no body.
    Trailers after a chunked body are dropped, because uvicorn would add them to the request's headers.
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._parser = self._fresh()
        self._framing: list[tuple[bytes, bytes]] = []
        self._has_offer = False
        self._offer = b""
        """Value of the header Upgrade."""
        self._resumes = False
        self._in_body = False

    def feed_data(self, data: bytes) -> None:
        """Parse input. Raises httptools.HttpParserError, and HttpParserUpgrade for CONNECT and where WebSocket passes."""
        rest = memoryview(data)
        while rest:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                if not self._has_offer:
                    raise
                self._resume()
                rest = rest[offer.args[0] :]
            else:
                return

    def close(self) -> None:
        """Break the cycle of references, which would keep a lost connection's memory until a full garbage collection."""
        del self._parser, self._protocol

    def get_method(self) -> bytes:
        """Return the method of the request under way."""
        return self._parser.get_method()

    def get_http_version(self) -> str:
        """Return the HTTP version of the request under way."""
        return self._parser.get_http_version()

    def should_keep_alive(self) -> bool:
        """Return True if the client keeps the connection open."""
        return self._parser.should_keep_alive()

    def should_upgrade(self) -> bool:
        """Return True for CONNECT, and for WebSocket where it passes."""
        return self._parser.should_upgrade() and not self._has_offer

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Report the beginning of a request, once."""
        if self._resumes:
            return
        self._framing, self._has_offer, self._offer, self._in_body = [], False, b"", False
        self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Report a piece of the request's target."""
        if not self._resumes:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Report a header that belongs to no offer and is no trailer."""
        if self._resumes or self._in_body:
            return
        lower = name.lower()
        if lower in _FRAMING:
            self._framing.append((lower, value))
        if lower not in _OFFERS:
            self._protocol.on_header(name, value)
        elif lower == b"upgrade":
            self._offer = value

    def on_headers_complete(self) -> None:
        """Report the end of the headers, unless an offer stops this parser here."""
        upgrades = self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"
        self._has_offer = upgrades and not self._passes_websocket()
        if upgrades and not self._has_offer:
            self._protocol.on_header(b"upgrade", self._offer)
        if not self._has_offer:
            self._resumes, self._in_body = False, True
            self._protocol.on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Report a piece of the body."""
        self._protocol.on_body(body)

    def on_message_complete(self) -> None:
        """Report the end of a request, unless an offer has stopped this parser."""
        if not self._has_offer:
            self._protocol.on_message_complete()

    def _passes_websocket(self) -> bool:
        """Return whether an offer is one of WebSocket that the server takes: with GET, HTTP/1.1 and without a body."""
        takes = self._protocol.ws_protocol_class is not None and self._offer.strip().lower() == _WEBSOCKET
        request = (self._parser.get_method(), self._parser.get_http_version())
        return takes and request == (b"GET", "1.1") and not any(name != b"connection" for name, _ in self._framing)

    def _resume(self) -> None:
        """Let a second parser continue after the headers."""
        line = b"%s / HTTP/%s" % (self._parser.get_method(), self._parser.get_http_version().encode())
        lines = [line, *(b"%s: %s" % (name, _without_offer(value)) for name, value in self._framing), b"", b""]
        self._parser, self._has_offer, self._resumes = self._fresh(), False, True
        self._parser.feed_data(b"\r\n".join(lines))

    def _fresh(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # As uvicorn sets it: a request may follow one that has asked to close the connection.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser


class UntilClose(int):
    """Length of a body that ends with its connection, in uvicorn's count of bytes that are left: HTTP/1.0 has no chunks."""

    def __lt__(self, _: object) -> bool:
        return False

    def __sub__(self, _: object) -> "UntilClose":
        return self

    def __ne__(self, _: object) -> bool:
        return False


def _without_offer(value: bytes) -> bytes:
    """Return a header's list of words without those that belong to an offer."""
    return b",".join(word for word in value.split(b",") if word.strip().lower() not in _OFFERS)
