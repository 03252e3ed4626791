"""A request's body, as JSON that can be kept: an AgentRun holds it, and the API server's numbers and strings have bounds. Pure."""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from sympozium_webproxy.protocol.openai.errors import OpenAIError

JsonObject = dict[str, Any]
Path = tuple[str | int, ...]

MAX_DEPTH = 64
"""Levels of objects and lists in a body; tools with deep schemas have about 20."""
_INT64 = range(-(2**63), 2**63)
_LONGEST_INT = 20
"""Characters of the longest whole number of 64 bits, with its sign."""
_LONGEST_NAME = 64
"""Characters of a field's name that an error repeats."""


class _Unfit:
    """Stands in a body for a number that the API server would change or refuse."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def json_object(content: bytes) -> JsonObject:
    """The JSON object that a body is. Raises OpenAIError 400: what is no JSON, too deep, or could not be kept as it is."""
    unfit: list[_Unfit] = []
    try:
        text = content.decode("utf-8-sig")
        body = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=lambda digits: _whole(digits, unfit),
            parse_float=lambda digits: _real(digits, unfit),
        )
    except (ValueError, RecursionError) as error:
        raise OpenAIError(400, f"The body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(body, dict):
        raise OpenAIError(400, "The body must be a JSON object.", code="invalid_json")
    _refuse_depth(body)
    if unfit:
        _refuse_unfit(body)
    if "\\u" in text:
        _refuse_half_characters(body)
    return body


def invalid(path: Path, reason: str, *, code: str) -> OpenAIError:
    """400 that names the field at fault."""
    named = path_text(path)
    return OpenAIError(400, f"Invalid value for '{named}': {reason}.", param=named, code=code)


def named(error: ValidationError) -> OpenAIError:
    """400 for the first thing that a model found wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "missing":
        path = path_text(first["loc"])
        return OpenAIError(400, f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")
    return invalid(first["loc"], first["msg"].removeprefix("Value error, "), code="invalid_value")


def path_text(path: Path) -> str:
    """A field's place as errors write it: ``messages[0].content``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_printable(part)}" for part in path)
    return "".join(parts).lstrip(".")


def _printable(name: str) -> str:
    return name[:_LONGEST_NAME].encode(errors="replace").decode()


def _whole(digits: str, unfit: list[_Unfit]) -> int | _Unfit:
    if len(digits) <= _LONGEST_INT and (value := int(digits)) in _INT64:
        return value
    unfit.append(_Unfit("a whole number must fit into 64 bits"))
    return unfit[-1]


def _real(digits: str, unfit: list[_Unfit]) -> float | _Unfit:
    if math.isfinite(value := float(digits)):
        return value
    unfit.append(_Unfit("a number must fit into a double"))
    return unfit[-1]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_depth(body: JsonObject) -> None:
    level: list[Any] = [body]
    for _ in range(MAX_DEPTH):
        level = [part for whole in level if isinstance(whole, dict | list) for part in _parts(whole)]
        if not level:
            return
    raise OpenAIError(400, f"The body is nested more than {MAX_DEPTH} levels deep.", code="invalid_json")


def _parts(whole: JsonObject | list[Any]) -> Iterable[Any]:
    return whole.values() if isinstance(whole, dict) else whole


def _refuse_unfit(body: JsonObject) -> None:
    for path, value in _walk(body):
        if isinstance(value, _Unfit):
            raise invalid(path, value.reason, code="invalid_value")


def _refuse_half_characters(body: JsonObject) -> None:
    """Half of a surrogate pair is no character: UTF-8 has no bytes for it, and Go would put another in its place."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        for path, value in _walk(body):
            if any(_is_broken(text) for text in (value, *path[-1:]) if isinstance(text, str)):
                raise invalid(path, "the text holds half of a surrogate pair", code="invalid_value") from None


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _walk(body: JsonObject) -> Iterator[tuple[Path, Any]]:
    """Every value in a body with its place."""
    waiting: list[tuple[Path, Any]] = [((), body)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*path, key), part) for key, part in inner]
