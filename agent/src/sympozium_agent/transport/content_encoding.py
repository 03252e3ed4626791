"""Content codings of a response that a server chose although none was offered. Pure. Rules: RFC 9110, section 8.4.1."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    class Decoder(Protocol):
        """Incremental decoder of one response."""

        def decode(self, received: bytes) -> Iterator[bytes]:
            """Yield the content that the next encoded bytes complete, in pieces. Raises DecodingError."""

        def close(self) -> None:
            """Raise DecodingError if the content was cut."""


MAX_DECODED_BYTES = 64 * 1024 * 1024
"""Bytes that compressed content may have once it is decompressed."""
_PIECE_BYTES = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_CODINGS = ("gzip", "x-gzip", "deflate")


class DecodingError(ValueError):
    """Content that is not encoded as its header says, or in a coding other than gzip and deflate."""


def decoder(encoding: str) -> Decoder:
    """Return the decoder of a ``Content-Encoding``. Raises DecodingError for an unknown one."""
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if not names:
        return _Identity()
    if len(names) > 1 or names[0] not in _CODINGS:
        raise DecodingError(f"its content encoding is '{encoding}', although none was offered")
    return _Inflater()


class _Identity:
    def decode(self, received: bytes) -> Iterator[bytes]:
        yield received

    def close(self) -> None:
        pass


class _Inflater:
    """Decoder whose first two bytes tell gzip, zlib and bare deflate apart, because servers call each of them "deflate".

    Gzip content may have several members (RFC 1952, section 2.2), with zeros between them. Other bytes after the end are ignored.
    """

    def __init__(self) -> None:
        self._start = b""
        self._inflater: Any = None
        self._is_gzip = False
        self._has_ended = False  # one member at least
        self._size = 0

    def decode(self, received: bytes) -> Iterator[bytes]:
        while received:
            if self._inflater is None:
                self._start += received
                self._inflater = self._begin()
                if self._inflater is None:
                    return
                received, self._start = self._start, b""
            yield from self._inflated(received)
            received = self._inflater.unused_data
            if self._inflater.eof:
                self._has_ended, self._inflater = True, None

    def close(self) -> None:
        if self._inflater is not None or (self._start and not self._has_ended):
            raise DecodingError("its compressed content was cut")

    def _begin(self) -> Any:
        """Return the inflater of the content or of its next member; None until there are two bytes, and after the last member."""
        import zlib  # noqa: PLC0415 - an import is latency, and this server is rare

        if self._has_ended:
            self._start = self._start.lstrip(b"\0") if self._is_gzip else b""
        if len(self._start) < len(_GZIP_MAGIC):
            return None
        self._is_gzip = self._start.startswith(_GZIP_MAGIC)
        if self._has_ended and not self._is_gzip:
            return None
        is_wrapped = self._is_gzip or _is_zlib(self._start)
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32 if is_wrapped else -zlib.MAX_WBITS)

    def _inflated(self, received: bytes) -> Iterator[bytes]:
        import zlib  # noqa: PLC0415

        is_full = True
        while (received or is_full) and not self._inflater.eof:
            try:
                content: bytes = self._inflater.decompress(received, _PIECE_BYTES)
            except zlib.error as failure:
                raise DecodingError("it cannot be decompressed") from failure
            self._size += len(content)
            if self._size > MAX_DECODED_BYTES:
                raise DecodingError(f"it is larger than {MAX_DECODED_BYTES >> 20} MiB when decompressed")
            received, is_full = self._inflater.unconsumed_tail, len(content) == _PIECE_BYTES
            if content:
                yield content


def _is_zlib(start: bytes) -> bool:
    """Return True for the header of RFC 1950: method 8, and a checksum of the first two bytes."""
    return start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0
