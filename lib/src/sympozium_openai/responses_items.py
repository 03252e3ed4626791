"""Items of the Responses API and messages of a chat completion, each translated into the other.

A run stores a conversation once, as messages, because the model is sent messages. The caller's items are read back from
them in the form in which OpenAI lists items: content as parts, never as a bare string.

"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from sympozium_http.compact_json import json_bytes
from sympozium_openai.bodies import JsonObject, invalid, missing, unsupported

MAX_ITEMS = 10_000
_ROLES = ("system", "developer", "user", "assistant")
_TEXTS = ("input_text", "output_text", "text")
_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
_ID = re.compile(r"[a-z]+_([a-z0-9-]+)_i?\d+")

Find = Callable[[str], JsonObject | None]
"""Function from an item's id to the item."""


def messages(given: Any, find: Find) -> list[JsonObject]:
    """Return the messages of an ``input``: a text, or items. Raises Refusal 400 that names the wrong item.

    Consecutive function calls, or those after an assistant's message, become one message, as chat completions demand.
    Reasoning is left out, because no model is sent its earlier thoughts.

    """
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise invalid("input", "must be a string or a non-empty list of items")
    if len(given) > MAX_ITEMS:
        raise invalid("input", f"must have at most {MAX_ITEMS} items")
    messages: list[JsonObject] = []
    for index, item in enumerate(given):
        at = f"input[{index}]"
        if not isinstance(item, dict):
            raise invalid(at, "must be an object")
        _append(messages, _message(_resolved(item, at, find), at))
    return messages


def referred(given: Any) -> dict[str, Counter[str]]:
    """Return the runs whose items an ``input`` refers to, each with the items' ids and their numbers of references."""
    runs: dict[str, Counter[str]] = {}
    for item in given if isinstance(given, list) else []:
        if isinstance(item, dict) and item.get("type") == "item_reference":
            match = _ID.fullmatch(str(item.get("id")))
            if match:
                runs.setdefault(match[1], Counter())[match[0]] += 1
    return runs


def least_size(item: JsonObject) -> int:
    """Return the bytes that a stored item takes at least in a conversation, whatever is before it."""
    message = _message(item, "input")
    if message is None:
        return 0
    calls = message.get("tool_calls")  # of consecutive calls, the first has the rest of the message
    return len(json_bytes({"tool_calls": calls})) - len(b'{"tool_calls":[]}') if calls else len(json_bytes(message))


def items(given: Iterable[JsonObject], run: str) -> list[JsonObject]:
    """Return the items of a run's input, from its messages."""
    items = [item for message in given for item in _items(message)]
    return [{"id": item_id(item["type"], run, f"i{index}")} | item for index, item in enumerate(items)]


def page(items: list[JsonObject], *, limit: int, order: str, after: str | None) -> JsonObject:
    """Return a page of a list in OpenAI's form. Raises Refusal 400 if no item has the id ``after``."""
    rest = items if order == "asc" else items[::-1]
    if after is not None:
        positions = [position for position, item in enumerate(rest) if item["id"] == after]
        if not positions:
            raise invalid("after", f"there is no item '{after}'")
        rest = rest[positions[0] + 1 :]
    data = rest[:limit]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": len(rest) > limit}


def item_id(kind: str, run: str, position: int | str) -> str:
    """Return the id of an item: its run and its position there."""
    return f"{_PREFIXES[kind]}_{run}_{position}"


def reasoning_item(text: str) -> JsonObject:
    """Return the item of a model's reasoning."""
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}


def message_item(parts: list[JsonObject], *, role: str = "assistant") -> JsonObject:
    """Return the item of a message."""
    return {"type": "message", "role": role, "content": parts, "status": "completed"}


def call_item(call: str, name: str, arguments: str) -> JsonObject:
    """Return the item of a call of one of the caller's functions."""
    return {"type": "function_call", "call_id": call, "name": name, "arguments": arguments, "status": "completed"}


def text_part(text: str, logprobs: Any = None) -> JsonObject:
    """Return the content part of a model's text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs or []}


def refusal_part(text: str) -> JsonObject:
    """Return the content part of a model's refusal."""
    return {"type": "refusal", "refusal": text}


# From items to messages.


def _resolved(item: JsonObject, at: str, find: Find) -> JsonObject:
    if item.get("type") != "item_reference":
        return item
    stored = find(_text(item, "id", at))
    if stored is None:
        raise invalid(f"{at}.id", f"there is no item '{item['id']}'")
    return stored


