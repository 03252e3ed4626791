"""Messages of an OpenAI request, edited for vendors that take fewer roles and fields than OpenAI. Pure."""

from __future__ import annotations

from sympozium_agent.providers.members import value_of
from sympozium_api.json_members import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Object = dict[str, Any]


def edited(request: dict[str, str], edit: Callable[[list[Object]], list[Object]]) -> dict[str, str]:
    """Return a request with its messages as ``edit`` returns them. Messages that are malformed stay for the server to refuse."""
    messages = value_of(request, "messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return request
    return request | {"messages": compact(edit(messages))}


def with_system_role(messages: list[Object]) -> list[Object]:
    """Return the messages with ``system`` for OpenAI's newer name of the same role, ``developer``."""
    return [message | {"role": "system"} if message.get("role") == "developer" else message for message in messages]


def needs_system_role(request: dict[str, str]) -> bool:
    """Return True if a message may have the role ``developer``. Messages without it are not parsed and written again."""
    return '"developer"' in request.get("messages", "")
