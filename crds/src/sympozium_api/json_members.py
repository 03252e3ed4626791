"""JSON objects as texts: the members of an object with the text of each value, and objects made of such texts. Pure.

A value that is parsed and written again may be another text: ``1e3`` becomes ``1000.0``. What only passes through keeps its text.
Standard library only, because the agent imports this module.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    T = TypeVar("T")
    ScanValue = Callable[[str, str, int], tuple[T, int]]
    """Returns what is wanted of a member's value, and the place after it; takes the name, the whole text and the value's place."""

MAX_MEMBERS = 1000
"""Members of a request's object. Each costs some microseconds of an event loop; clients send about 20."""
_LONGEST_NAME = 64
"""Characters of a member's name that an error repeats."""

MAX_VALUES = 600_000
"""Values and names of a request. Each takes about 100 bytes once it is parsed, and 100 ns of an event loop."""
_COUNTED_CLOSELY = 1024 * 1024
"""Bytes of a text above which signs in strings are not taken for JSON's own. Shorter texts cannot have too many values."""
_SIGNS = (b",", b"[", b"{", b":")
_PIECE_BYTES = 64 * 1024

_SPACE = re.compile(r"[ \t\n\r]*")


class RefusedObject(ValueError):
    """A JSON object that is refused for the reason in the message, which holds at most a name of the text: ``member``."""

    def __init__(self, reason: str, member: str | None = None) -> None:
        super().__init__(reason)
        self.member = member


def printable(name: str) -> str:
    """Return the name of a member as an error repeats it: shortened, and without halves of surrogate pairs."""
    return name[:_LONGEST_NAME].encode(errors="replace").decode()


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object. Raises RefusedObject if a name occurs twice.

    Of two members with the same name, parsers take the first, the last or none: what was checked is not what others read.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _occurs_twice(next(name for name, count in counts.items() if count > 1))
    return members


def _occurs_twice(name: str) -> RefusedObject:
    return RefusedObject(f"it has the member '{printable(name)}' twice", printable(name))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=unique_members)
"""Decoder that refuses ``NaN`` and infinities, which are not JSON, and names that occur twice in an object, at any depth."""


def scan_members(text: str, scan_value: ScanValue[T], *, most: int = sys.maxsize) -> dict[str, T]:
    """Return the members of a JSON object. Raises ValueError, RefusedObject and RecursionError."""
    members, end = scan_object(text, _after_space(text, 0), scan_value, most=most)
    if (rest := _after_space(text, end)) != len(text):
        raise json.JSONDecodeError("Extra data", text, rest)
    return members


def scan_object(text: str, at: int, scan_value: ScanValue[T], *, most: int = sys.maxsize) -> tuple[dict[str, T], int]:
    """Return the members of the JSON object at a place, and the place after it.

    Raises ValueError, RecursionError, and RefusedObject at a name that occurs again and at the member after ``most`` others.
    """
    members: dict[str, T] = {}
    at = _after(text, at, "{")
    if text.startswith("}", at):
        return members, at + 1
    for _ in range(most):
        if not text.startswith('"', at):
            raise json.JSONDecodeError("Expecting a name in double quotes", text, at)
        name, at = DECODER.raw_decode(text, at)
        if name in members:
            raise _occurs_twice(name)
        members[name], at = scan_value(name, text, _after(text, _after_space(text, at), ":"))
        at = _after_space(text, at)
        if text.startswith("}", at):
            return members, at + 1
        at = _after(text, at, ",")
    raise RefusedObject(f"it has more than {most} members")


def scan_text(_: str, text: str, at: int) -> tuple[str, int]:
    """Scan a value as its text."""
    _, end = DECODER.raw_decode(text, at)
    return text[at:end], end


def member_texts(text: str) -> dict[str, str]:
    """Return the members of a JSON object, each value as its text. Raises ValueError, RefusedObject and RecursionError."""
    return scan_members(text, scan_text, most=MAX_MEMBERS)


def join_members(members: Mapping[str, str]) -> str:
    """Return the JSON object of these members, each value given as its text."""
    pieces = ["{"]  # joined once, because a text may have megabytes
    for name, text in members.items():
        pieces += [compact(name), ":", text, ","]
    return "".join([*pieces[:-1], "}"]) if members else "{}"


def compact(value: Any) -> str:
    """Return a value as compact JSON; in ASCII where a text holds half of a surrogate pair, which UTF-8 cannot encode."""
    text = _ENCODER.encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def count_values(content: bytes) -> int:
    """Return about how many values and names a JSON text has; of a long text with many signs, those outside of strings.

    Of a text with more than MAX_VALUES strings, the number of its strings.
    """
    signs = sum(count_signs(content, _SIGNS))
    if len(content) <= _COUNTED_CLOSELY or signs <= MAX_VALUES:
        return signs
    bare = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = bare.count(b'"') // 2
    if strings > MAX_VALUES:
        return strings
    return sum(map(b"".join(bare.split(b'"')[::2]).count, _SIGNS))


def count_signs(content: bytes, signs: Sequence[bytes]) -> list[int]:
    """Return how often each byte of ``signs`` is in a text. Long pieces without it, of which photos have most, cost little."""
    counts = [0] * len(signs)
    for at in range(0, len(content), _PIECE_BYTES):
        piece = content[at : at + _PIECE_BYTES]
        for number, sign in enumerate(signs):
            if sign in piece:
                counts[number] += piece.count(sign)
    return counts


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int, sign: str) -> int:
    """Return the place of what follows a sign and the space after it. Raises ValueError if the sign is not there."""
    if not text.startswith(sign, at):
        raise json.JSONDecodeError(f"Expecting '{sign}'", text, at)
    return _after_space(text, at + 1)
