"""JSON objects as texts: the members of an object with the text of each value, and objects made of such texts. Pure.

A value that is parsed and written again may be another text: ``1e3`` becomes ``1000.0``. What only passes through keeps its text.
Standard library only, because the agent imports this module.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def parse_members(text: str, decoder: json.JSONDecoder = _DECODER) -> Iterator[tuple[str, Any, str]]:
    """Yield each member of a JSON object: its name, its value and the text of the value.

    Raises ValueError and RecursionError if the text is not a JSON object.
    """
    at = _expect("{", text, _after_space(text, 0))
    if text.startswith("}", at):
        _expect_end(text, at + 1)
        return
    while True:
        if not text.startswith('"', at):
            raise json.JSONDecodeError("Expecting a name in double quotes", text, at)
        name, at = _DECODER.raw_decode(text, at)
        start = _expect(":", text, _after_space(text, at))
        value, end = decoder.raw_decode(text, start)
        yield name, value, text[start:end]
        at = _after_space(text, end)
        if text.startswith("}", at):
            _expect_end(text, at + 1)
            return
        at = _expect(",", text, at)


def member_texts(text: str) -> dict[str, str]:
    """Return the members of a JSON object, each value as its text. Raises ValueError and RecursionError."""
    return {name: part for name, _, part in parse_members(text)}


def join_members(members: Mapping[str, str]) -> str:
    """Return the JSON object of these members, each value given as its text."""
    return "{" + ",".join(f"{compact(name)}:{text}" for name, text in members.items()) + "}"


def compact(value: Any) -> str:
    """Return a value as compact JSON; in ASCII where a text holds half of a surrogate pair, which UTF-8 cannot encode."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(sign: str, text: str, at: int) -> int:
    """Return the place of what follows a sign and the space after it. Raises ValueError if the sign is not there."""
    if not text.startswith(sign, at):
        raise json.JSONDecodeError(f"Expecting '{sign}'", text, at)
    return _after_space(text, at + 1)


def _expect_end(text: str, at: int) -> None:
    if (rest := _after_space(text, at)) != len(text):
        raise json.JSONDecodeError("Extra data", text, rest)
