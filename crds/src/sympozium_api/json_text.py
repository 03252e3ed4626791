"""JSON objects that rest as text. Of an object without a schema the API server sorts the keys and rewrites the numbers."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field

from sympozium_api.base import ApiModel, rule, rules
from sympozium_api.json_members import count_signs

MAX_TEXT_BYTES = 8 * 1024 * 1024 + 64 * 1024
"""Longest text, in bytes of UTF-8: the longest body that a web-proxy can be set to accept, and what a translation adds."""
MAX_PACKED_BYTES = 2 * 1024 * 1024
"""Longest text that is kept as ``gzip``. It is unpacked in one step, in which all other callers wait."""
MAX_PLAIN_BYTES = 1024 * 1024 + 4096
"""Most bytes that a text kept as ``json``, or a part of one, takes in its object: a body of 1 MiB, so that 384 KiB of an answer fit
beside it."""
MAX_PARTS = 128
"""Parts of a text. Most have 4 to 8; a text in which each character is escaped has the most."""

_ESCAPED = {b'"': 1, b"\\": 1, b"\n": 1, b"\t": 1, b"\r": 1, b"<": 5, b">": 5, b"&": 5}
"""Characters that the API server escapes where it stores a text, with the bytes that this adds to each."""
_SEPARATORS = ("\u2028".encode(), "\u2029".encode())
"""Further ones, to each of which it adds 3 bytes."""
_GZIP = 31
"""zlib's window bits of the gzip format."""


class TextError(ValueError):
    """A text that cannot be read. The message names the field, and holds nothing of the text."""


class PartsError(TextError):
    """A text whose parts are not all there, or are another text."""


class JsonText(ApiModel):
    """A JSON object as its text, which the API server keeps byte for byte: ``json``, or ``gzip`` or ``parts`` for long texts."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "(has(self.json) ? 1 : 0) + (has(self.gzip) ? 1 : 0) + (has(self.parts) ? 1 : 0) == 1",
                "exactly one of json, gzip and parts must be set",
            ),
            rule(
                "has(self.json) || (has(self.bytes) && has(self.sha256))",
                "gzip and parts need bytes and sha256 beside them",
            ),
            rule(
                f"!(has(self.gzip) && has(self.bytes)) || self.bytes <= {MAX_PACKED_BYTES}",
                f"the bytes of a text in gzip are at most {MAX_PACKED_BYTES}",
            ),
        )
    }

    text: Annotated[str | None, Field(alias="json", max_length=MAX_PLAIN_BYTES)] = None
    """The text itself."""
    gzip: Annotated[str | None, Field(max_length=MAX_PACKED_BYTES)] = None
    """The text in the gzip format, as base64."""
    parts: Annotated[int | None, Field(ge=1, le=MAX_PARTS)] = None
    """Number of the AgentRunParts, owned by the run, whose ``data`` together are the text."""
    size: Annotated[int | None, Field(alias="bytes", ge=0, le=MAX_TEXT_BYTES)] = None
    """Length of the text in bytes of UTF-8. Optional beside ``json``."""
    sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None
    """SHA-256 of the text's bytes, in hexadecimal digits. Optional beside ``json``."""

    def read(self, field: str) -> str:
        """Return the text. ``field`` is the path that errors name. Raises TextError, also for a text in parts (``joined``)."""
        if self.parts is not None:
            missing = f"{field}.parts: not all of the {self.parts} parts are there"
            raise PartsError(missing if self.text is None else f"{field}.sha256: the parts are another text")
        if (self.text is None) == (self.gzip is None):
            raise TextError(f"{field}: exactly one of json, gzip and parts must be set")
        if self.text is not None and self.size is None and self.sha256 is None:
            return self.text
        content = self.text.encode() if self.text is not None else self._unpacked(field)
        self._check(content, field)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise TextError(f"{field}.gzip: the text is not UTF-8") from None

    def joined(self, text: str) -> Self:
        """Return this text, which is in parts, as ``json``; another text stays in parts, and ``read`` refuses it."""
        try:
            self._check(text.encode(), "")
        except TextError:
            return self.model_copy(update={"text": text})
        return self.made_here(text)

    def made_here(self, text: str) -> Self:
        """Return this text, which is in parts, as ``json``. Its digest was just made of the same text."""
        return self.model_copy(update={"text": text, "parts": None, "size": None, "sha256": None})

    def _check(self, content: bytes, field: str) -> None:
        if self.size not in (None, len(content)):
            raise TextError(f"{field}.bytes: the text has {len(content)} bytes")
        if self.sha256 not in (None, hashlib.sha256(content).hexdigest()):
            raise TextError(f"{field}.sha256: the text has another digest")

    def _unpacked(self, field: str) -> bytes:
        if self.gzip is None or self.size is None or self.sha256 is None:
            raise TextError(f"{field}: gzip needs bytes and sha256 beside it")
        if self.size > MAX_PACKED_BYTES:
            raise TextError(f"{field}.bytes: gzip holds a text of at most {MAX_PACKED_BYTES} bytes")
        try:
            stream = zlib.decompressobj(_GZIP)
            content = stream.decompress(base64.b64decode(self.gzip, validate=True), self.size + 1)
        except (binascii.Error, ValueError, zlib.error):
            raise TextError(f"{field}.gzip: not a text in the gzip format, as base64") from None
        if len(content) > self.size:
            raise TextError(f"{field}.bytes: the text has more than {self.size} bytes")
        if not stream.eof or stream.unused_data:
            raise TextError(f"{field}.gzip: the text is cut, or something follows it")
        return content


