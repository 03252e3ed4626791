"""The agent's own tools in a request for a chat completion, beside those of the caller. Pure."""

from __future__ import annotations

import json

from sympozium_api.json_members import compact, join_members
from sympozium_api.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sympozium_api.agent_records import OfferedTool

_TYPES_WITH_NAME = ("function", "custom")


@dataclass(frozen=True)
class Offer:
    """A request that offers the model tools of the agent."""

    request: dict[str, str]
    """Members of the body, each value as JSON text."""
    own: dict[str, OfferedTool]
    """The agent's tools, by function."""
    callers: frozenset[str]
    """Functions of the caller, who executes calls of them."""


def offer(request: dict[str, str], tools: Sequence[OfferedTool]) -> Offer | None:
    """Return the request with the agent's tools; None if it takes none, so that it is answered as by an agent without tools.

    Those are requests of several choices, of a bare ``prompt``, with legacy ``functions``, and with ``tool_choice: none``. A function
    that the caller offers too is the caller's.
    """
    takes_none = "messages" not in request or "functions" in request or _value(request, "tool_choice") == "none"
    if takes_none or _value(request, "n") not in (None, 1):
        return None
    given = _value(request, "tools") or []
    if not isinstance(given, list):
        return None  # the model server refuses it
    callers = frozenset(name for tool in given if (name := _name(tool)))
    own = {tool["function"]: tool for tool in tools if tool["function"] not in callers}
    if not own:
        return None
    return Offer(request | {"tools": appended(request.get("tools"), map(_definition, own.values()))}, own, callers)


def appended(array: str | None, texts: Any) -> str:
    """Return a JSON array as text with further items, each given as its text. None and ``null`` are empty arrays."""
    inner = (array or "null").strip()
    items = [] if inner == "null" else [inner[1:-1].strip()]
    return f"[{','.join(item for item in [*items, *texts] if item)}]"


def without_forced_choice(request: dict[str, str]) -> dict[str, str]:
    """Return a request for the next turn: a call that ``tool_choice`` forced was made, and is not forced again."""
    if _value(request, "tool_choice") in (None, "auto"):
        return request
    return {name: text for name, text in request.items() if name != "tool_choice"}


def _definition(tool: OfferedTool) -> str:
    members = {name: compact(text) for name, text in (("name", tool["function"]), ("description", tool["description"]))}
    return join_members({"type": '"function"', "function": join_members(members | {"parameters": tool["parameters"]})})


def _name(tool: Any) -> str | None:
    for kind in _TYPES_WITH_NAME:
        definition = tool.get(kind) if isinstance(tool, dict) else None
        if isinstance(definition, dict) and isinstance(definition.get("name"), str):
            name: str = definition["name"]
            return name
    return None


def _value(request: dict[str, str], name: str) -> Any:
    return json.loads(request.get(name, "null"))
