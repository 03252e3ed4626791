"""Chat completions: a body checked, and an agent's records turned into a completion or into chunks."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sympozium_api.records import Delta, Done
from sympozium_webproxy.protocol.openai import bodies
from sympozium_webproxy.protocol.openai.bodies import JsonObject


class _Open(BaseModel):
    """Checks what it knows and lets the rest through: a model server may know more than we do."""

    model_config = ConfigDict(extra="allow", strict=True)


class Message(_Open):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Any = None

    @field_validator("content")
    @classmethod
    def _text_or_parts(cls, content: Any) -> Any:
        parts = content if isinstance(content, list) else []
        if content is None or isinstance(content, str | list):
            for part in parts:
                if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                    raise ValueError("every content part must be an object with a type")  # noqa: TRY004 - pydantic's protocol
            return content
        raise ValueError("must be a string or a list of content parts")


class StreamOptions(_Open):
    """How a stream is sent."""

    include_usage: bool = False


class ChatRequest(_Open):
    """The body of POST /v1/chat/completions, as far as it is checked before it goes to the model."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=10_000)]
    model: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    n: Annotated[int | None, Field(ge=1, le=128)] = None
    tools: list[JsonObject] | None = None

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


def parse(content: bytes) -> tuple[ChatRequest, JsonObject]:
    """The body, checked, and as it came. Raises OpenAIError 400 that names the field at fault."""
    body = bodies.json_object(content)
    return bodies.checked(ChatRequest, body), body


@dataclass(frozen=True)
class Head:
    """What all parts of one answer share."""

    run: str
    created: int
    model: str

    @property
    def id(self) -> str:
        """The completion's id: the run's name can be read from it."""
        return f"chatcmpl-{self.run}"


def completion(head: Head, done: Done) -> JsonObject:
    """A whole chat completion."""
    answer: JsonObject = {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [{"logprobs": None} | choice for choice in done["choices"]],
    }
    return answer | {"usage": done["usage"]} if done["usage"] else answer


@dataclass
class _Choice:
    """What the caller has of one choice so far."""

    text: str = ""
    called_tools: bool = False
    finished: bool = False


@dataclass
class Chunks:
    """Turns records into the chunks of one stream. After a break it sends only what the caller does not have yet."""

    head: Head
    include_usage: bool
    _sent: dict[int, _Choice] = field(default_factory=dict)

    def delta(self, record: Delta) -> JsonObject:
        """The chunk of one delta, its choices as the model sent them."""
        choices = []
        for choice in record["choices"]:
            delta = choice.get("delta") or {}
            index = choice.get("index", 0)
            if index not in self._sent:
                self._sent[index] = _Choice()
                delta = {"role": "assistant"} | delta
            sent = self._sent[index]
            sent.text += delta.get("content") or ""
            sent.called_tools |= bool(delta.get("tool_calls"))
            sent.finished |= choice.get("finish_reason") is not None
            choices.append({"finish_reason": None} | choice | {"index": index, "delta": delta})
        return self._chunk(choices)

    def end(self, record: Done) -> list[JsonObject]:
        """What is left to send once the whole answer is known: text that never came as a delta, finish reasons, usage."""
        rest = [part for choice in record["choices"] for part in self._rest(choice)]
        chunks = [self.delta({"type": "delta", "choices": [part]}) for part in rest]
        if self.include_usage:
            chunks.append(self._chunk([]) | {"usage": record["usage"]})
        return chunks

    def _rest(self, choice: JsonObject) -> list[JsonObject]:
        index, message = choice.get("index", 0), choice.get("message") or {}
        sent = self._sent.get(index)
        calls = message.get("tool_calls")
        if sent is None:
            delta = {name: value for name, value in message.items() if name != "tool_calls" and value is not None}
        else:
            text = message.get("content") or ""
            delta = {"content": text[len(sent.text) :]} if len(text) > len(sent.text) else {}
        if calls and not (sent and sent.called_tools):
            delta["tool_calls"] = [{"index": at} | call for at, call in enumerate(calls)]
        parts: list[JsonObject] = [{"index": index, "delta": delta}] if delta else []
        if not (sent and sent.finished):
            parts.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"})
        return parts

    def _chunk(self, choices: list[JsonObject]) -> JsonObject:
        chunk: JsonObject = {
            "id": self.head.id,
            "object": "chat.completion.chunk",
            "created": self.head.created,
            "model": self.head.model,
            "choices": choices,
        }
        return chunk | {"usage": None} if self.include_usage else chunk
