"""Requests of chat completions as Anthropic's Messages API takes them. Pure. Rules: Anthropic's API reference, "Create a Message"."""

from __future__ import annotations

import re

from sympozium_agent.providers.conversation import (
    SYSTEM_ROLES,
    calls_of,
    choice_of,
    file_data,
    functions_of,
    image_url,
    output_schema,
    parts_of,
    read_messages,
    text_in,
)
from sympozium_agent.providers.members import (
    OUTPUT_TOKENS,
    most_tokens_of,
    refuse_bare_prompt,
    refuse_several,
    stops_of,
    unsupported,
    values_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Object = dict[str, Any]

VENDOR = "Anthropic"
DEFAULT_OUTPUT_TOKENS = 8192
"""Largest number of an answer's tokens where the request has none, because Anthropic needs one."""
REASONING_FORMAT = "anthropic-claude-v1"
"""Format of the items in ``reasoning_details`` that hold Anthropic's signed thinking."""
_AS_IT_IS = ("temperature", "top_p", "top_k", "thinking", "output_config", "cache_control", "context_management")
"""Members that have the same name and meaning, and Anthropic's own."""
_TRANSLATED = (
    *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stop", "response_format", "n"),
    *("reasoning_effort", "service_tier", "user", *OUTPUT_TOKENS),
)
_OFF = ("logprobs", "presence_penalty", "frequency_penalty")
"""Members that Anthropic does not have, and whose false or zero says what Anthropic does anyway."""
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_BUDGETS = {"low": 2048, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768}
_LEAST_BUDGET = 1024
_HAS_BUDGET = re.compile(r"claude-(?:3|(?:opus|sonnet|haiku)-4(?:-[0-5](?!\d)|-20|$|@))")
"""Models up to generation 4.5, whose thinking has a budget of tokens. Later ones choose it themselves, by the effort."""
_ID = re.compile("[A-Za-z0-9_-]{1,128}")


def translate(request: Mapping[str, str]) -> Object:
    """Return the body of a request. Raises ModelError with status 400 for what Anthropic cannot be told."""
    values = values_of(request, (*_TRANSLATED, *_AS_IT_IS, *_OFF), VENDOR)
    refuse_bare_prompt(values, VENDOR)
    if strangers := [name for name in _OFF if values.get(name)]:
        raise unsupported(strangers[0], f"is not supported by {VENDOR}'s API.")
    refuse_several(request, VENDOR)
    body: Object = {"model": values.get("model")} | _conversation(values["messages"])
    body |= {name: values[name] for name in _AS_IT_IS if name in values}
    most = most_tokens_of(values)
    body["max_tokens"] = DEFAULT_OUTPUT_TOKENS if most is None else most
    if (stops := stops_of(values)) is not None:
        body["stop_sequences"] = stops
    if isinstance(values.get("user"), str):
        body["metadata"] = {"user_id": values["user"]}
    return _with_options(body | _tools(values), values)


def _with_options(body: Object, values: Object) -> Object:
    temperature = values.get("temperature")
    if isinstance(temperature, int | float) and temperature > 1:
        raise unsupported("temperature", f"must be at most 1, {VENDOR}'s highest.")
    if "service_tier" in values:
        if values["service_tier"] not in _TIERS:
            raise unsupported("service_tier", f"must be auto or default, the tiers of {VENDOR}'s API.")
        body["service_tier"] = _TIERS[values["service_tier"]]
    schema = output_schema(values.get("response_format"))
    if schema == {}:
        raise unsupported("response_format", f"must be json_schema, because {VENDOR}'s API needs a schema.")
    config = dict(body.get("output_config") or {})
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    if "reasoning_effort" in values and "thinking" not in values:
        body |= _thinking(body, values["reasoning_effort"], config)
    return body | ({"output_config": config} if config else {})


def _thinking(body: Object, effort: Any, config: Object) -> Object:
    """Return the members that ask for an effort; for models that choose their thinking themselves, it goes into ``config``."""
    if effort == "none":
        return {}
    if effort not in _EFFORTS:
        raise unsupported("reasoning_effort", f"must be none or one of {', '.join(_EFFORTS)}.")
    level = _EFFORTS[effort]
    if not _HAS_BUDGET.search(str(body["model"])):
        config.setdefault("effort", level)
        return {"thinking": {"type": "adaptive", "display": "summarized"}}
    most = body["max_tokens"]
    if not isinstance(most, int) or most <= _LEAST_BUDGET:
        raise unsupported("reasoning_effort", f"needs max_tokens above {_LEAST_BUDGET}, the least budget of thinking.")
    return {"thinking": {"type": "enabled", "budget_tokens": min(_BUDGETS[level], max(most // 2, _LEAST_BUDGET))}}


def _tools(values: Object) -> Object:
    tools = [_tool(function, tool) for _, function, tool in functions_of(values.get("tools"), VENDOR)]
    if not tools:
        return {}
    kind, name = choice_of(values.get("tool_choice"))
    choice: Object = {"type": {"required": "any", "function": "tool"}.get(kind, kind)} | (
        {"name": name} if name else {}
    )
    if values.get("parallel_tool_calls") is False and kind != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools} | ({"tool_choice": choice} if choice != {"type": "auto"} else {})


def _tool(function: Object, tool: Object) -> Object:
    made = {name: function[name] for name in ("name", "description") if function.get(name)}
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    strict = {"strict": True} if function.get("strict") else {}
    return made | {"input_schema": schema} | strict | _cached(tool)


def _conversation(messages: Any) -> Object:
    """Return the system prompt and the turns. A system message after the first turn joins those before it."""
    system: list[Object] = []
    turns: list[Object] = []
    for place, message in read_messages(messages, VENDOR):
        role = message.get("role")
        if role in SYSTEM_ROLES:
            system += _texts(place, message)
        elif role == "assistant":
            _append(turns, "assistant", [*_thoughts(message), *_contents(place, message), *_uses(place, message)])
        elif role == "user":
            _append(turns, "user", _contents(place, message))
        elif role == "tool":
            _append(turns, "user", [_result(place, message)])
        else:
            raise unsupported(f"{place}.role", "must be system, developer, user, assistant or tool.")
    return ({"system": system} if system else {}) | {"messages": turns}


def _append(turns: list[Object], role: str, blocks: list[Object]) -> None:
    """Append blocks to the turn of their role, because the results of all calls of an answer have to be in one message."""
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _contents(place: str, message: Object) -> list[Object]:
    blocks = [_block(at, part) for at, part in parts_of(place, message.get("content"))]
    if refusal := message.get("refusal"):
        blocks.append({"type": "text", "text": refusal})
    return [block for block in blocks if block.get("text") != ""]  # Anthropic refuses empty texts


def _texts(place: str, message: Object) -> list[Object]:
    blocks = _contents(place, message)
    if any(block["type"] != "text" for block in blocks):
        raise unsupported(f"{place}.content", "must be text in a system message.")
    return blocks


def _block(place: str, part: Object) -> Object:
    if (text := text_in(part)) is not None:
        return {"type": "text", "text": text} | _cached(part)
    if part.get("type") == "image_url":
        media_type, data, url = image_url(place, part)
        return {"type": "image", "source": _source(media_type, data, url)} | _cached(part)
    if part.get("type") == "file":
        return {"type": "document", "source": _source(*file_data(place, part), "")} | _cached(part)
    raise unsupported(f"{place}.type", "must be text, image_url or file.")


def _source(media_type: str, data: str, url: str) -> Object:
    return {"type": "url", "url": url} if url else {"type": "base64", "media_type": media_type, "data": data}


def _thoughts(message: Object) -> list[Object]:
    """Return the signed thinking of an earlier answer, which Anthropic needs again beside the calls that it led to."""
    blocks: list[Object] = []
    details = message.get("reasoning_details")
    for detail in details if isinstance(details, list) else []:
        match detail:
            case {"format": str(form)} if form != REASONING_FORMAT:
                pass
            case {"type": "reasoning.text", "signature": str(signature)}:
                blocks.append({"type": "thinking", "thinking": detail.get("text") or "", "signature": signature})
            case {"type": "reasoning.encrypted", "data": str(data)}:
                blocks.append({"type": "redacted_thinking", "data": data})
    return blocks


def _uses(place: str, message: Object) -> list[Object]:
    return [
        {"type": "tool_use", "id": _id(identity), "name": name, "input": arguments}
        for _, identity, name, arguments in calls_of(place, message)
    ]


def _result(place: str, message: Object) -> Object:
    identity = message.get("tool_call_id")
    if not isinstance(identity, str) or not identity:
        raise unsupported(f"{place}.tool_call_id", "must name the call whose result the message is.")
    return {"type": "tool_result", "tool_use_id": _id(identity), "content": _contents(place, message)} | _cached(
        message
    )


def _id(given: str) -> str:
    """Return the id of a call as Anthropic takes it, the same for the same id."""
    if _ID.fullmatch(given):
        return given
    from hashlib import sha256  # noqa: PLC0415 - only for calls of other vendors' models

    return f"call_{sha256(given.encode(errors='replace')).hexdigest()[:24]}"


def _cached(part: Object) -> Object:
    """Return the mark up to which Anthropic is to cache the request, if a part has one."""
    return {"cache_control": part["cache_control"]} if isinstance(part.get("cache_control"), dict) else {}
