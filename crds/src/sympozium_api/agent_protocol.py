"""The protocol between an agent's pod and the agent API (port 8081), as JSON objects.

The pod asks for its task (``GET /runs/{name}/task``) and answers with records, one per line, in one open request
(``POST /runs/{name}/events``): ``started``, any number of ``delta``, ``usage`` and ``tool``, then one end record, ``done`` or
``error``.
``agent_records`` has their shapes. Standard library only, because the agent imports this module.
"""

from __future__ import annotations

import re

from sympozium_api.json_members import DECODER, compact, join_members, scan_members, scan_object, scan_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sympozium_api.agent_records import Error, ModelWords, Task
    from sympozium_api.model_refusal import ModelRefusal

MAX_RECORD_BYTES = 8 * 1024 * 1024 + 128 * 1024
"""Longest line that the agent API reads: the longest answer that a run stores, and what is around it."""

MAX_RECORDS_BYTES = 256 * 1024 * 1024
"""Most bytes of one request with records: 100,000 tokens with their log probabilities."""

END_RECORDS = ("done", "error")

UNUSED = "unused"
"""Type of the termination message of a pod that ended without a task: the pod has called no model."""

OPENAI_COMPAT = "openai_compat"
"""Provider of OpenAI-compatible model servers, also of a task that names none: replicas before 0.3.0 do not."""

HEADER_RUN = "sympozium-run"
"""Header by which an agent's pod names its run to the egress guard, as it asks for a tunnel to its model."""
HEADER_INSTANCE = "sympozium-instance"
"""Header by which an idle pod names its instance instead."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
"""Printable ASCII without blanks at its ends (RFC 9110, section 5.5). Other bytes have no encoding that peers agree on."""


def write_task(task: Task) -> str:
    """Return a task as JSON, with the request's values as they are."""
    members = {name: compact(value) for name, value in task.items() if name != "request"}
    return join_members(members | {"request": join_members(task["request"])})


def read_task(text: str) -> Task:
    """Return the task that a text is. Raises ValueError."""
    task: Any = scan_members(text, _scan_task)
    checked: Task = task
    return checked


def _scan_task(name: str, text: str, at: int) -> tuple[Any, int]:
    return scan_object(text, at, scan_text) if name == "request" else DECODER.raw_decode(text, at)


def error(kind: str, message: str, http_status: int, duration_ms: int = 0, *, words: ModelWords | None = None) -> Error:
    """Return the end record of a run that failed; ``http_status`` is the model's own if the model answered with one.

    ``message``: a sentence, or the model's own words.
    """
    return {
        "type": "error",
        "error": {"type": kind, "message": message[:4096], "httpStatus": http_status, **(words or {})},
        "durationMs": duration_ms,
    }


def error_of(kind: str, reason: str, http_status: int, duration_ms: int = 0) -> Error:
    """Return the end record of a run that failed for a reason with a text that is no sentence, such as a condition's."""
    return error(kind, sentence(reason), http_status, duration_ms)


def sentence(text: str) -> str:
    """Return a text as a sentence: with a capital, unless its first word is a name such as ``spec.model``, and a full stop."""
    text = text.rstrip()
    begins = text[:1].upper() if text.partition(" ")[0].isalpha() else text[:1]
    return begins + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def is_delta(record: dict[str, Any]) -> bool:
    """Return whether a pod's record of type ``delta`` has the shape of a Delta, as far as its readers rely on it."""
    choices, about = record.get("choices"), record.get("about")
    if not isinstance(choices, list) or not isinstance(about, dict | None):
        return False
    return all(isinstance(choice, dict) and isinstance(choice.get("delta"), dict | None) for choice in choices)


def find_unsendable(headers: Mapping[str, str]) -> str | None:
    """Return the name of the first header whose name or value HTTP cannot carry; None if there is none."""
    fields = (
        (name, _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)) for name, value in headers.items()
    )
    return next((name for name, sendable in fields if not sendable), None)


def model_error(refusal: ModelRefusal, http_status: int, *, kind: str = "model_error") -> Error:
    """Return the end record of a run whose model server answered with an error or, ``model_unreachable``, did not answer."""
    words = model_words(refusal.code, refusal.type, refusal.param, refusal.retry_after)
    return error(kind, refusal.message, http_status, words=words)


def model_words(code: str | None, type_: str | None, param: str | None, retry_after: int | None) -> ModelWords:
    """Return the fields in which an error repeats what the model server said of it; None is left out."""
    words: ModelWords = {}
    if code is not None:
        words["code"] = code
    if type_ is not None:
        words["modelType"] = type_
    if param is not None:
        words["param"] = param
    if retry_after is not None:
        words["retryAfterSeconds"] = retry_after
    return words


def plain_url(base_url: str) -> str:
    """Return a base URL as it is shown: without user info, query and fragment, which may hold a key."""
    scheme, mark, rest = base_url.partition("#")[0].partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}".rstrip("/")


def leaf_url(base_url: str, leaf: str) -> str:
    """Return the URL of a route below a model server's base URL, whose query stays at the end."""
    path, mark, query = base_url.partition("#")[0].partition("?")
    return f"{path.rstrip('/')}/{leaf}{mark}{query}"


def is_cluster_host(host: str) -> bool:
    """Return True for a host name that can only be a Service's: ``name``, ``name.namespace.svc`` and its longer forms.

    Agents whose egress is guarded reach such hosts directly, and all others through the guard: ``name.namespace`` too, because it
    cannot be told from a host in the world.
    """
    labels = host.rstrip(".").lower().split(".")
    return labels[0][:1].isalpha() and (len(labels) == 1 or (len(labels) >= 3 and labels[2] == "svc"))
