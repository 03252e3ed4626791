"""The models that an instance offers: the one its agent calls, under its own name and under the instance's."""

from typing import Any

from sympozium_api.instance import SympoziumInstance
from sympozium_webproxy.protocol.openai.errors import OpenAIError

_DEFAULT = "default"


def listing(instance: SympoziumInstance, *, created: int) -> dict[str, Any]:
    """The answer of GET /v1/models."""
    names = dict.fromkeys((instance.spec.agents.default.model, instance.metadata.name))
    return {"object": "list", "data": [_model(name, created) for name in names]}


def one(instance: SympoziumInstance, name: str, *, created: int) -> dict[str, Any]:
    """The answer of GET /v1/models/{name}; raises OpenAIError 404."""
    check(instance, name)
    return _model(name, created)


def check(instance: SympoziumInstance, name: str | None) -> None:
    """Raise OpenAIError 404 unless a request may name this model; None stands for the instance's own."""
    own = instance.spec.agents.default.model
    known = (own, instance.metadata.name, _DEFAULT)
    if name is not None and name not in known:
        message = f"The model '{name}' does not exist here. Use '{own}' or '{_DEFAULT}'."
        raise OpenAIError(404, message, param="model", code="model_not_found")


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "sympozium"}
