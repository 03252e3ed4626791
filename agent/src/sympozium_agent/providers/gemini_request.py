"""Requests of chat completions as Gemini's ``generateContent`` takes them. Pure. Rules: Google's API reference, "GenerateContent"."""

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
    texts_of,
)
from sympozium_agent.providers.members import (
    OUTPUT_TOKENS,
    most_tokens_of,
    refuse_bare_prompt,
    stops_of,
    unsupported,
    values_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Object = dict[str, Any]

VENDOR = "Gemini"
SIGNATURE_FORMAT = "google-gemini-v1"
"""Format of the items in ``reasoning_details`` that hold the signature of a text."""
NO_SIGNATURE = "skip_thought_signature_validator"
"""Google's word for a call that another model made, which models from Gemini 3 on would refuse without a signature."""
_AS_IT_IS = ("safetySettings", "cachedContent", "labels")
_CONFIG = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "seed": "seed",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
    "thinkingConfig": "thinkingConfig",
}
"""Members that have the same meaning under another name of ``generationConfig``."""
_TRANSLATED = (
    *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stop", "response_format"),
    *("reasoning_effort", "modalities", *OUTPUT_TOKENS),
)
_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_BUDGETS = {"low": 1024, "medium": 8192, "high": 24576}
_OLDER = re.compile("gemini-[12](?![0-9])")
"""Models whose thinking has a budget of tokens, and whose calls need no signature."""
_MODES = {"auto": "AUTO", "required": "ANY", "function": "ANY", "none": "NONE"}
_MODALITIES = {"text": "TEXT", "image": "IMAGE"}


def translate(request: Mapping[str, str]) -> Object:
    """Return the body of a request. Raises ModelError with status 400 for what Gemini cannot be told."""
    values = values_of(request, (*_TRANSLATED, *_CONFIG, *_AS_IT_IS), VENDOR)
    refuse_bare_prompt(values, VENDOR)
    body = _conversation(values["messages"], str(values.get("model")))
    body |= {name: values[name] for name in _AS_IT_IS if name in values} | _tools(values)
    config = _config(values)
    return body | ({"generationConfig": config} if config else {})


def _config(values: Object) -> Object:
    config: Object = {new: values[old] for old, new in _CONFIG.items() if old in values}
    if (most := most_tokens_of(values)) is not None:
        config["maxOutputTokens"] = most
    if (stops := stops_of(values)) is not None:
        config["stopSequences"] = stops
    schema = output_schema(values.get("response_format"))
    if schema is not None:
        config |= {"responseMimeType": "application/json"} | ({"responseJsonSchema": schema} if schema else {})
    if "reasoning_effort" in values and "thinkingConfig" not in values:
        config["thinkingConfig"] = _thinking(values["reasoning_effort"], str(values.get("model")))
    if "modalities" in values:
        config["responseModalities"] = [_modality(word) for word in values["modalities"]]
    return config


def _modality(word: Any) -> str:
    if word not in _MODALITIES:
        raise unsupported("modalities", "must be text and image.")
    return _MODALITIES[word]


def _thinking(effort: Any, model: str) -> Object:
    if effort == "none":
        return {"thinkingBudget": 0}
    if effort not in _LEVELS:
        raise unsupported("reasoning_effort", f"must be none or one of {', '.join(_LEVELS)}.")
    level = _LEVELS[effort]
    depth: Object = {"thinkingBudget": _BUDGETS[level]} if _OLDER.search(model) else {"thinkingLevel": level}
    return depth | {"includeThoughts": True}


def _tools(values: Object) -> Object:
    declarations = [_declaration(function) for _, function, _ in functions_of(values.get("tools"), VENDOR)]
    if not declarations:
        return {}
    if values.get("parallel_tool_calls") is False:
        raise unsupported(
            "parallel_tool_calls", f"must be true, because {VENDOR}'s API has no word for one call at a time."
        )
    kind, name = choice_of(values.get("tool_choice"))
    choice: Object = {"mode": _MODES[kind]} | ({"allowedFunctionNames": [name]} if name else {})
    config = {} if kind == "auto" else {"toolConfig": {"functionCallingConfig": choice}}
    return {"tools": [{"functionDeclarations": declarations}]} | config


