"""The messages of a run's question and answer, as a page shows them. Pure: nothing here trusts what tenants and models wrote."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympozium_console.pages.message_text import content_text

_INSTRUCTIONS = ("system", "developer")


@dataclass(frozen=True)
class ShownCall:
    """A call of a tool that a message asks for."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ShownMessage:
    """One message."""

    role: str
    text: str
    calls: tuple[ShownCall, ...] = ()

    @property
    def is_folded(self) -> bool:
        """True for what a reader opens on purpose: instructions, and results of tools."""
        return self.role in (*_INSTRUCTIONS, "tool")


@dataclass(frozen=True)
class ShownContent:
    """Question and answer of a run."""

    question: tuple[ShownMessage, ...]
    answers: tuple[ShownMessage, ...]
    """One per choice."""
    tools: tuple[str, ...]
    """Names of the functions that the caller offered."""
    notes: tuple[str, ...]
    """Parts that cannot be shown, with the reason."""
    raw: str
    """All of the content, as indented JSON."""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "ShownContent":
        """Return what is shown of a run's content, as ``run_content.content_of`` makes it."""
        asked = _mapping(content.get("request"))
        instructions = content.get("systemPrompt")
        system = [ShownMessage("system", instructions)] if isinstance(instructions, str) else []
        return cls(
            question=(*system, *(_message(item) for item in _items(asked.get("messages")))),
            answers=_answers(content),
            tools=tuple(_function(item) for item in _items(asked.get("tools"))),
            notes=tuple(str(note) for note in _items(content.get("unreadable"))),
            raw=json.dumps(content, indent=2, ensure_ascii=False),
        )


def _answers(content: Mapping[str, Any]) -> tuple[ShownMessage, ...]:
    if choices := _items(content.get("choices")):
        return tuple(_message(_mapping(choice).get("message")) for choice in choices)
    answer = content.get("answer")
    return (ShownMessage("assistant", answer),) if isinstance(answer, str) and answer else ()


def _message(item: Any) -> ShownMessage:
    message = _mapping(item)
    calls = tuple(_call(call) for call in _items(message.get("tool_calls")))
    return ShownMessage(str(message.get("role") or "user"), content_text(message.get("content")), calls)


def _call(item: Any) -> ShownCall:
    function = _mapping(_mapping(item).get("function"))
    return ShownCall(str(function.get("name") or "?"), str(function.get("arguments") or ""))


def _function(item: Any) -> str:
    tool = _mapping(item)
    return str(_mapping(tool.get("function")).get("name") or tool.get("name") or tool.get("type") or "?")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
