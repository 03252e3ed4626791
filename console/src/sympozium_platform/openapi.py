"""/openapi.json: the models of bodies, which routes read themselves, stand among the other models."""

from collections.abc import Callable
from typing import Any


def with_body_models(described: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return FastAPI's description, in which models that bodies refer to are components."""
    document = described()
    models = document.setdefault("components", {}).setdefault("schemas", {})
    for operations in document["paths"].values():
        for operation in operations.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                models.update(media["schema"].pop("$defs", {}))
    return document
