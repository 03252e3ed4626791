"""The models that an instance offers, as OpenAI lists them."""

from typing import Any

from sympozium_api.instance import SympoziumInstance


def model_names(instance: SympoziumInstance) -> list[str]:
    """Return the instance's own model, the instance's name as an alias of it, then the models that it allows besides."""
    agent = instance.spec.agents.default
    return list(dict.fromkeys((agent.model, instance.metadata.name, *agent.allowed_models, *agent.embedding_models)))


def listing(instance: SympoziumInstance, *, created: int) -> dict[str, Any]:
    """Return the body of GET /v1/models."""
    return {"object": "list", "data": [entry(name, created=created) for name in model_names(instance)]}


def entry(name: str, *, created: int) -> dict[str, Any]:
    """Return the body of GET /v1/models/{name}."""
    return {"id": name, "object": "model", "created": created, "owned_by": "sympozium"}
