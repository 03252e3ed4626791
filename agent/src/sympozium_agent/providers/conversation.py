"""OpenAI-shaped messages, read for a dialect that has another form of them. Pure."""

from __future__ import annotations

import json

from sympozium_agent.providers.members import unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Object = dict[str, Any]

SYSTEM_ROLES = ("system", "developer")
_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")


def read_messages(messages: Any, vendor: str) -> list[tuple[str, Object]]:
    """Return each message with its place, such as ``messages[3]``. Raises ModelError with status 400 for one that is malformed,
    or has a name, which only a tool's message may.
    """
    if not isinstance(messages, list):
        raise unsupported("messages", "must be a list.")
    placed = [(f"messages[{number}]", message) for number, message in enumerate(messages)]
    for place, message in placed:
        if not isinstance(message, dict):
            raise unsupported(place, "must be an object.")
        if message.get("name") and message.get("role") not in ("tool", "function"):
            raise unsupported(f"{place}.name", f"is not supported by {vendor}'s API.")
        for field in ("function_call", "audio"):
            if message.get(field):
                raise unsupported(f"{place}.{field}", f"is not supported by {vendor}'s API.")
    return placed


def parts_of(place: str, content: Any) -> Iterator[tuple[str, Object]]:
    """Yield the parts of a message's content with their places. A text is one part; null has none."""
    if isinstance(content, str):
        yield f"{place}.content", {"type": "text", "text": content}
    elif isinstance(content, list):
        for number, part in enumerate(content):
            if not isinstance(part, dict):
                raise unsupported(f"{place}.content[{number}]", "must be an object.")
            yield f"{place}.content[{number}]", part
    elif content is not None:
        raise unsupported(f"{place}.content", "must be a text or a list of parts.")


def text_in(part: Object) -> str | None:
    """Return the text of a part, None if the part is no text."""
    kind = part.get("type", "text")
    if kind not in _TEXT_PARTS:
        return None
    text = part.get("refusal" if kind == "refusal" else "text")
    return text if isinstance(text, str) else ""


def texts_of(place: str, message: Object) -> str:
    """Return the whole text of a message that can hold nothing else. Raises ModelError with status 400."""
    texts = []
    for part_place, part in parts_of(place, message.get("content")):
        text = text_in(part)
        if text is None:
            raise unsupported(f"{part_place}.type", "must be text in a message of this role.")
        texts.append(text)
    return "\n\n".join(texts)


def image_url(place: str, part: Object) -> tuple[str, str, str]:
    """Return the media type and Base64 data of an image, or its URL as the third. Raises ModelError with status 400."""
    given = part.get("image_url")
    url = given.get("url") if isinstance(given, dict) else given
    if not isinstance(url, str) or not url:
        raise unsupported(f"{place}.image_url", "must have a url.")
    return (*_data(url), "") if url.startswith("data:") else ("", "", url)


def file_data(place: str, part: Object) -> tuple[str, str]:
    """Return the media type and Base64 data of a file. Raises ModelError with status 400 for one that has only an id."""
    given = part.get("file")
    data = given.get("file_data") if isinstance(given, dict) else None
    if not isinstance(data, str) or not data.startswith("data:"):
        raise unsupported(f"{place}.file", "must have file_data, a data: URL; ids of files are OpenAI's own.")
    return _data(data)


def calls_of(place: str, message: Object) -> Iterator[tuple[str, str, str, Any]]:
    """Yield each tool call's place, id, function and arguments. Raises ModelError with status 400 for a call of another type.

    Arguments that are no JSON object, which a model may have written, are an object with their text.
    """
    for number, call in enumerate(message.get("tool_calls") or []):
        at = f"{place}.tool_calls[{number}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise unsupported(f"{at}.type", "must be function.")
        yield at, str(call.get("id") or ""), function["name"], _arguments(function.get("arguments"))


def functions_of(tools: Any, vendor: str) -> Iterator[tuple[str, Object, Object]]:
    """Yield each tool's place, definition and whole object. Raises ModelError with status 400 for tools of other types."""
    for number, tool in enumerate(tools if isinstance(tools, list) else []):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise unsupported(f"tools[{number}].type", f"must be function, the only type of tools that {vendor} takes.")
        yield f"tools[{number}]", function, tool


def choice_of(choice: Any) -> tuple[str, str]:
    """Return ``tool_choice`` as ``auto``, ``required``, ``none`` or ``function``, and the function's name.

    Raises ModelError with status 400 for another form.
    """
    match choice:
        case None:
            return "auto", ""
        case "auto" | "required" | "none":
            return choice, ""
        case {"type": "function", "function": {"name": str(name)}}:
            return "function", name
    raise unsupported("tool_choice", "must be auto, required, none, or name a function.")


def output_schema(response_format: Any) -> Object | None:
    """Return the schema of ``json_schema``, {} for ``json_object``, None for text. Raises ModelError with status 400."""
    match response_format:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {}
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return schema
    raise unsupported("response_format", "must be text, json_object, or json_schema with a schema.")


def _arguments(text: Any) -> Object:
    if isinstance(text, dict):
        return text
    try:
        value = json.loads(text or "{}")
    except (TypeError, ValueError, RecursionError):
        value = text
    return value if isinstance(value, dict) else {"arguments": text}


def _data(url: str) -> tuple[str, str]:
    head, _, data = url.removeprefix("data:").partition(",")
    return head.partition(";")[0] or "application/octet-stream", data
