"""The text of a message of a request, whose content tenants write as they like. Pure."""

from collections.abc import Mapping
from typing import Any


def content_text(content: Any) -> str:
    """Return the text of a message's content; parts that are no text are named."""
    if isinstance(content, str):
        return content
    return "\n".join(map(_part_text, content)) if isinstance(content, list) else ""


def _part_text(part: Any) -> str:
    if not isinstance(part, Mapping):
        return "[part]"
    for name in ("text", "refusal"):
        if isinstance(part.get(name), str):
            return str(part[name])
    return f"[{part.get('type') or 'part'}]"
