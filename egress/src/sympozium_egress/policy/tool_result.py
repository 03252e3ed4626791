"""Result of a call, as the model is told it: text and JSON as they are, everything else by type and size."""

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

_TEXT_TYPES = re.compile(
    r"text/.+|application/(.+\+)?(json|xml|yaml)|application/(x-ndjson|javascript|x-www-form-urlencoded)"
)
_CHARSETS = re.compile(
    r"utf-(8|16|32)(-.+)?|ascii|iso8859-\d+|cp\d+|koi8-.|gb(2312|k|18030)|big5(hkscs)?|(euc|shift)_.+|iso2022_.+|mac-.+|tis-620"
)
"""Charsets that are read, as Python names them. Others of Python's are no charsets: some take quadratic time, some always fail."""
_SHORTEST_SECRET = 4
"""Shortest secret that is blotted out. A shorter one would blot out half of every text, and protects nothing."""
_REDACTED = "[redacted]"


@dataclass(frozen=True)
class HttpAnswer:
    """Answer of an HTTP server, bounded."""

    status: int
    content_type: str
    """Media type without parameters, in lower case; empty: the server named none."""
    charset: str
    """Charset of a text; empty: the server named none."""
    content_encoding: str
    body: bytes
    is_cut: bool = False
    """True if the server sent more than ``body``."""
    retry_after: str | None = None


@dataclass(frozen=True)
class ToolResult:
    """Result of a call."""

    text: str
    is_error: bool


def of_answer(answer: HttpAnswer, secrets: Iterable[str] = ()) -> ToolResult:
    """Return the result of a webhook's answer, without the secrets that were sent to it."""
    text = redacted(_text(answer), secrets)
    if 200 <= answer.status < 300:
        return ToolResult(text or "(empty answer)", is_error=False)
    if 300 <= answer.status < 400:
        return ToolResult(f"the tool answered with a redirect ({answer.status}), which is not followed", is_error=True)
    return ToolResult(
        f"the tool answered {answer.status}: {text}" if text else f"the tool answered {answer.status}", is_error=True
    )


def text_of(answer: HttpAnswer) -> str | None:
    """Return an answer's text; None if it is no text."""
    if answer.content_encoding not in ("", "identity") or not _is_text(answer):
        return None
    return answer.body.decode(_known(answer.charset), errors="replace")


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return a text without these secrets: a server may send back what it was sent."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _REDACTED)
    return text


def cut_mark(size: int) -> str:
    """Return the line that ends a text of which only the first ``size`` bytes were read."""
    return f"\n[cut: only the first {size} bytes were read]"


def _text(answer: HttpAnswer) -> str:
    text = text_of(answer)
    if text is not None:
        return text + (cut_mark(len(answer.body)) if answer.is_cut else "")
    if not answer.body:
        return ""
    size = f"more than {len(answer.body)}" if answer.is_cut else str(len(answer.body))
    kind = answer.content_type or "unknown type"
    encoding = f", {answer.content_encoding}" if answer.content_encoding not in ("", "identity") else ""
    return f"[{kind}{encoding}, {size} bytes]"


def _is_text(answer: HttpAnswer) -> bool:
    if answer.content_type:
        return _TEXT_TYPES.fullmatch(answer.content_type) is not None
    return b"\0" not in answer.body and _is_utf8(answer.body)


def _is_utf8(body: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body)  # a cut may be within a character
    except UnicodeDecodeError:
        return False
    return True


def _known(charset: str) -> str:
    try:
        name = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return name if _CHARSETS.fullmatch(name) else "utf-8"
