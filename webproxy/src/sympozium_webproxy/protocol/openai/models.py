"""The models that an instance offers: its own, also under the instance's name, and those that it allows beside."""

from typing import Any

from sympozium_api.instance import SympoziumInstance
from sympozium_webproxy.protocol.openai.errors import OpenAIError

_DEFAULT = "default"


def listing(instance: SympoziumInstance, *, created: int) -> dict[str, Any]:
    """The answer of GET /v1/models."""
    agent = instance.spec.agents.default
    names = dict.fromkeys((agent.model, instance.metadata.name, *agent.allowed_models, *agent.embedding_models))
    return {"object": "list", "data": [_model(name, created) for name in names]}


def one(instance: SympoziumInstance, name: str, *, created: int) -> dict[str, Any]:
    """The answer of GET /v1/models/{name}; raises OpenAIError 404."""
    if name not in instance.spec.agents.default.embedding_models:
        chosen(instance, name)
    return _model(name, created)


def chosen(instance: SympoziumInstance, name: str | None) -> str:
    """The model that answers a request which names this one; None stands for the instance's own. Raises OpenAIError 404."""
    agent = instance.spec.agents.default
    if name in (None, agent.model, instance.metadata.name, _DEFAULT):
        return agent.model
    if name in agent.allowed_models:
        return name
    message = f"The model '{name}' does not exist here. Use '{agent.model}' or '{_DEFAULT}'; GET /v1/models lists all."
    raise OpenAIError(404, message, param="model", code="model_not_found")


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "sympozium"}
