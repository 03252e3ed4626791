"""Chat completions: the body of a request, and an agent's records as a completion or as chunks."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from sympozium_api.agent_records import Delta, Done
from sympozium_openai import bodies, leniency
from sympozium_openai.bodies import Closed, JsonObject, Open
from sympozium_openai.delta_tracker import DeltaTracker

DONE = b"data: [DONE]\n\n"
"""The last frame of a stream."""
_UNSUPPORTED = {"audio": "answers are text"}
"""Fields that no instance can honour, whatever its model server knows, with the reason."""


class Message(Open):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[Any, Field(validate_default=True)] = None

    @field_validator("content")
    @classmethod
    def _text_or_parts(cls, content: Any, about: ValidationInfo) -> Any:
        if content is None and about.data.get("role") == "user":
            raise ValueError("a message of the user needs a content: a string or a list of content parts")
        parts = content if isinstance(content, list) else []
        if content is None or isinstance(content, str | list):
            for part in parts:
                if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                    raise ValueError("every content part must be an object with a type")  # noqa: TRY004 - pydantic's protocol
            return content
        raise ValueError("must be a string or a list of content parts")


class StreamOptions(Closed):
    """Options of the stream, which the server sends. Others are left out: they change its form, never its text."""

    include_usage: bool | None = False
    include_obfuscation: Literal[False] | None = None


def without_stream_options(model: type[BaseModel], body: JsonObject, ignored: list[str]) -> JsonObject:
    """Return a body without the stream options that ``model`` does not know or that are not on offer; ``ignored`` names them."""
    given = body.get("stream_options")
    if not isinstance(given, dict):
        return body
    options = leniency.known(model, given, "stream_options", ignored)
    if options.get("include_obfuscation") is True:
        del options["include_obfuscation"]
        ignored.append("stream_options.include_obfuscation")
    return body | {"stream_options": options}


class Sampling(Open):
    """Fields that chat completions and legacy completions share."""

    model: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    n: Annotated[int | None, Field(ge=1, le=128)] = None

    @property
    def include_usage(self) -> bool:
        """Return True if the stream ends with a chunk that holds the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(Sampling):
    """Fields of POST /v1/chat/completions that are checked before the body goes to the model."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=10_000)]
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    modalities: list[Literal["text"]] | None = None
    store: bool | None = None
    tools: list[JsonObject] | None = None


@dataclass(frozen=True)
class ModelBody:
    """A body for the model."""

    value: JsonObject
    text: str
    """The body as JSON, in which each value that passes through is as its caller wrote it."""
    ignored: list[str]
    """Paths of what was left out."""


def parse(content: bytes) -> tuple[ChatRequest, ModelBody]:
    """Return the checked fields and the body for the model. Raises Refusal 400 that names the wrong field.

    ``store`` is honoured without the model: every run is stored.
    """
    ignored: list[str] = []
    given = bodies.json_body(content)
    body = without_stream_options(StreamOptions, given.value, ignored)
    params = bodies.checked(ChatRequest, body)
    for name, reason in _UNSUPPORTED.items():
        if body.get(name) not in (None, False):
            raise bodies.unsupported(name, reason)
    if params.store:
        body = {name: value for name, value in body.items() if name != "store"}
    return params, ModelBody(body, given.text(body), ignored)


@dataclass(frozen=True)
class CompletionHead:
    """Fields that all parts of one answer share."""

    run: str
    created: int
    model: str

    @property
    def id(self) -> str:
        """Return the completion's id, which contains the run's name."""
        return f"chatcmpl-{self.run}"


def completion(head: CompletionHead, done: Done) -> JsonObject:
    """Return a whole chat completion."""
    answer: JsonObject = done.get("about", {}) | {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [_finished(choice) for choice in done["choices"]],
    }
    return answer | {"usage": done["usage"]} if done["usage"] else answer


def _finished(choice: JsonObject) -> JsonObject:
    """Return a choice with each field that clients expect; runs of older agents may have ended without a finish reason."""
    return {"logprobs": None} | choice | {"finish_reason": choice.get("finish_reason") or _reason(choice)}


def _reason(choice: JsonObject) -> str:
    return "tool_calls" if (choice.get("message") or {}).get("tool_calls") else "stop"


@dataclass
class _Choice:
    """Progress of one choice at the caller."""

    message: DeltaTracker = field(default_factory=DeltaTracker)
    finished: bool = False


@dataclass
class ChatChunks:
    """Chunks of one stream, made from records. After a break they hold only what the caller does not have yet."""

    head: CompletionHead
    include_usage: bool
    _choices: dict[int, _Choice] = field(default_factory=dict)

    def delta(self, record: Delta) -> JsonObject:
        """Return the chunk of one delta, with its choices as the model sent them."""
        choices = []
        for choice in record["choices"]:
            delta = choice.get("delta") or {}
            index = choice.get("index", 0)
            if index not in self._choices:
                self._choices[index] = _Choice()
                delta = {"role": "assistant"} | delta
            sent = self._choices[index]
            sent.message.add(delta)
            sent.finished |= choice.get("finish_reason") is not None
            choices.append({"finish_reason": None} | choice | {"index": index, "delta": delta})
        return self._chunk(choices, record.get("about"))

    def end(self, record: Done) -> list[JsonObject]:
        """Return the chunks still to send at the run's end: text that came in no delta, finish reasons, usage."""
        fields = record.get("about", {})
        rest = [part for choice in record["choices"] for part in self._rest(choice)]
        chunks = [self.delta({"type": "delta", "choices": [part], "about": fields}) for part in rest]
        if self.include_usage and record["usage"]:
            chunks.append(self._chunk([], fields) | {"usage": record["usage"]})
        return chunks

    def _rest(self, choice: JsonObject) -> list[JsonObject]:
        index = choice.get("index", 0)
        sent = self._choices.get(index) or _Choice()
        delta = sent.message.rest(choice.get("message") or {})
        parts: list[JsonObject] = [{"index": index, "delta": delta}] if delta else []
        if not sent.finished:
            parts.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or _reason(choice)})
        return parts

    def _chunk(self, choices: list[JsonObject], fields: JsonObject | None = None) -> JsonObject:
        chunk: JsonObject = (fields or {}) | {
            "id": self.head.id,
            "object": "chat.completion.chunk",
            "created": self.head.created,
            "model": self.head.model,
            "choices": choices,
        }
        return chunk | {"usage": None} if self.include_usage else chunk
