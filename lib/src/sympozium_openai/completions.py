"""Legacy completions: the body of a request, and the records of a chat as text completions."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from sympozium_api.agent_records import Delta, Done
from sympozium_openai import bodies
from sympozium_openai.bodies import JsonObject
from sympozium_openai.chat import (
    ChatChunks,
    CompletionHead,
    ModelBody,
    Sampling,
    StreamOptions,
    without_stream_options,
)


class CompletionRequest(Sampling):
    """Fields of POST /v1/completions that are checked before the body goes to the model."""

    prompt: Any
    max_tokens: Annotated[int | None, Field(ge=0)] = None

    @field_validator("prompt")
    @classmethod
    def _text_or_tokens(cls, prompt: Any) -> Any:
        return bodies.text_or_tokens(prompt)


def parse(content: bytes) -> tuple[CompletionRequest, ModelBody]:
    """Return the checked fields and the body for the model. Raises Refusal 400 that names the wrong field."""
    ignored: list[str] = []
    given = bodies.json_body(content)
    body = without_stream_options(StreamOptions, given.value, ignored)
    if "messages" in body:
        raise bodies.unsupported(
            "messages", "a completion continues a prompt; conversations go to /v1/chat/completions"
        )
    return bodies.checked(CompletionRequest, body), ModelBody(body, given.text(body), ignored)


def completion(head: CompletionHead, done: Done) -> JsonObject:
    """Return a whole text completion."""
    fields: JsonObject = done.get("about", {}) | _about(head)
    answer = fields | {"choices": [_as_text(choice, choice.get("message")) for choice in done["choices"]]}
    return answer | {"usage": done["usage"]} if done["usage"] else answer


class TextChunks:
    """Chunks of one stream, made from records."""

    def __init__(self, head: CompletionHead, *, include_usage: bool) -> None:
        self._about = _about(head)
        self._chunks = ChatChunks(head, include_usage)

    def delta(self, record: Delta) -> JsonObject:
        """Return the chunk of one delta."""
        return self._text(self._chunks.delta(record))

    def end(self, record: Done) -> list[JsonObject]:
        """Return the chunks still to send at the run's end."""
        return [self._text(chunk) for chunk in self._chunks.end(record)]

    def _text(self, chunk: JsonObject) -> JsonObject:
        return chunk | self._about | {"choices": [_as_text(choice, choice["delta"]) for choice in chunk["choices"]]}


def _about(head: CompletionHead) -> JsonObject:
    return {"id": f"cmpl-{head.run}", "object": "text_completion", "created": head.created, "model": head.model}


def _as_text(choice: JsonObject, message: JsonObject | None) -> JsonObject:
    others = {key: value for key, value in choice.items() if key not in ("message", "delta")}
    return {"text": (message or {}).get("content") or "", "logprobs": None} | others
