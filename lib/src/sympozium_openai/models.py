"""The models that an instance offers, as OpenAI lists them."""

from collections.abc import Iterable
from typing import Any


def listing(names: Iterable[str], *, created: int) -> dict[str, Any]:
    """Return the body of GET /v1/models."""
    return {"object": "list", "data": [entry(name, created=created) for name in names]}


def entry(name: str, *, created: int) -> dict[str, Any]:
    """Return the body of GET /v1/models/{name}."""
    return {"id": name, "object": "model", "created": created, "owned_by": "sympozium"}
