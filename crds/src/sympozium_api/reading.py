"""Reading of objects that the API server stores into typed models, which may refuse what an older schema or another engine accepted."""

from typing import TypeVar

from pydantic import ValidationError

from sympozium_api.base import Resource
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
        details = error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_FIELDS]
        fields = "; ".join(f"{_path(detail['loc'])}: {detail['msg']}" for detail in details)
        raise Unreadable({"kind": model.__name__} | body, fields) from None


def _path(location: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part[:64]}" for part in location).lstrip(".")
