"""Members of a request, whose values are JSON texts, as a dialect reads, renames and refuses them. Pure."""

from __future__ import annotations

import json

from sympozium_agent.loop import ModelError
from sympozium_api.model_refusal import ModelRefusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Object = dict[str, Any]

OUTPUT_TOKENS = ("max_completion_tokens", "max_tokens")
"""Names of the largest number of an answer's tokens; the first that a request has counts."""
NOTES = frozenset(
    ("user", "store", "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "stream_options")
)
"""Members that are notes for OpenAI's own services and change no answer. Dialects without them leave them out."""


def unsupported(field: str, reason: str) -> ModelError:
    """Return the error of a request with a field that a dialect cannot say. ``reason`` is a sentence without its subject."""
    refusal = ModelRefusal(f"{field} {reason}", code="unsupported_parameter", type="invalid_request_error", param=field)
    return ModelError(refusal, 400)


def value_of(request: Mapping[str, str], name: str) -> Any:
    """Return a member's value, None if there is none. Raises ModelError with status 400 for one that Python cannot hold."""
    try:
        return json.loads(request.get(name, "null"))
    except (ValueError, RecursionError) as failure:
        raise unsupported(name, "is too large or too deep to be read.") from failure


def values_of(request: Mapping[str, str], known: Iterable[str], vendor: str) -> Object:
    """Return the members' values without nulls and NOTES. Raises ModelError with status 400 for a member that is not ``known``."""
    values = {name: value_of(request, name) for name in request if name not in NOTES or name in known}
    sent = {name: value for name, value in values.items() if value is not None}
    if strangers := [name for name in sent if name not in known]:
        raise unsupported(strangers[0], f"is not supported by {vendor}'s API.")
    return sent


def refuse(request: Mapping[str, str], names: Iterable[str], vendor: str) -> None:
    """Raise ModelError with status 400 if a request has a member that a vendor would ignore."""
    for name in names:
        if value_of(request, name) not in (None, False, {}):
            raise unsupported(name, f"is not supported by {vendor}'s API.")


def refuse_several(request: Mapping[str, str], vendor: str) -> None:
    """Raise ModelError with status 400 if a request asks for several choices."""
    if value_of(request, "n") not in (None, 1):
        raise unsupported("n", f"must be 1, because {vendor}'s API gives one choice.")


def refuse_bare_prompt(values: Object, vendor: str) -> None:
    """Raise ModelError with status 400 for a request without messages."""
    if "messages" not in values:
        raise unsupported("messages", f"is needed, because {vendor}'s API completes no bare prompt.")


def stops_of(values: Object) -> Any:
    """Return the list of texts at which an answer ends; None: the request has none."""
    stop = values.get("stop")
    return [stop] if isinstance(stop, str) else stop


def most_tokens_of(values: Object) -> Any:
    """Return the largest number of an answer's tokens; None: the request has none."""
    return next((values[name] for name in OUTPUT_TOKENS if name in values), None)


def without(request: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return a request without these members."""
    left_out = frozenset(names)
    return {name: text for name, text in request.items() if name not in left_out}


def renamed(request: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    """Return a request with a member under another name, unless it has one of that name or the member is null."""
    if request.get(old, "null") == "null" or request.get(new, "null") != "null":
        return without(request, [old])
    return without(request, [old, new]) | {new: request[old]}
