"""The body of POST /v1/responses: checked, and translated into the model's request and the fields that a run stores."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from sympozium_api.json_members import compact
from sympozium_http.refusal import Refusal
from sympozium_openai import bodies, leniency
from sympozium_openai import responses_items as items
from sympozium_openai.bodies import Closed, JsonObject, Open, invalid, missing, unsupported
from sympozium_openai.chat import without_stream_options

_PLATFORM = ("conversation", "image", "moderation", "prompt")
"""Fields that only OpenAI's own platform can honour, and without which the answer would be another one."""
_NO_EFFECT = ("access_programs", "background_options", "context_management", "prompt_cache_options")
"""Fields of OpenAI's own platform without which the answer means the same."""
_INCLUDED = ("message.output_text.logprobs", "message.input_image.image_url")
"""Parts of an answer that a caller may ask for. Others would only add to it."""
_OF_CHAT = (
    *("messages", "n", "max_tokens", "max_completion_tokens", "response_format", "reasoning_effort", "verbosity"),
    *("logprobs", "functions", "function_call"),
)
"""Fields of a chat completion that a response has under another name, or not at all."""
_CONSUMED = (
    *("background", "include", "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "model"),
    *("parallel_tool_calls", "previous_response_id", "reasoning", "store", "stream", "stream_options", "text"),
    *("tool_choice", "tools", "top_logprobs", "truncation"),
)
"""Fields that the model is not sent, or under another name. It is sent all others unchanged."""

Text64 = Annotated[str, Field(max_length=64)]


class _Reasoning(Closed):
    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class _Format(Closed):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema_: Annotated[JsonObject | None, Field(alias="schema")] = None
    strict: bool | None = None


class _TextConfig(Closed):
    format: _Format | None = None
    verbosity: str | None = None


class _StreamOptions(Closed):
    include_obfuscation: Literal[False] | None = None


class _Function(Closed):
    type: Literal["function"]
    name: Annotated[str, Field(min_length=1)]
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class ResponseRequest(Open):
    """Fields that are checked before a run is created."""

    model: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    background: bool | None = False
    store: bool | None = True
    metadata: Annotated[dict[Text64, Annotated[str, Field(max_length=512)]] | None, Field(max_length=16)] = None
    max_output_tokens: Annotated[int | None, Field(ge=1)] = None
    max_tool_calls: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    parallel_tool_calls: bool | None = None
    tools: Annotated[list[JsonObject] | None, Field(max_length=1024)] = None
    tool_choice: Any = None
    text: _TextConfig | None = None
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    truncation: Literal["disabled"] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None


@dataclass(frozen=True)
class ResponseParams:
    """Parameters of a request, correct as far as that can be known without the runs that it names."""

    fields: ResponseRequest
    body: JsonObject
    ignored: tuple[str, ...] = ()
    """Paths of what was left out."""

    @property
    def stream(self) -> bool:
        """Return True if the answer is sent as events."""
        return bool(self.fields.stream)

    @property
    def background(self) -> bool:
        """Return True if the run continues without its caller."""
        return bool(self.fields.background)

    @property
    def referred(self) -> dict[str, Counter[str]]:
        """Return the runs whose items the input refers to, each with the items' ids and their numbers of references."""
        return items.referred(self.body["input"])

    def chat(self, earlier: Sequence[JsonObject], find: items.Find) -> tuple[JsonObject, int]:
        """Return the chat completion body for the model, and the number of its messages before the caller's input.

        ``earlier`` is the conversation that the request continues, ``find`` returns the items that it refers to.

        """
        instructions = self.fields.instructions
        before = [*([{"role": "system", "content": instructions}] if instructions else []), *earlier]
        passed = {name: value for name, value in self.body.items() if name not in _CONSUMED and value is not None}
        messages = [*before, *items.messages(self.body["input"], find)]
        return passed | {"messages": messages} | self._renamed(), len(before)

    def kept(self, model: str, before: int) -> JsonObject:
        """Return the fields that the run stores beside the conversation."""
        params = {n: v for n, v in self.body.items() if n not in ("input", "instructions") and v is not None}
        return {"asked": params, "model": model, "before": before, "instructions": bool(self.fields.instructions)}

    def _renamed(self) -> JsonObject:
        fields, tools = self.fields, [_tool(tool) for tool in self.fields.tools or []]
        text, reasoning = fields.text or _TextConfig(), fields.reasoning or _Reasoning()
        wants_logprobs = fields.top_logprobs is not None or "message.output_text.logprobs" in (fields.include or [])
        renamed = {
            "max_completion_tokens": fields.max_output_tokens,
            "reasoning_effort": reasoning.effort,
            "verbosity": text.verbosity,
            "response_format": _response_format(text.format),
            "logprobs": True if wants_logprobs else None,
            "top_logprobs": fields.top_logprobs,
            "tools": tools or None,
            "tool_choice": _tool_choice(fields.tool_choice, tools),
            "parallel_tool_calls": fields.parallel_tool_calls if tools else None,
        }
        return {name: value for name, value in renamed.items() if value is not None}


def parse(content: bytes) -> ResponseParams:
    """Return the checked parameters. Raises Refusal 400 that names the wrong field."""
    body, ignored = _honoured(bodies.json_body(content).value)
    for name in (*_PLATFORM, *_OF_CHAT):
        if body.get(name) is not None:
            why = "it is served by OpenAI's platform only" if name in _PLATFORM else "it is a field of chat completions"
            raise unsupported(name, why)
    fields = bodies.checked(ResponseRequest, body)
    if body.get("input") is None:
        raise missing("input")
    _refuse_unserved(fields)
    params = ResponseParams(fields, body, tuple(ignored))
    # A wrong item is refused before any run is read for it.
    params.chat((), lambda _: {"role": "user", "content": ""})
    return params


def text_of(chat: JsonObject, kept: JsonObject, *, limit: int) -> str:
    """Return the conversation as compact JSON. Raises Refusal 413 unless a run can store it and the fields beside it."""
    text = compact(chat)
    size = len(text.encode()) + len(compact(kept).encode())
    if size > limit:
        raise too_large(f"The conversation and the request's fields have {size} bytes", limit)
    return text


def too_large(text: str, limit: int) -> Refusal:
    """Return the refusal of a conversation that a run cannot store."""
    return Refusal(413, "conversation_too_large", f"{text}; a response keeps at most {limit}.", param="input")


def _refuse_unserved(fields: ResponseRequest) -> None:
    if fields.background and fields.store is False:
        raise invalid("background", "a background response is fetched later, so 'store' must not be false")


def _honoured(given: JsonObject) -> tuple[JsonObject, list[str]]:
    """Return a body without what cannot be honoured and changes nothing of the answer's meaning, and the paths of that."""
    ignored = [name for name in _NO_EFFECT if given.get(name) not in (None, False)]
    body = {name: value for name, value in given.items() if name not in _NO_EFFECT}
    body = without_stream_options(_StreamOptions, body, ignored)
    for name, model in (("reasoning", _Reasoning), ("text", _TextConfig)):
        if isinstance(body.get(name), dict):
            body[name] = leniency.known(model, body[name], name, ignored)
    if body.get("truncation") == "auto":  # a conversation that is too long is refused, never cut in silence
        ignored.append("truncation")
        del body["truncation"]
    if body.get("n") == 1:
        del body["n"]
    if isinstance(body.get("include"), list):
        wanted = list(enumerate(body["include"]))
        ignored += [f"include[{at}]" for at, part in wanted if isinstance(part, str) and part not in _INCLUDED]
        body["include"] = [part for _, part in wanted if not isinstance(part, str) or part in _INCLUDED]
    if isinstance(body.get("tools"), list):
        body["tools"] = _functions(body["tools"], ignored)
    return body, ignored


def _functions(tools: list[Any], ignored: list[str]) -> list[Any]:
    """Return the functions among the tools, checked. Raises Refusal 400 that names the wrong one.

    Other tools run on OpenAI's platform or in clients that know their own types. Without them the model answers with what it
    has, unless ``tool_choice`` demands one of them: that is refused.

    """
    functions: list[Any] = []
    for index, tool in enumerate(tools):
        at = f"tools[{index}]"
        if not isinstance(tool, dict):
            functions.append(tool)  # refused by its type
        elif tool.get("type") != "function":
            ignored.append(at)
        else:
            functions.append(leniency.known(_Function, tool, at, ignored))
            bodies.checked(_Function, functions[-1], at=at)
    return functions


def _tool(tool: JsonObject) -> JsonObject:
    function = _Function.model_validate(tool)
    return {"type": "function", "function": function.model_dump(exclude={"type"}, exclude_none=True)}


def _tool_choice(choice: Any, tools: list[JsonObject]) -> Any:
    match choice:
        case None | "none" | "auto":
            return choice if tools else None  # model servers refuse it without tools
        case _ if not tools:
            raise invalid("tool_choice", "there are no tools to choose from")
        case "required":
            return choice
        case {"type": "function", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(allowed)}:
            chosen = [_tool_choice(tool, tools) for tool in allowed]
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": chosen}}
    raise unsupported("tool_choice", "it must be none, auto, required, a function, or allowed functions")


def _response_format(style: _Format | None) -> JsonObject | None:
    if style is None or style.type == "text":
        return None
    if style.type == "json_object":
        return {"type": "json_object"}
    if style.name is None or style.schema_ is None:
        raise missing("text.format.name" if style.name is None else "text.format.schema")
    schema = {"name": style.name, "description": style.description, "schema": style.schema_, "strict": style.strict}
    return {"type": "json_schema", "json_schema": {name: value for name, value in schema.items() if value is not None}}
