"""What an agent pod and the runs surface (port 8081) say to one another, as JSON objects.

The pod asks for its task (``GET /runs/{name}/task``) and answers with records, one per line, in one open request
(``POST /runs/{name}/events``): ``started``, any number of ``delta`` and ``usage``, then one end record, ``done`` or ``error``.
Standard library only: the agent imports this.
"""

from typing import Any, Literal, NotRequired, TypedDict

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""Longest line that the runs surface reads."""

END_RECORDS = ("done", "error")

UNUSED = "unused"
"""Type of the termination message of a pod that ended without ever having had a task: nothing was done in it."""


class ModelTarget(TypedDict):
    """Where and how the agent calls the model. Its API key is a file in the pod."""

    baseURL: str
    headers: dict[str, str]


class WarmupHints(TypedDict):
    """What the task of an idle pod will have in common with those of its instance, as far as the pod can prepare for it."""

    baseURL: str
    env: dict[str, str]


class Task(TypedDict):
    """What one pod is to do."""

    run: str
    request: dict[str, Any]
    """An OpenAI chat completion body, complete: the model's name, the system prompt first among the messages. Or, without
    ``messages``, that of a legacy completion with its ``prompt``; the records of its answer are those of a chat."""
    model: ModelTarget
    env: dict[str, str]
    timeoutSeconds: float
    """Seconds that are left until the run's deadline."""
    surface: NotRequired[str]
    """Base URL of the runs surface that holds the caller's connection, for a pod that was not told when it was made."""
    log: NotRequired[dict[str, str]]
    """Fields of every line that the agent logs, by which it is found beside the other parts' lines."""


class Started(TypedDict):
    """The agent has its task and begins; or, ``resumed``, goes on after a request in which records may have been lost."""

    type: Literal["started"]
    resumed: NotRequired[bool]


class Delta(TypedDict):
    """One chunk of the model's stream: its ``choices`` as they came."""

    type: Literal["delta"]
    choices: list[dict[str, Any]]
    about: NotRequired[dict[str, Any]]
    """What the chunk says beside its choices, e.g. ``system_fingerprint`` and ``service_tier``."""


class Usage(TypedDict):
    """The model's own count, as it came."""

    type: Literal["usage"]
    usage: dict[str, Any]


class Done(TypedDict):
    """The end of a run that succeeded: the whole answer, so that it can be stored by whoever receives it."""

    type: Literal["done"]
    choices: list[dict[str, Any]]
    """As in a chat completion: ``index``, ``message``, ``finish_reason`` and, where asked for, ``logprobs``."""
    usage: dict[str, Any]
    about: NotRequired[dict[str, Any]]
    """What the model says beside its choices and its count."""
    durationMs: int


class ErrorDetail(TypedDict):
    """Why a run did not succeed; the same fields as ``status.error`` of an AgentRun."""

    type: str
    message: str
    httpStatus: int
    code: NotRequired[str | None]


class Error(TypedDict):
    """The end of a run that failed."""

    type: Literal["error"]
    error: ErrorDetail
    durationMs: int


Record = Started | Delta | Usage | Done | Error
End = Done | Error


def error(kind: str, message: str, http_status: int, duration_ms: int = 0) -> Error:
    """The end record of a run that failed; ``http_status`` is the model's own where it answered with one."""
    return {
        "type": "error",
        "error": {"type": kind, "message": message[:4096], "httpStatus": http_status},
        "durationMs": duration_ms,
    }
