"""Parser of one response of HTTP/1.1 that arrives as bytes in arbitrary pieces. Pure. Rules: RFC 9112; where servers in the wild
break them, h11's: tests compare the two, byte by byte.
"""

from __future__ import annotations

from sympozium_api.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_HEAD_BYTES = 100 * 1024
"""Longest status line with all headers, chunk header or trailer."""

_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HEX_DIGITS = b"0123456789ABCDEFabcdef"
_NO_TEXT = b"\x00\n\v\f\r"
"""Bytes that no value of a header holds."""
_LONGEST_NUMBER = 20
"""Digits of a length."""


class ProtocolError(ValueError):
    """A response that is not HTTP/1.1, or that was cut."""


@dataclass(frozen=True)
class ResponseHead:
    """A response's status and headers; their names are in lower case."""

    status: int
    headers: Mapping[str, str]


class ResponseParser:
    """Incremental parser. ``head`` is None until the head has arrived; ``is_complete`` is True once the body has.

    ``failure`` is the reason why the response has no rest. What came before it is valid, and returned.
    """

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.is_complete = False
        self.failure: ProtocolError | None = None
        self._buffer = bytearray()
        self._remaining = 0
        """Bytes of the body, or of its current chunk, that have not come yet."""
        self._read: Callable[[], bytes | None] = self._read_head
        """Reader of the next part: returns content, maybe none; None if it needs more bytes."""

    def feed(self, received: bytes) -> list[bytes]:
        """Parse more bytes, none of them at the end of the connection; return the body's content in them."""
        pieces: list[bytes] = []
        try:
            if not received:
                self._close()
            self._buffer += received
            while not self.is_complete and (piece := self._read()) is not None:
                if piece:
                    pieces.append(piece)
        except ProtocolError as failure:
            self.failure = failure
        return pieces

    def _close(self) -> None:
        if self._read == self._read_until_closed:
            self.is_complete = True
        elif not self.is_complete:
            raise ProtocolError(
                "the connection was closed within the answer"
                if self.head
                else "the connection was closed without an answer"
            )

    def _read_head(self) -> bytes | None:
        lines = self._take_lines()
        if lines is None:
            return None
        status, headers = _status(lines[0] if lines else b""), _headers(lines[1:])
        if status == 101:
            raise ProtocolError("the server switches protocols")
        is_chunked, length = _framing(headers)
        if status >= 200:
            self.head = ResponseHead(status, {name.decode(): value.decode("latin-1") for name, value in headers})
            self._begin_body(is_chunked=is_chunked, length=0 if status in (204, 304) else length)
        return b""

    def _begin_body(self, *, is_chunked: bool, length: int | None) -> None:
        self._remaining, self.is_complete = length or 0, length == 0
        if length is not None:
            self._read = self._read_content
        else:
            self._read = self._read_chunk_header if is_chunked else self._read_until_closed

    def _read_until_closed(self) -> bytes | None:
        return self._take(len(self._buffer)) if self._buffer else None

    def _read_content(self) -> bytes | None:
        if not self._buffer:
            return None
        piece = self._take(min(self._remaining, len(self._buffer)))
        self._remaining -= len(piece)
        self.is_complete = self._remaining == 0
        return piece

    def _read_chunk_header(self) -> bytes | None:
        end = self._find(b"\r\n")
        if end is None:
            return None
        size, mark, extension = self._take(end + 2)[:-2].partition(b";")
        if not mark:
            size = size.rstrip(b" \t")
        if not size or len(size) > _LONGEST_NUMBER or size.translate(None, _HEX_DIGITS) or b"\n" in extension:
            raise ProtocolError("the answer's chunk has no length")
        self._remaining = int(size, 16)
        self._read = self._read_chunk if self._remaining else self._read_trailers
        return b""

    def _read_chunk(self) -> bytes | None:
        if not self._buffer:
            return None
        piece = self._take(min(self._remaining, len(self._buffer)))
        self._remaining -= len(piece)
        if not self._remaining:
            self._read = self._read_chunk_end
        return piece

    def _read_chunk_end(self) -> bytes | None:
        if not b"\r\n".startswith(self._buffer[:2]):
            raise ProtocolError("the answer's chunk is longer than its length")
        if len(self._buffer) < 2:
            return None
        self._take(2)
        self._read = self._read_chunk_header
        return b""

    def _read_trailers(self) -> bytes | None:
        lines = self._take_lines()
        if lines is None:
            return None
        _headers(lines)
        self.is_complete = True
        return b""

    def _take_lines(self) -> list[bytes] | None:
        """Take lines up to an empty one, which is the first if there are none."""
        for empty in (b"\n", b"\r\n"):
            if self._buffer.startswith(empty):
                self._take(len(empty))
                return []
        ends = [(at, len(mark)) for mark in (b"\n\n", b"\n\r\n") if (at := self._buffer.find(mark)) >= 0]
        if not ends:
            self._check_length()
            return None
        at, size = min(ends)
        return [line.removesuffix(b"\r") for line in self._take(at + size)[:at].split(b"\n")]

    def _find(self, mark: bytes) -> int | None:
        at = self._buffer.find(mark)
        if at < 0:
            self._check_length()
        return at if at >= 0 else None

    def _check_length(self) -> None:
        if len(self._buffer) > MAX_HEAD_BYTES:
            raise ProtocolError("the answer's head is too long")

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _headers(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    unfolded: list[bytes] = []
    for line in lines:
        if line.startswith((b" ", b"\t")) and unfolded:  # a folded line continues the one before
            unfolded[-1] += b" " + line.lstrip(b" \t")
        else:
            unfolded.append(line)
    return [_header(line) for line in unfolded]


def _framing(headers: list[tuple[bytes, bytes]]) -> tuple[bool, int | None]:
    """Return whether the body is chunked, and else its length, None for a body that ends with the connection."""
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    lengths = {part.strip() for name, value in headers if name == b"content-length" for part in value.split(b",")}
    if len(lengths) > 1 or not all(length.isdigit() and len(length) <= _LONGEST_NUMBER for length in lengths):
        raise ProtocolError("the answer's content-length is not one number")
    if codings and codings != [b"chunked"]:
        raise ProtocolError("the answer's transfer-encoding is unknown")
    return bool(codings), int(lengths.pop()) if lengths and not codings else None


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, mark, value = line.partition(b":")
    value = value.strip(b" \t")
    if not mark or not name or name.translate(None, _TOKEN) or value != value.translate(None, _NO_TEXT):
        raise ProtocolError("the answer's headers are not HTTP")
    return name.lower(), value


def _status(line: bytes) -> int:
    """Return the status of a status line; some servers leave out the reason and the space before it."""
    version, _, rest = line.partition(b" ")
    code, mark, reason = rest[:3], rest[3:4], rest[4:]
    is_http = (
        len(version) == 8
        and version.startswith(b"HTTP/")
        and version[6:7] == b"."
        and (version[5:6] + version[7:]).isdigit()
    )
    if (
        not is_http
        or len(code) < 3
        or not code.isdigit()
        or mark not in (b"", b" ")
        or reason != reason.translate(None, _NO_TEXT)
    ):
        raise ProtocolError("the answer is not HTTP")
    return int(code)
