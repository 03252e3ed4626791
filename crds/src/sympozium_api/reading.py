"""Reading of objects that the API server stores into typed models, which may refuse what an older schema or another engine accepted."""

import functools
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError

from sympozium_api.base import PATTERN_MESSAGE, Resource
from sympozium_api.resources import Object

R = TypeVar("R", bound=Resource)

_MOST_FIELDS = 3


class Unreadable(ValueError):
    """Refusal of an object by its model. The text names kind, object and fields, and holds no value of the object."""

    def __init__(self, body: Object, fields: str) -> None:
        metadata = body.get("metadata") or {}
        self.kind: str = body.get("kind") or "object"
        self.fields = fields
        super().__init__(f"{self.kind} {metadata.get('namespace')}/{metadata.get('name')} cannot be read: {fields}")


def read(model: type[R], body: Object) -> R:
    """Return an object as its model. Raises Unreadable."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[:_MOST_FIELDS]
        fields = "; ".join(f"{_path(detail['loc'])}: {_message(model, detail)}" for detail in details)
        raise Unreadable({"kind": model.__name__} | body, fields) from None


def _path(location: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part[:64]}" for part in location).lstrip(".")


def _message(model: type[Resource], detail: Any) -> str:
    """Return what is wrong with a value: of one that its pattern does not match, what to write instead."""
    pattern = (detail.get("ctx") or {}).get("pattern")
    return _pattern_messages(model).get(pattern) or str(detail["msg"]) if pattern else str(detail["msg"])


@functools.cache
def _pattern_messages(model: type[Resource]) -> dict[str, str]:
    return dict(_patterns(model.model_json_schema(by_alias=True)))


def _patterns(schema: Any) -> Iterator[tuple[str, str]]:
    if isinstance(schema, list):
        for part in schema:
            yield from _patterns(part)
    elif isinstance(schema, dict):
        if isinstance(schema.get(PATTERN_MESSAGE), str):
            yield str(schema.get("pattern")), schema[PATTERN_MESSAGE]
        for part in schema.values():
            yield from _patterns(part)
