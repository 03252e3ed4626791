"""Content codings of a response that a server chose although none was offered. Pure. Rules: RFC 9110, section 8.4.1."""

from typing import Any, Protocol

_GZIP_MAGIC = b"\x1f\x8b"
_CODINGS = ("gzip", "x-gzip", "deflate")


class DecodingError(ValueError):
    """Content that is not encoded as its header says, or in a coding other than gzip and deflate."""


class Decoder(Protocol):
    """Incremental decoder of one response."""

    def decode(self, received: bytes) -> bytes:
        """Return the content that the next encoded bytes complete. Raises DecodingError."""


def decoder(encoding: str) -> Decoder:
    """Return the decoder of a ``Content-Encoding``. Raises DecodingError for an unknown one."""
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if not names:
        return _Identity()
    if len(names) > 1 or names[0] not in _CODINGS:
        raise DecodingError(f"its content encoding is '{encoding}', although none was offered")
    return _Inflater()


class _Identity:
    def decode(self, received: bytes) -> bytes:
        return received


class _Inflater:
    """Decoder whose first two bytes tell gzip, zlib and bare deflate apart, because servers call each of them "deflate"."""

    def __init__(self) -> None:
        self._start = b""
        self._inflater: Any = None

    def decode(self, received: bytes) -> bytes:
        import zlib  # noqa: PLC0415 - an import is latency, and this server is rare

        if self._inflater is None:
            self._start += received
            if len(self._start) < len(_GZIP_MAGIC):
                return b""
            received = self._start
            is_wrapped = received.startswith(_GZIP_MAGIC) or _is_zlib(received)
            self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32 if is_wrapped else -zlib.MAX_WBITS)
        try:
            content: bytes = self._inflater.decompress(received)
        except zlib.error as failure:
            raise DecodingError("it cannot be decompressed") from failure
        return content


def _is_zlib(start: bytes) -> bool:
    """Return True for the header of RFC 1950: method 8, and a checksum of the first two bytes."""
    return start[0] & 0x0F == 8 and int.from_bytes(start[:2]) % 31 == 0