@dataclass(frozen=True)
class StoredText:
    """A text as it rests."""

    field: dict[str, Any]
    """The text's field in the run, a ``JsonText``."""
    parts: tuple[str, ...] = ()
    """Data of the AgentRunParts that hold the text; none if the field itself holds it."""


def json_text(text: str, *, plain_bytes: int = MAX_PLAIN_BYTES, packed_bytes: int = MAX_PLAIN_BYTES) -> StoredText:
    """Return a JSON object's text as it rests.

    As ``json`` if that takes at most ``plain_bytes`` in its object, as ``gzip`` if that takes at most ``packed_bytes``, else in parts.
    """
    content = text.encode()
    if len(content) <= plain_bytes and stored_bytes(content) <= plain_bytes:
        return StoredText({"json": text} | _digest(content))
    if len(content) <= MAX_PACKED_BYTES:
        packed = base64.b64encode(zlib.compress(content, 1, wbits=_GZIP)).decode()
        if len(packed) <= packed_bytes:
            return StoredText({"gzip": packed} | _digest(content))
    return text_in_parts(content)


def text_in_parts(content: bytes) -> StoredText:
    """Return a JSON object's text, in UTF-8, as it rests in parts."""
    parts = tuple(_cut(content))
    return StoredText({"parts": len(parts)} | _digest(content), parts)


def _digest(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _cut(content: bytes) -> Iterator[str]:
    """Yield a text in pieces that each fit into an object."""
    at = 0
    while at < len(content):
        end = min(at + MAX_PLAIN_BYTES, len(content))
        while stored_bytes(content[at:end]) > MAX_PLAIN_BYTES:
            end = at + (end - at) // 2
        while end < len(content) and content[end] & 0xC0 == 0x80:  # not between the bytes of a character
            end -= 1
        yield content[at:end].decode()
        at = end


def stored_bytes(content: bytes) -> int:
    """Return the bytes that a text in UTF-8 takes in its object."""
    counts = count_signs(content, tuple(_ESCAPED))
    separators = 0 if content.isascii() else sum(map(content.count, _SEPARATORS))
    return (
        len(content)
        + sum(count * added for count, added in zip(counts, _ESCAPED.values(), strict=True))
        + 3 * separators
    )
