"""Parser of server-sent events that arrive as bytes in arbitrary pieces. Pure. Rules: WHATWG HTML, "Parsing an event stream"."""

from __future__ import annotations

import re

from sympozium_api.values import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class SseEvent:
    """A complete event with data."""

    name: str
    """Empty if the server gave none."""
    data: str


class SseParser:
    """Incremental parser that returns each complete event that has data, and skips comments and other fields."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # of the last line, which has no end yet
        self._name = b""
        self._data: list[bytes] = []
        self._is_first_line = True
        self._after_cr = False  # a LF that follows belongs to the same line end

    def feed(self, received: bytes) -> list[SseEvent]:
        """Parse more bytes. Raises UnicodeDecodeError."""
        if self._after_cr and received:
            received, self._after_cr = received.removeprefix(b"\n"), False
        self._after_cr |= received.endswith(b"\r")
        first, *others = _LINE_END.split(received)
        self._rest.append(first)
        if not others:
            return []
        lines = [b"".join(self._rest), *others[:-1]]
        self._rest = others[-1:]
        return [event for line in lines if (event := self._parse_line(line)) is not None]

    def close(self) -> list[SseEvent]:
        """Return the last event of a stream that ended without an empty line."""
        return [event for line in (b"".join(self._rest), b"") if (event := self._parse_line(line)) is not None]

    def _parse_line(self, line: bytes) -> SseEvent | None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            name, event, self._name, self._data = self._name, self._data, b"", []
            return SseEvent(name.decode(), b"\n".join(event).decode()) if event else None
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        elif field == b"event":
            self._name = value.removeprefix(b" ")
        return None