def _declaration(function: Object) -> Object:
    made = {name: function[name] for name in ("name", "description") if function.get(name)}
    return made | ({"parametersJsonSchema": function["parameters"]} if function.get("parameters") else {})


def _conversation(messages: Any, model: str) -> Object:
    """Return the system instruction and the turns. A system message after the first turn joins those before it."""
    system: list[Object] = []
    turns: list[Object] = []
    functions: dict[str, str] = {}
    for place, message in read_messages(messages, VENDOR):
        role = message.get("role")
        if role in SYSTEM_ROLES:
            if text := texts_of(place, message):
                system.append({"text": text})
        elif role == "assistant":
            functions |= {identity: name for _, identity, name, _ in calls_of(place, message)}
            _append(turns, "model", _answer(place, message, model))
        elif role == "user":
            _append(turns, "user", _contents(place, message))
        elif role == "tool":
            _append(turns, "user", [_result(place, message, functions)])
        else:
            raise unsupported(f"{place}.role", "must be system, developer, user, assistant or tool.")
    return ({"systemInstruction": {"parts": system}} if system else {}) | {"contents": turns}


def _append(turns: list[Object], role: str, parts: list[Object]) -> None:
    """Append parts to the turn of their role, because the results of all calls of an answer have to be in one turn."""
    if not parts:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["parts"] += parts
    else:
        turns.append({"role": role, "parts": parts})


def _answer(place: str, message: Object, model: str) -> list[Object]:
    texts = _contents(place, message)
    if texts and (signature := _signature_of_text(message)):
        texts[-1] = texts[-1] | {"thoughtSignature": signature}
    calls: list[Object] = [
        {"functionCall": {"name": name, "args": arguments}} | _signature_of_call(call)
        for call, (_, _, name, arguments) in zip(message.get("tool_calls") or [], calls_of(place, message), strict=True)
    ]
    if calls and "thoughtSignature" not in calls[0] and not _OLDER.search(model):
        calls[0]["thoughtSignature"] = NO_SIGNATURE  # of calls side by side, the first has the signature
    return texts + calls


def _signature_of_call(call: Object) -> Object:
    """Return the signature of a call where Google's own OpenAI-compatible API has it."""
    match call:
        case {"extra_content": {"google": {"thought_signature": str(signature)}}}:
            return {"thoughtSignature": signature}
    return {}


def _signature_of_text(message: Object) -> str:
    details = message.get("reasoning_details")
    for detail in details if isinstance(details, list) else []:
        match detail:
            case {"format": form, "data": str(data)} if form == SIGNATURE_FORMAT:
                return data
    return ""


def _contents(place: str, message: Object) -> list[Object]:
    parts = [_part(at, part) for at, part in parts_of(place, message.get("content"))]
    if refusal := message.get("refusal"):
        parts.append({"text": refusal})
    return [part for part in parts if part.get("text") != ""]


def _part(place: str, part: Object) -> Object:
    if (text := text_in(part)) is not None:
        return {"text": text}
    match part.get("type"):
        case "image_url":
            media_type, data, url = image_url(place, part)
            return {"fileData": {"fileUri": url}} if url else _inline(media_type, data)
        case "file":
            return _inline(*file_data(place, part))
        case "input_audio":
            match part.get("input_audio"):
                case {"data": str(data), "format": str(form)}:
                    return _inline(f"audio/{form}", data)
            raise unsupported(f"{place}.input_audio", "must have data and format.")
    raise unsupported(f"{place}.type", "must be text, image_url, file or input_audio.")


def _inline(media_type: str, data: str) -> Object:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _result(place: str, message: Object, functions: Mapping[str, str]) -> Object:
    name = functions.get(str(message.get("tool_call_id")))
    if name is None:
        raise unsupported(f"{place}.tool_call_id", "must name a call of an assistant's message before it.")
    return {"functionResponse": {"name": name, "response": {"result": texts_of(place, message)}}}
