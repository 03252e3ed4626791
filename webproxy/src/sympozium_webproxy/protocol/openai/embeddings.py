"""Embeddings: a body checked, and the model that it names chosen."""

from typing import Any

from pydantic import field_validator

from sympozium_api.instance import SympoziumInstance
from sympozium_webproxy.protocol.openai import bodies
from sympozium_webproxy.protocol.openai.bodies import JsonObject, Open
from sympozium_webproxy.protocol.openai.errors import OpenAIError


class EmbeddingRequest(Open):
    """The body of POST /v1/embeddings, as far as it is checked before it goes to the model server."""

    input: Any
    model: str | None = None

    @field_validator("input")
    @classmethod
    def _text_or_tokens(cls, value: Any) -> Any:
        return bodies.text_or_tokens(value)


def parse(content: bytes) -> tuple[EmbeddingRequest, JsonObject]:
    """The body, checked, and as it came. Raises OpenAIError 400 that names the field at fault."""
    body = bodies.json_object(content)
    return bodies.checked(EmbeddingRequest, body), body


def chosen(instance: SympoziumInstance, name: str | None) -> str:
    """The embedding model that a request means: by its name, or ``default`` for the first. Raises OpenAIError 404."""
    models = instance.spec.agents.default.embedding_models
    if not models:
        raise OpenAIError(404, "This endpoint offers no embeddings.", code="unknown_url")
    if name in (None, "default"):
        return models[0]
    if name in models:
        return name
    message = f"The embedding model '{name}' does not exist here. Use one of: {', '.join(models)}."
    raise OpenAIError(404, message, param="model", code="model_not_found")
