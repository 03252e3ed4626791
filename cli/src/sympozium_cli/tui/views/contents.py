"""Question and answer of a run, as messages. Pure; slow to import (the typed models), so that only what shows them does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympozium_api.resources import Object
from sympozium_cli.tui.views.reading import at, items_at, text_at


@dataclass(frozen=True)
class Message:
    """A message of a conversation."""

    role: str
    text: str
    tools: tuple[str, ...] = ()
    """Calls of tools, as ``name(arguments)``."""


def question(run: Object, parts: Mapping[str, str]) -> tuple[list[Message], list[str]]:
    """Return the messages of a run's question, and the names of the tools that came with it.

    ``parts``: texts that are not in the run itself, by the names ``request`` and ``answer``. A text that cannot be read is a
    message that says so.
    """
    task = at(run, "spec", "task")
    if isinstance(task, str):
        return [Message("user", task)], []
    try:
        request = at(run, "spec", "request") or _object(at(run, "spec", "requestText"), parts.get("request"))
    except ValueError as error:
        return [Message("?", f"cannot be read: {error}")], []
    messages = [_message(item) for item in items_at(request, "messages")]
    if not messages and (prompt := at(request, "prompt")) is not None:
        messages = [Message("user", prompt if isinstance(prompt, str) else json.dumps(prompt))]
    tools = [text_at(tool, "function", "name") or text_at(tool, "name") for tool in items_at(request, "tools")]
    return messages, tools


def answer(run: Object, parts: Mapping[str, str]) -> list[Message]:
    """Return the messages of a run's answer: one for each choice. ``parts`` as in ``question``."""
    result = at(run, "status", "result")
    try:
        whole = _object(at(run, "status", "answer"), parts.get("answer"))
    except ValueError as error:
        return [Message("?", f"cannot be read: {error}")]
    choices = items_at(whole, "choices") or items_at(run, "status", "choices")
    messages = [_message(at(choice, "message") or {}) for choice in choices]
    if isinstance(result, str) and not any(message.text for message in messages):
        return [Message("assistant", result, messages[0].tools if messages else ())]
    return messages


def _object(field: Any, text: str | None) -> Object:
    if field is None:
        return {}
    from sympozium_api.json_text import JsonText  # models, which the first screen needs not

    stored = JsonText.model_validate(field)
    found = json.loads((stored if text is None else stored.joined(text)).read("the text"))
    return found if isinstance(found, dict) else {}


def _message(item: Any) -> Message:
    content = at(item, "content")
    calls = [at(call, "function") for call in items_at(item, "tool_calls")]
    tools = tuple(f"{text_at(call, 'name')}({text_at(call, 'arguments')})" for call in calls)
    return Message(text_at(item, "role") or "assistant", _text(content) or text_at(item, "refusal"), tools)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(_part(part) for part in content)
    return content if isinstance(content, str) else "" if content is None else json.dumps(content)


def _part(part: Any) -> str:
    text = at(part, "text")
    return text if isinstance(text, str) else f"({text_at(part, 'type') or 'part'})"
