"""Response objects: a run's output items, status and error in the terms of the Responses API."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympozium_api import names, run_contents
from sympozium_api.agent_records import Done, End
from sympozium_api.json_text import TextError
from sympozium_api.run import AgentRun
from sympozium_api.terminal_status import record_of
from sympozium_api.timestamps import parse_timestamp
from sympozium_http.refusal import Refusal
from sympozium_openai import responses_items as items
from sympozium_openai.bodies import JsonObject, invalid
from sympozium_runs.run_failure import refusal_of

_ID = re.compile(f"resp_({names.DNS_LABEL})")
_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Reasons why a model stopped early, from its word to OpenAI's."""
_ECHOED: JsonObject = {
    "background": False,
    "frequency_penalty": 0,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": None,
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1,
    "text": None,
    "tool_choice": "auto",
    "tools": None,
    "top_logprobs": 0,
    "top_p": 1,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a request that its response repeats, with their defaults."""
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_text")
"""Fields in which model servers send their reasoning."""
_FUNCTION: JsonObject = {"description": None, "parameters": None, "strict": None}


def response_id(run: str) -> str:
    """Return the id of a run's response."""
    return f"resp_{run}"


def run_of(response: str) -> str | None:
    """Return the run that an id names; None if it is not the id of a response."""
    match = _ID.fullmatch(response)
    return match[1] if match else None


@dataclass(frozen=True)
class FunctionCall:
    """Call of one of the caller's functions."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class AssistantMessage:
    """Message of a model, as far as the Responses API can express it."""

    reasoning: str
    text: str
    refusal: str
    calls: tuple[FunctionCall, ...]

    def message(self) -> JsonObject:
        """Return the message that the models of later runs are sent, without the reasoning."""
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in self.calls
        ]
        message: JsonObject = {"role": "assistant", "content": self.text or (None if calls or self.refusal else "")}
        return message | ({"refusal": self.refusal} if self.refusal else {}) | ({"tool_calls": calls} if calls else {})

    def output(self, run: str, *, status: str | None = None, logprobs: Any = None) -> list[JsonObject]:
        """Return its items. A ``status`` marks it as whole, and its last item gets that status, because a cut answer ends there.

        A whole answer without content is an empty text.

        """
        is_silent = status is not None and not (self.refusal or self.calls)
        parts = [items.text_part(self.text, logprobs)] if self.text or is_silent else []
        parts += [items.refusal_part(self.refusal)] if self.refusal else []
        output = [
            *([items.reasoning_item(self.reasoning)] if self.reasoning else []),
            *([items.message_item(parts)] if parts else []),
            *(items.call_item(call.id, call.name, call.arguments) for call in self.calls),
        ]
        if status and "status" in output[-1]:
            output[-1]["status"] = status
        return [{"id": items.item_id(item["type"], run, index)} | item for index, item in enumerate(output)]


def assistant_message(message: Any, run: str) -> AssistantMessage:
    """Return a model's message, parsed without trust in any part of it, because it comes from a pod."""
    fields = message if isinstance(message, Mapping) else {}
    calls = fields.get("tool_calls")
    valid = [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    return AssistantMessage(
        reasoning=next((text for name in _REASONING if (text := _text(fields.get(name)))), ""),
        text=_text(fields.get("content")),
        refusal=_text(fields.get("refusal")),
        calls=tuple(_call(call, run, index) for index, call in enumerate(valid)),
    )


def logprobs(choice: Mapping[str, Any]) -> list[JsonObject]:
    """Return the log probabilities of a choice, or of a piece of it."""
    value = choice.get("logprobs")
    tokens = value.get("content") if isinstance(value, Mapping) else None
    return [token for token in tokens if isinstance(token, dict)] if isinstance(tokens, list) else []


@dataclass(frozen=True)
class ResponseObject:
    """Response, as far as it was known when its run was created."""

    run: str
    created: int
    model: str
    instructions: str | None
    params: JsonObject
    """The caller's own fields, without its input."""

    @property
    def id(self) -> str:
        """Return its id, which contains the run's name."""
        return response_id(self.run)

    def ongoing(self, status: str) -> JsonObject:
        """Return the object while the run is ``queued`` or ``in_progress``."""
        return self._object(status)

    def ended(self, end: End, completed: int | None) -> JsonObject:
        """Return the object once the run has ended at ``completed``."""
        if end["type"] == "error":
            if end["error"]["type"] == "cancelled":
                return self._object("cancelled")
            refusal = refusal_of(end["error"])
            return self._object("failed", error={"code": refusal.code, "message": refusal.message})
        choice = first_choice(end)
        cut = _CUT.get(str(choice.get("finish_reason")))
        status = "incomplete" if cut else "completed"
        message = assistant_message(choice.get("message"), self.run)
        return self._object(
            status,
            output=message.output(self.run, status=status, logprobs=logprobs(choice)),
            usage=_usage(end["usage"]),
            completed_at=completed if status == "completed" else None,
            incomplete_details={"reason": cut} if cut else None,
        )

    def _object(self, status: str, **known: Any) -> JsonObject:
        echoed = {
            name: default if self.params.get(name) is None else self.params[name] for name, default in _ECHOED.items()
        }
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "instructions": self.instructions,
            "model": self.model,
            "output": [],
            **echoed,
            "reasoning": {"effort": None, "summary": None} | (echoed["reasoning"] or {}),
            "text": _text_config(echoed["text"] or {}),
            "tools": [_FUNCTION | tool for tool in echoed["tools"] or []],
            "usage": None,
            **known,
        }


def response(run: AgentRun) -> ResponseObject:
    """Return the response of a run that was created as one."""
    kept = run_contents.response(run)
    instructions = run_contents.request(run)["messages"][0]["content"] if kept.get("instructions") else None
    return ResponseObject(
        run=run.metadata.name,
        created=int(run.metadata.created.timestamp()),
        model=kept["model"],
        instructions=instructions,
        params=kept["asked"],
    )


def is_kept(run: AgentRun) -> bool:
    """Return True if a run is a response that its caller may fetch: one with ``store``."""
    try:
        asked = run_contents.response(run).get("asked")
    except TextError:
        return False
    return isinstance(asked, dict) and asked.get("store") is not False


def as_it_is(run: AgentRun) -> JsonObject:
    """Return the current response object of a run.

    A run that has not ended is in progress: only the replica that receives the pod's records knows whether its agent has
    started, and a status must not go back at another one (decision 0042).
    """
    if run.ended:
        return response(run).ended(record_of(run.status), ended_at(run))
    return response(run).ongoing("in_progress")


def accepted(run: AgentRun) -> JsonObject:
    """Return the response object of a background run that was just created."""
    return response(run).ongoing("queued")


def ended_at(run: AgentRun) -> int | None:
    """Return the time of a run's end in unix seconds."""
    return int(parse_timestamp(run.status.completed_at).timestamp()) if run.status.completed_at else None


def first_choice(end: Done) -> JsonObject:
    """Return the only choice that a response has."""
    choice: Any = end["choices"][0] if end["choices"] else {}
    return choice if isinstance(choice, dict) else {}


def conversation(previous: str, run: AgentRun | None) -> list[JsonObject]:
    """Return the messages that a later run continues: a run's conversation with its answer, without its instructions.

    Raises Refusal 400 and 409 if the run has no answer.

    """
    field = "previous_response_id"
    if run is None:
        message = f"Previous response with id '{previous}' not found."
        raise Refusal(400, "previous_response_not_found", message, param=field)
    if not run.ended:
        message = f"Previous response with id '{previous}' is in progress. Only a completed response can be continued."
        raise Refusal(409, "previous_response_not_ended", message, param=field)
    end = record_of(run.status)
    if end["type"] == "error":
        raise invalid(field, f"'{previous}' failed or was cancelled; only a completed response can be continued")
    kept, request = run_contents.response(run), run_contents.request(run)
    answer = assistant_message(first_choice(end).get("message"), run.metadata.name)
    return [*request["messages"][1 if kept.get("instructions") else 0 :], answer.message()]


def all_items(run: AgentRun) -> list[JsonObject]:
    """Return the items of a run's input, and of its answer if it has ended, without log probabilities, which models are not sent."""
    given: list[JsonObject] = as_it_is(run)["output"]
    for part in (part for item in given for part in item.get("content", [])):
        part.pop("logprobs", None)
    return input_items(run) + given


def input_items(run: AgentRun) -> list[JsonObject]:
    """Return the items that the caller of a run gave, in their order."""
    kept, request = run_contents.response(run), run_contents.request(run)
    return items.items(request["messages"][kept["before"] :], run.metadata.name)


def _call(call: Mapping[str, Any], run: str, index: int) -> FunctionCall:
    value = call.get("function")
    function = value if isinstance(value, Mapping) else {}
    identity = _text(call.get("id")) or f"call_{run}_{index}"  # some servers give none
    return FunctionCall(identity, _text(function.get("name")), _text(function.get("arguments")))


def _text(value: Any) -> str:
    """Return a text, or the texts among content parts, because some models answer in parts."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, Mapping))
    return value if isinstance(value, str) else ""


def _text_config(config: JsonObject) -> JsonObject:
    style = config.get("format") or {"type": "text"}
    if style["type"] == "json_schema":
        style = {"description": None, "strict": False} | style
    return config | {"format": style}


def _usage(usage: Mapping[str, Any]) -> JsonObject | None:
    if not usage:
        return None
    spent, written = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return {
        "input_tokens": spent,
        "input_tokens_details": {
            "cached_tokens": _count(usage.get("prompt_tokens_details"), "cached_tokens"),
            "cache_write_tokens": _count(usage.get("prompt_tokens_details"), "cache_write_tokens"),
        },
        "output_tokens": written,
        "output_tokens_details": {
            "reasoning_tokens": _count(usage.get("completion_tokens_details"), "reasoning_tokens")
        },
        "total_tokens": _count(usage, "total_tokens") or spent + written,
    }


def _count(counts: Any, name: str) -> int:
    value = counts.get(name) if isinstance(counts, Mapping) else None
    return value if type(value) is int else 0
