"""JSON that every part of the way can read, and no part changes: Python's numbers and strings are wider than others'. Pure."""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from sympozium_api.json_members import MAX_MEMBERS, printable, scan_members, unique_members

Path = tuple[str | int, ...]

_INT64 = range(-(2**63), 2**63)
_LONGEST_INT = 20
"""Characters of the longest whole number of 64 bits, with its sign."""
_MOST_DIGITS = 1000
"""Characters of the longest whole number that passes through as text. Parsing takes the square of their number."""


class NotStorable(Exception):
    """A value that others would change or refuse; ``path`` is its place in the form that errors use."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.path = path_text(path)
        self.reason = reason


class _Unfit:
    """Placeholder of a number that is too large."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def parse(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError and RecursionError if it is not JSON, RefusedObject, and NotStorable.

    Whole numbers must fit into 64 bits, because the API server or a client's parser would change others.
    """
    unfit: list[_Unfit] = []
    value = _decoder(unfit, _whole).decode(text)
    _check(value, text, unfit)
    return value


def parse_texts(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the members of a JSON object: their values, and the texts of these.

    Raises ValueError and RecursionError if it is not a JSON object, RefusedObject, and NotStorable. Whole numbers may have 1000
    digits, because the run keeps the text.
    """
    unfit: list[_Unfit] = []
    decoder = _decoder(unfit, _long_whole)

    def scan(_: str, text: str, at: int) -> tuple[tuple[Any, str], int]:
        part, end = decoder.raw_decode(text, at)
        return (part, text[at:end]), end

    members = scan_members(text, scan, most=MAX_MEMBERS)
    value = {name: part for name, (part, _) in members.items()}
    _check(value, text, unfit)
    return value, {name: part_text for name, (_, part_text) in members.items()}


def _decoder(unfit: list[_Unfit], whole: Callable[[str, list[_Unfit]], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=unique_members,
        parse_constant=_refuse_constant,
        parse_int=lambda digits: whole(digits, unfit),
        parse_float=lambda digits: _real(digits, unfit),
    )


def _check(value: Any, text: str, unfit: list[_Unfit]) -> None:
    if unfit:
        _refuse_unfit(value)
    if "\\" in text and "\\u" in text:  # one sign is found many times faster than two
        _refuse_half_characters(value)


def path_text(path: Path) -> str:
    """Return the place of a value in the form that errors use: ``messages[0].content``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in path).lstrip(".")


def _whole(digits: str, unfit: list[_Unfit]) -> int | _Unfit:
    if len(digits) <= _LONGEST_INT and (value := int(digits)) in _INT64:
        return value
    unfit.append(_Unfit("a whole number must fit into 64 bits"))
    return unfit[-1]


def _long_whole(digits: str, unfit: list[_Unfit]) -> int | _Unfit:
    if len(digits) <= _MOST_DIGITS:
        return int(digits)
    unfit.append(_Unfit(f"a whole number must have at most {_MOST_DIGITS} digits"))
    return unfit[-1]


def _real(digits: str, unfit: list[_Unfit]) -> float | _Unfit:
    if math.isfinite(value := float(digits)):
        return value
    unfit.append(_Unfit("a number must fit into a double"))
    return unfit[-1]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_unfit(body: Any) -> None:
    for path, value in _walk(body):
        if isinstance(value, _Unfit):
            raise NotStorable(path, value.reason)


def _refuse_half_characters(body: Any) -> None:
    """Raise NotStorable if a text holds half of a surrogate pair: UTF-8 cannot encode it, and Go would replace it."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        for path, value in _walk(body):
            if any(_is_broken(text) for text in (value, *path[-1:]) if isinstance(text, str)):
                raise NotStorable(path, "the text holds half of a surrogate pair") from None


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _walk(body: Any) -> Iterator[tuple[Path, Any]]:
    """Yield every value of a body with its place."""
    waiting: list[tuple[Path, Any]] = [((), body)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*path, key), part) for key, part in inner]
