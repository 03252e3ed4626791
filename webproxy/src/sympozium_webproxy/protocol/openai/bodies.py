"""A request's body, read and checked: what is wrong with it is an error that names the field."""

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sympozium_webproxy.protocol.openai.errors import OpenAIError

JsonObject = dict[str, Any]
Checked = TypeVar("Checked", bound=BaseModel)

MAX_DEPTH = 64
"""Levels of objects and lists in a body; tools with deep schemas have about 20."""


def json_object(content: bytes) -> JsonObject:
    """The object in a body. Raises OpenAIError 400."""
    try:
        body = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise OpenAIError(400, f"The body is not JSON: {error}", code="invalid_json") from error
    if not isinstance(body, dict):
        raise OpenAIError(400, "The body must be a JSON object.", code="invalid_json")
    level: list[Any] = [body]
    for _ in range(MAX_DEPTH):
        level = [part for whole in level if isinstance(whole, dict | list) for part in _parts(whole)]
        if not level:
            return body
    raise OpenAIError(400, f"The body is nested more than {MAX_DEPTH} levels deep.", code="invalid_json")


def checked(model: type[Checked], body: JsonObject, *, at: str = "") -> Checked:
    """The body, or the part of it ``at`` a path, as its model. Raises OpenAIError 400 that names the first field at fault."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise _named(error, at) from error


def missing(path: str) -> OpenAIError:
    """400: a field that must be there is not."""
    return OpenAIError(400, f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def invalid(path: str, reason: str) -> OpenAIError:
    """400: a field that is wrong."""
    return OpenAIError(400, f"Invalid value for '{path}': {reason}.", param=path, code="invalid_value")


def unsupported(path: str, reason: str) -> OpenAIError:
    """400: a field that means something to OpenAI and cannot be honoured here."""
    return OpenAIError(400, f"Unsupported parameter '{path}': {reason}.", param=path, code="unsupported_parameter")


def _named(error: ValidationError, at: str) -> OpenAIError:
    first = error.errors(include_url=False, include_input=False)[0]
    path = at + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    path = path.lstrip(".")
    return missing(path) if first["type"] == "missing" else invalid(path, first["msg"].removeprefix("Value error, "))


def _parts(whole: JsonObject | list[Any]) -> Iterable[Any]:
    return whole.values() if isinstance(whole, dict) else whole


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
