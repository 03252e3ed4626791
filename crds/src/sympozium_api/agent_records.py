"""Shapes of what an agent's pod and the agent API send each other, as JSON objects: the task, and the records of its run.

``agent_protocol`` has the functions and the course of it. The agent imports this module for type checkers only, because the
import of ``typing`` is latency in each pod.
"""

from typing import Any, Literal, NotRequired, TypedDict


class ModelTarget(TypedDict):
    """The model server and how the agent calls it. The API key is a file in the pod."""

    baseURL: str
    headers: dict[str, str]
    """Headers of each call, none of which ``find_unsendable`` returns."""
    provider: NotRequired[str]
    """Name of the dialect that the server speaks. Default: OPENAI_COMPAT."""
    field: NotRequired[str]
    """Field that sets the address, for messages: ``spec.agents.default.baseURL``, or the run's ``spec.model.baseURL``."""


class WarmupHints(TypedDict):
    """The part of the instance's tasks that is known in advance, so that an idle pod can prepare for its task."""

    baseURL: str
    env: dict[str, str]
    provider: NotRequired[str]


class Task(TypedDict):
    """The work of one pod."""

    run: str
    request: dict[str, str]
    """A complete OpenAI chat completion body: the model's name, and the system prompt first among the messages. Without
    ``messages`` it is the body of a legacy completion with its ``prompt``; its answer's records are those of a chat.

    Each member's value is JSON text, which the agent sends to the model as it is. On the wire the request is an object."""
    model: ModelTarget
    env: dict[str, str]
    timeoutSeconds: float
    """Seconds left until the run's deadline."""
    surface: NotRequired[str]
    """Base URL of the replica that holds the caller's connection, for a pod that was created before its run."""
    log: NotRequired[dict[str, str]]
    """Fields of every line that the agent logs, the same as in the other processes' lines about the run."""


class Started(TypedDict):
    """The agent begins its task; or, ``resumed``, continues after a request in which records may have been lost."""

    type: Literal["started"]
    resumed: NotRequired[bool]


class Delta(TypedDict):
    """One chunk of the model's stream: its ``choices`` as they came."""

    type: Literal["delta"]
    choices: list[dict[str, Any]]
    about: NotRequired[dict[str, Any]]
    """The chunk's other fields, e.g. ``system_fingerprint`` and ``service_tier``."""


class Usage(TypedDict):
    """The model's own count of tokens, as it came."""

    type: Literal["usage"]
    usage: dict[str, Any]


class Done(TypedDict):
    """The end of a run that succeeded: the whole answer, so that any replica can store it."""

    type: Literal["done"]
    choices: list[dict[str, Any]]
    """As in a chat completion: ``index``, ``message``, ``finish_reason`` and, where asked for, ``logprobs``."""
    usage: dict[str, Any]
    about: NotRequired[dict[str, Any]]
    """The answer's other fields, merged from all chunks."""
    durationMs: int


class ModelWords(TypedDict):
    """The model server's own fields of its error."""

    code: NotRequired[str]
    """The model server's own word for programs."""
    modelType: NotRequired[str]
    """The model server's own type of error."""
    param: NotRequired[str]
    """The field of the request that the model server refused."""
    retryAfterSeconds: NotRequired[int]
    """Seconds after which the model server may accept the same request."""


class RunErrorDetail(ModelWords):
    """The reason why a run did not succeed; the same fields as ``status.error`` of an AgentRun."""

    type: str
    message: str
    httpStatus: int


class Error(TypedDict):
    """The end of a run that failed."""

    type: Literal["error"]
    error: RunErrorDetail
    durationMs: int


Record = Started | Delta | Usage | Done | Error
End = Done | Error
