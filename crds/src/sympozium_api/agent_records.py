"""Shapes of what an agent's pod and the agent API send each other, as JSON objects: the task, and the records of its run.

``agent_protocol`` has the functions and the course of it. The agent imports this module for type checkers only, because the
import of ``typing`` is latency in each pod.
"""

from typing import Any, Literal, NotRequired, TypedDict


class ModelTarget(TypedDict):
    """A model server and how the agent calls it. The API key is a file in the pod."""

    baseURL: str
    headers: dict[str, str]
    """Headers of each call, none of which ``find_unsendable`` returns."""
    provider: NotRequired[str]
    """Name of the dialect that the server speaks. Default: OPENAI_COMPAT."""
    field: NotRequired[str]
    """Field that sets the address, for messages: ``spec.agents.default.baseURL``, or the run's ``spec.model.baseURL``."""
    name: NotRequired[str]
    """Model to ask for. Absent: the request's ``model``."""
    apiVersion: NotRequired[str]
    """Version of the dialect, for servers whose address has one: Azure's ``api-version``."""
    key: NotRequired[str]
    """Folder below ``environment.PROVIDER_KEYS_DIR`` with the server's API key, and below ``environment.PROVIDER_HEADERS_DIR`` with
    its secret headers. Absent: one of ``environment.PROVIDER_KEY_FILES``."""
    title: NotRequired[str]
    """The model in messages and steps: ``provider:model``. Absent: the model's name."""


class WarmupHints(TypedDict):
    """The part of the instance's tasks that is known in advance, so that an idle pod can prepare for its task."""

    baseURL: str
    env: dict[str, str]
    provider: NotRequired[str]
    tools: NotRequired[bool]
    """True if the instance's agent has tools."""


class OfferedTool(TypedDict):
    """One tool that the agent may call, as ``agent_document.OfferedTool``."""

    function: str
    title: NotRequired[str]
    """Name of the tool for people, which its steps have too. Absent: the function's."""
    description: str
    parameters: str
    """JSON text of the arguments' schema."""
    baseUrl: str
    """Base URL of the process that carries out the calls: ``POST {baseUrl}/runs/{run}/tools/{function}``."""
    timeoutMs: int


class Limits(TypedDict):
    """Limits of a run with tools. Absent: no limit."""

    iterations: NotRequired[int]
    """Most calls of the model."""
    toolCalls: NotRequired[int]
    """Most calls of tools."""
    inputTokens: NotRequired[int]
    """Most tokens that all calls of the model together may read."""
    outputTokens: NotRequired[int]
    """Most tokens that all calls of the model together may write."""


class Tools(TypedDict):
    """The part of a task that an agent with tools gets."""

    tools: NotRequired[list[OfferedTool]]
    """Tools that the agent itself calls. Absent: it calls the model once."""
    limits: NotRequired[Limits]
    """Limits of a run with ``tools``."""


class Task(Tools):
    """The work of one pod."""

    run: str
    request: dict[str, str]
    """A complete OpenAI chat completion body: the model's name, and the system prompt first among the messages. Without
    ``messages`` it is the body of a legacy completion with its ``prompt``; its answer's records are those of a chat.

    Each member's value is JSON text, which the agent sends to the model as it is. On the wire the request is an object."""
    model: ModelTarget
    fallbacks: NotRequired[list[ModelTarget]]
    """Models that are asked in turn while those before them do not answer. Each has its ``name``."""
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


class ToolRecord(TypedDict):
    """The begin or the end of a call of one of the agent's own tools."""

    type: Literal["tool"]
    state: Literal["started", "ended"]
    id: str
    """Id of the call, unique in its run."""
    function: str
    isError: NotRequired[bool]
    """Of a call that has ended: true if it failed or was refused."""


class Step(TypedDict):
    """One call of a run with tools, as ``status.steps`` of an AgentRun has it."""

    kind: Literal["model", "tool"]
    name: NotRequired[str]
    """Function of a tool, or ``title`` of the model that was asked. Absent: the run's model."""
    title: NotRequired[str]
    """Name of a tool for people. Absent: the function's."""
    id: NotRequired[str]
    """Id of a tool's call."""
    args: NotRequired[str]
    """Arguments of a tool's call, as the model wrote them, up to 8 KiB."""
    startedAt: str
    durationMs: int
    inputTokens: NotRequired[int]
    """Tokens of the prompt, if the model reported them."""
    outputTokens: NotRequired[int]
    """Tokens of the answer, if the model reported them."""
    error: NotRequired[str]
    """The reason why the call failed or was not made."""


class Steps(TypedDict):
    """The course of a run, in its end record."""

    model: NotRequired[str]
    """Name of the model that answered or, of a run that failed, that was asked last. Absent: the request's."""
    steps: NotRequired[list[Step]]
    """Calls of a run with tools, or of one in which a call of a model was repeated."""
    toolCalls: NotRequired[int]
    """Number of calls of the agent's own tools."""


class Done(Steps):
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


class Error(Steps):
    """The end of a run that failed."""

    type: Literal["error"]
    error: RunErrorDetail
    durationMs: int
    usage: NotRequired[dict[str, Any]]
    """Sum of the model's counts of tokens, of a run with tools."""


Record = Started | Delta | Usage | ToolRecord | Done | Error
End = Done | Error
