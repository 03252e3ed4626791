"""Question of a run, whichever field of its spec holds it, and what a response repeats of it. Pure.

Whoever may create runs may write these fields, so nothing here trusts a text.
"""

import json
from typing import Any

from sympozium_api.controlled_members import find_misspelt
from sympozium_api.json_members import DECODER, MAX_MEMBERS, RefusedObject, compact, member_texts
from sympozium_api.json_text import JsonText, TextError
from sympozium_api.run import AgentRun


def request_members(run: AgentRun) -> dict[str, str]:
    """Return the members of a run's request, each value as JSON text. Raises TextError."""
    spec = run.spec
    if spec.request_text is not None:
        field = "spec.requestText"
        members = _member_texts(spec.request_text.read(field), field)
    else:
        field = "spec.request"
        request = spec.request or {"messages": [{"role": "user", "content": spec.task}]}
        if len(request) > MAX_MEMBERS:
            raise TextError(f"{field}: it has more than {MAX_MEMBERS} members")
        members = {name: compact(value) for name, value in request.items()}
    if found := find_misspelt(members):
        raise TextError(f"{field}: it has the name '{found[1]}' in another case, which some model servers take for it")
    return members


def _member_texts(text: str, field: str) -> dict[str, str]:
    try:
        return member_texts(text)
    except RefusedObject as error:
        raise TextError(f"{field}: {error}") from None
    except (ValueError, RecursionError):
        raise TextError(f"{field}: the text is not a JSON object") from None


def request(run: AgentRun) -> dict[str, Any]:
    """Return a run's request; {} for a run that has none. Raises TextError."""
    return _object(run.spec.request_text, "spec.requestText") or run.spec.request or {}


def response(run: AgentRun) -> dict[str, Any]:
    """Return what a run keeps for its response; {} for a run that is no response. Raises TextError."""
    return _object(run.spec.response_text, "spec.responseText") or run.spec.response or {}


def _object(text: JsonText | None, field: str) -> dict[str, Any] | None:
    return None if text is None else json_object(text.read(field), field)


def json_object(text: str, field: str) -> dict[str, Any]:
    """Return the object that a text is. ``field`` is the path that the error names. Raises TextError."""
    try:
        value = DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair could be told to nobody
    except RefusedObject as error:
        raise TextError(f"{field}: {error}") from None
    except (ValueError, RecursionError):
        raise TextError(f"{field}: the text is not JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise TextError(f"{field}: the text is not a JSON object")
    return value