def _message(item: JsonObject, at: str) -> JsonObject | None:
    match item.get("type", "message"):
        case "message":
            return _said(item, at)
        case "function_call":
            function = {"name": _text(item, "name", at), "arguments": _text(item, "arguments", at)}
            call = {"id": _text(item, "call_id", at), "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            content = _content(item.get("output"), f"{at}.output")
            return {"role": "tool", "tool_call_id": _text(item, "call_id", at), "content": content}
        case "reasoning":
            return None
        case kind:
            raise unsupported(f"{at}.type", f"items of type '{kind}' are not supported")


def _said(item: JsonObject, at: str) -> JsonObject:
    role = _text(item, "role", at)
    if role not in _ROLES:
        raise invalid(f"{at}.role", f"must be one of {', '.join(_ROLES)}")
    return {"role": role, "content": _content(item.get("content"), f"{at}.content")}


def _append(messages: list[JsonObject], message: JsonObject | None) -> None:
    if message is None:
        return
    if message.get("tool_calls") and messages and messages[-1]["role"] == "assistant":
        messages[-1] = messages[-1] | {"tool_calls": [*messages[-1].get("tool_calls", []), *message["tool_calls"]]}
    else:
        messages.append(message)


def _content(given: Any, at: str) -> str | list[JsonObject]:
    """Return content as it is, or its parts; a single text as a string, which every model server takes."""
    if isinstance(given, str):
        return given
    if given is None:
        raise missing(at)
    if not isinstance(given, list):
        raise invalid(at, "must be a string or a list of content parts")
    parts = [_part(part, f"{at}[{index}]") for index, part in enumerate(given)]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _part(part: Any, at: str) -> JsonObject:
    if not isinstance(part, dict):
        raise invalid(at, "must be an object")
    match part.get("type"):
        case kind if kind in _TEXTS:
            return {"type": "text", "text": _text(part, "text", at)}
        case "refusal":
            return {"type": "refusal", "refusal": _text(part, "refusal", at)}
        case "input_image":
            return {"type": "image_url", "image_url": _image(part, at)}
        case "input_file":
            return {"type": "file", "file": _file(part, at)}
        case "input_audio" if isinstance(part.get("input_audio"), dict):
            return {"type": "input_audio", "input_audio": part["input_audio"]}
        case "input_audio":
            raise missing(f"{at}.input_audio")
        case kind:
            raise unsupported(f"{at}.type", f"content of type '{kind}' is not supported")


def _image(part: JsonObject, at: str) -> JsonObject:
    if part.get("file_id") is not None:
        raise unsupported(
            f"{at}.file_id", "there is no Files API here; give the image as image_url, a data: URL if need be"
        )
    detail = part.get("detail")
    return {"url": _text(part, "image_url", at)} | ({"detail": detail} if detail is not None else {})


def _file(part: JsonObject, at: str) -> JsonObject:
    for name in ("file_id", "file_url"):
        if part.get(name) is not None:
            raise unsupported(f"{at}.{name}", "give the file's content as file_data")
    filename = part.get("filename")
    return {"file_data": _text(part, "file_data", at)} | ({"filename": filename} if filename is not None else {})


def _text(holder: JsonObject, name: str, at: str) -> str:
    value = holder.get(name)
    if value is None:
        raise missing(f"{at}.{name}")
    if not isinstance(value, str):
        raise invalid(f"{at}.{name}", "must be a string")
    return value


# From messages to items.


def _items(message: JsonObject) -> list[JsonObject]:
    """Return the items of one message, without ids."""
    content, role = message["content"], message["role"]
    if role == "tool":
        given = content if isinstance(content, str) else _parts(content, "user")
        output = {"type": "function_call_output", "call_id": message["tool_call_id"]}
        return [output | {"output": given, "status": "completed"}]
    calls = [
        call_item(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", [])
    ]
    refusal = [refusal_part(message["refusal"])] if message.get("refusal") else []
    parts = [*([] if content is None else _parts(content, role)), *refusal]
    return [*([message_item(parts, role=role)] if parts else []), *calls]


def _parts(content: str | list[JsonObject], role: str) -> list[JsonObject]:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [_listed(part, role) for part in parts]


def _listed(part: JsonObject, role: str) -> JsonObject:
    match part["type"]:
        case "text":
            return text_part(part["text"]) if role == "assistant" else {"type": "input_text", "text": part["text"]}
        case "image_url":
            image = part["image_url"]
            return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail", "auto")}
        case "file":
            file: JsonObject = part["file"]
            return {"type": "input_file"} | file
    return part
