"""Bodies of requests, parsed and checked: an error names the field that is wrong."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sympozium_api.controlled_members import find_misspelt
from sympozium_api.json_members import RefusedObject, compact, join_members
from sympozium_http import storable_json
from sympozium_http.refusal import Refusal

JsonObject = dict[str, Any]
Checked = TypeVar("Checked", bound=BaseModel)

_ABSENT = object()

MAX_DEPTH = 64
"""Levels of objects and lists in a body; tools with deep schemas have about 20."""


class Open(BaseModel):
    """Model that checks the fields it knows and keeps the others, because a model server may know more."""

    model_config = ConfigDict(extra="allow", strict=True)


class Closed(BaseModel):
    """Model that refuses the fields it does not know, instead of dropping them in silence."""

    model_config = ConfigDict(extra="forbid", strict=True)


def json_object(content: bytes) -> JsonObject:
    """Return the object that a body holds. Raises Refusal 400."""
    with _refusals():
        body = storable_json.parse(_decoded(content))
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body must be a JSON object.")
    _refuse_misspelt(body)
    _refuse_too_deep(body)
    return body


@dataclass(frozen=True)
class JsonBody:
    """A JSON object, and the texts from which its members' values were parsed."""

    value: JsonObject
    texts: dict[str, str]

    def text(self, changed: JsonObject) -> str:
        """Return a changed object as JSON. Each member whose value is still the parsed one has the caller's text."""
        return join_members(
            {
                name: self.texts[name] if self.value.get(name, _ABSENT) is value else compact(value)
                for name, value in changed.items()
            }
        )


def json_body(content: bytes) -> JsonBody:
    """Return the object that a body holds, with its texts. Raises Refusal 400."""
    with _refusals():
        value, texts = storable_json.parse_texts(_decoded(content))
    _refuse_misspelt(value)
    _refuse_too_deep(value)
    return JsonBody(value, texts)


def _decoded(content: bytes) -> str:
    """Return a body as text, without a byte order mark. The codec ``utf-8-sig`` takes four times as long."""
    return content.removeprefix(BOM_UTF8).decode()


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise Refusal 400 for a body that is not JSON, or that cannot be kept."""
    try:
        yield
    except storable_json.NotStorable as error:
        raise invalid(error.path, error.reason) from error
    except RefusedObject as error:
        raise Refusal(400, "invalid_json", f"The body is refused: {error}.", param=error.member) from error
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"The body is not a JSON object: {error}") from error


def _refuse_misspelt(body: JsonObject) -> None:
    if found := find_misspelt(body):
        name, meant = found
        raise unsupported(name, f"some model servers would take it for '{meant}', which is checked only as '{meant}'")


def _refuse_too_deep(body: JsonObject) -> None:
    level: list[Any] = [body]
    for _ in range(MAX_DEPTH):
        level = [part for holder in level if isinstance(holder, dict | list) for part in _parts(holder)]
        if not level:
            return
    raise Refusal(400, "invalid_json", f"The body is nested more than {MAX_DEPTH} levels deep.")


def checked(model: type[Checked], body: JsonObject, *, at: str = "") -> Checked:
    """Return the body, or the part of it ``at`` a path, as its model. Raises Refusal 400 that names the first wrong field."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise _named(error, at) from error


def documented(model: type[BaseModel]) -> JsonObject:
    """Return OpenAPI's description of a route whose body is ``model``."""
    schema = model.model_json_schema()
    body = _inlined({name: part for name, part in schema.items() if name != "$defs"}, schema.get("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}


def _inlined(schema: Any, definitions: JsonObject) -> Any:
    """Return a schema without references, because those would point into the whole document."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    return {name: _inlined(part, definitions) for name, part in schema.items()}


def text_or_tokens(value: Any) -> Any:
    """Return a prompt or input that is a text, its tokens, or a list of either. Raises ValueError for others."""
    many = value if isinstance(value, list) and value else [None]
    texts = all(isinstance(part, str) for part in many)
    if isinstance(value, str) or texts or _are_tokens(many) or all(_are_tokens(part) for part in many):
        return value
    raise ValueError("must be a text, a list of tokens, or a list of either")


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def missing(path: str) -> Refusal:
    """Return the refusal of a body without a required field."""
    return Refusal(400, "missing_required_parameter", f"Missing required parameter: '{path}'.", param=path)


def invalid(path: str, reason: str) -> Refusal:
    """Return the refusal of a field with a wrong value."""
    return Refusal(400, "invalid_value", f"Invalid value for '{path}': {reason}.", param=path)


def unsupported(path: str, reason: str) -> Refusal:
    """Return the refusal of a field that OpenAI defines and no instance can honour."""
    return Refusal(400, "unsupported_parameter", f"Unsupported parameter '{path}': {reason}.", param=path)


def _named(error: ValidationError, at: str) -> Refusal:
    first = error.errors(include_url=False, include_input=False)[0]
    path = f"{at}.{storable_json.path_text(first['loc'])}".strip(".")
    return missing(path) if first["type"] == "missing" else invalid(path, first["msg"].removeprefix("Value error, "))


def _parts(holder: JsonObject | list[Any]) -> Iterable[Any]:
    return holder.values() if isinstance(holder, dict) else holder
