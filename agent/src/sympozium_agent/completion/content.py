"""Content and reasoning in each vendor's form, as texts. Pure."""

from __future__ import annotations

import json

from sympozium_api.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_text")
"""Fields of a delta in which vendors send the model's reasoning as text."""
_TEXT_PARTS = (None, "text", "output_text", "input_text", "text_delta")
_REASONING_PARTS = ("thinking", "reasoning", "reasoning_text", "summary_text", "reasoning.text", "thinking_delta")
_TEXT_KEYS = ("text", "thinking", "reasoning", "content", "summary", "value")
"""Fields in which a part holds its text, or further parts."""


@dataclass
class Content:
    """Content of a message or of a piece of it, sorted by kind."""

    text: str | None = None
    """None if no text was given, not even an empty one."""
    reasoning: str = ""
    refusal: str = ""
    others: list[Any] = field(default_factory=list)
    """Parts that are no text: images, references."""


def content_of(value: Any) -> Content:
    """Return content that is a text, a part, or a list of texts and parts."""
    content = Content()
    match value:
        case None:
            pass
        case str():
            content.text = value
        case list() | dict():
            for part in value if isinstance(value, list) else [value]:
                _add(content, part)
        case _:
            content.text = json.dumps(value)
    return content


def text_of(value: Any) -> str:
    """Return the text in a text, a part or a list of both; parts may hold further parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(text_of, value))
    if isinstance(value, dict):
        return next((text for key in _TEXT_KEYS if (text := text_of(value.get(key)))), "")
    return ""


def _add(content: Content, part: Any) -> None:
    if isinstance(part, str):
        content.text = (content.text or "") + part
    elif isinstance(part, dict):
        kind = part.get("type")
        if kind in _TEXT_PARTS:
            content.text = (content.text or "") + text_of(part)
        elif kind in _REASONING_PARTS:
            content.reasoning += text_of(part)
        elif kind == "refusal":
            content.refusal += text_of(part.get("refusal"))
        else:
            content.others.append(part)
    elif part is not None:
        content.others.append(part)
