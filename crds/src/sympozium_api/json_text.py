"""JSON objects that rest as text. Of an object without a schema the API server sorts the keys and rewrites the numbers."""

import base64
import binascii
import hashlib
import zlib
from typing import Annotated, Any

from pydantic import Field

from sympozium_api.base import ApiModel, rule, rules

MAX_TEXT_BYTES = 2 * 1024 * 1024
"""Longest text, in bytes of UTF-8: the longest body that a web-proxy can be set to accept."""
MAX_PLAIN_BYTES = 1024 * 1024 + 4096
"""Most bytes that a text kept as ``json`` takes in its object: a body of 1 MiB, so that 384 KiB of an answer fit beside it."""

_ESCAPES = dict.fromkeys('"\\\n\t\r', 1) | dict.fromkeys("<>&", 5) | dict.fromkeys("\u2028\u2029", 3)
"""Characters that the API server escapes where it stores a text, with the bytes that this adds."""
_GZIP = 31
"""zlib's window bits of the gzip format."""


class TextError(ValueError):
    """A text that cannot be read. The message names the field, and holds nothing of the text."""


class JsonText(ApiModel):
    """A JSON object as its text, which the API server keeps byte for byte: ``json``, or ``gzip`` for long texts."""

    model_config = {
        "json_schema_extra": rules(
            rule("has(self.json) != has(self.gzip)", "exactly one of json and gzip must be set"),
            rule(
                "!has(self.gzip) || (has(self.bytes) && has(self.sha256))",
                "gzip needs bytes and sha256 beside it",
            ),
        )
    }

    text: Annotated[str | None, Field(alias="json", max_length=MAX_PLAIN_BYTES)] = None
    """The text itself."""
    gzip: Annotated[str | None, Field(max_length=MAX_TEXT_BYTES)] = None
    """The text in the gzip format, as base64."""
    size: Annotated[int | None, Field(alias="bytes", ge=0, le=MAX_TEXT_BYTES)] = None
    """Length of the text in bytes of UTF-8. Optional beside ``json``."""
    sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")] = None
    """SHA-256 of the text's bytes, in hexadecimal digits. Optional beside ``json``."""

    def read(self, field: str) -> str:
        """Return the text. ``field`` is the path that errors name. Raises TextError."""
        if (self.text is None) == (self.gzip is None):
            raise TextError(f"{field}: exactly one of json and gzip must be set")
        content = self.text.encode() if self.text is not None else self._unpacked(field)
        if self.size not in (None, len(content)):
            raise TextError(f"{field}.bytes: the text has {len(content)} bytes")
        if self.sha256 not in (None, hashlib.sha256(content).hexdigest()):
            raise TextError(f"{field}.sha256: the text has another digest")
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise TextError(f"{field}.gzip: the text is not UTF-8") from None

    def _unpacked(self, field: str) -> bytes:
        if self.gzip is None or self.size is None or self.sha256 is None:
            raise TextError(f"{field}: gzip needs bytes and sha256 beside it")
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


def json_text(text: str, *, plain_bytes: int = MAX_PLAIN_BYTES) -> dict[str, Any]:
    """Return a JSON object's text as it rests in an object: as ``json`` if that takes at most ``plain_bytes`` there."""
    content = text.encode()
    digest = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    escapes = sum(text.count(sign) * added for sign, added in _ESCAPES.items())
    if len(content) + escapes <= plain_bytes:
        return {"json": text} | digest
    return {"gzip": base64.b64encode(zlib.compress(content, 1, wbits=_GZIP)).decode()} | digest
