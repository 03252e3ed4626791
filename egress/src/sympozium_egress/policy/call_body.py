"""Body of a tool call: ``{"id": ..., "arguments": ...}``, as an agent's pod sends it."""

import json
from dataclasses import dataclass
from typing import Any

from sympozium_api.json_members import compact

MAX_BODY_BYTES = 256 * 1024
"""Longest body."""
MAX_ID_LENGTH = 256
"""Longest id, in characters."""


class BadBody(ValueError):
    """A body that is no tool call. The message says what would be right, and holds nothing of the body."""


@dataclass(frozen=True)
class ToolCall:
    """A call as the model wrote it."""

    id: str
    """Id of the call, unique in its run."""
    text: str
    """The arguments as JSON text: the body of a webhook."""
    arguments: dict[str, Any]
    """The arguments, parsed."""


def parse_call(body: bytes) -> ToolCall:
    """Parse a body. ``arguments`` is a JSON object, or its text, whose numbers and order are kept. Raises BadBody."""
    members = _object(body, "the body")
    call_id, arguments = members.get("id"), members.get("arguments")
    if not isinstance(call_id, str) or not 0 < len(call_id) <= MAX_ID_LENGTH:
        raise BadBody(f"id must be a text of 1 to {MAX_ID_LENGTH} characters")
    if isinstance(arguments, dict):
        return ToolCall(call_id, compact(arguments), arguments)
    if not isinstance(arguments, str):
        raise BadBody("arguments must be a JSON object, or its text")
    return ToolCall(call_id, arguments, _object(arguments, "arguments"))


def _object(text: bytes | str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object_of)
    except _NameTwice:
        raise BadBody(f"{place}: a name appears twice in one object") from None
    except RecursionError:
        raise BadBody(f"{place}: nested too deeply") from None
    except ValueError:
        raise BadBody(f"{place}: not JSON") from None
    if not isinstance(value, dict):
        raise BadBody(f"{place}: not a JSON object")
    return value


class _NameTwice(Exception):
    """An object with two members of one name."""


def _object_of(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raises _NameTwice: of two members the schema sees the last one, and a webhook may take the first."""
    made = dict(members)
    if len(made) < len(members):
        raise _NameTwice
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
