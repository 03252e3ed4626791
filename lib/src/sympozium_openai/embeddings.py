"""The body of POST /v1/embeddings."""

from typing import Any

from pydantic import field_validator

from sympozium_openai import bodies
from sympozium_openai.bodies import JsonObject, Open


class EmbeddingRequest(Open):
    """Fields of POST /v1/embeddings that are checked before the body goes to the model server."""

    input: Any
    model: str | None = None

    @field_validator("input")
    @classmethod
    def _text_or_tokens(cls, value: Any) -> Any:
        return bodies.text_or_tokens(value)


def parse(content: bytes) -> tuple[EmbeddingRequest, JsonObject]:
    """Return the checked fields and the body as it came. Raises Refusal 400 that names the wrong field."""
    body = bodies.json_object(content)
    return bodies.checked(EmbeddingRequest, body), body
