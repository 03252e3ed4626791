"""Status of an AgentRun: its phase, what came of it, and what it consumed."""

from typing import Annotated, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Conditions, OpenObject, rule, rules
from sympozium_api.json_text import JsonText
from sympozium_api.key_usage import KeyUsage
from sympozium_api.probes import Probes
from sympozium_api.resolved_model import ResolvedModel
from sympozium_api.run_times import RunTimes

Phase = Literal["Pending", "Running", "Serving", "Succeeded", "Failed", "Cancelled"]

TERMINAL_PHASES = ("Succeeded", "Failed", "Cancelled")

MAX_RESULT_BYTES = 384 * 1024
"""Most bytes that an answer takes within its run, which with a request of 1 MiB stays below etcd's 1.5 MiB per object."""
MAX_STEPS = 128
"""Most steps that a run keeps."""
MAX_STEP_ARGS = 8 * 1024
"""Longest arguments of a step, in characters."""


class RunError(ApiModel):
    """The reason why a run did not succeed."""

    type: Annotated[str, Field(max_length=64)]
    """Stable word for programs, e.g. ``model_error``, ``timeout``, ``lost``."""
    message: Annotated[str, Field(max_length=4096)]
    """Sentence for people."""
    http_status: Annotated[int, Field(ge=400, le=599)]
    """HTTP status of the model's answer if it had one, else the HTTP status that callers receive."""
    code: Annotated[str | None, Field(max_length=256)] = None
    """The model server's own word for programs, e.g. ``context_length_exceeded``. With ``model_unreachable`` the kind of failure,
    e.g. ``NameNotFound``."""
    model_type: Annotated[str | None, Field(max_length=256)] = None
    """The model server's own type of error, e.g. ``invalid_request_error``."""
    param: Annotated[str | None, Field(max_length=256)] = None
    """The field of the request that the model server refused."""
    retry_after_seconds: Annotated[int | None, Field(ge=0, le=86400)] = None
    """Seconds, from the run's end, after which the model server may accept the same request."""


class TokenUsage(ApiModel):
    """Consumption of a run."""

    input_tokens: int | None = None
    """Number of tokens of the prompts of all calls of the model. Absent if no model reported it."""
    output_tokens: int | None = None
    """Number of tokens of the model's answers. Absent if no model reported it."""
    total_tokens: int | None = None
    """Number of tokens of prompts and answers together. Absent if no model reported one."""
    tool_calls: int = 0
    """Number of calls of the agent's own tools, also of those that were refused."""
    duration_ms: int = 0
    """Milliseconds from the start of the agent's work to its end record."""


class RunStep(ApiModel):
    """One call of a model or of a tool."""

    kind: Literal["model", "tool"]
    """The kind of what was called."""
    name: Annotated[str | None, Field(max_length=64)] = None
    """Function of the tool, or ``provider:model`` of the model. Absent: the instance's model was called."""
    title: Annotated[str | None, Field(max_length=200)] = None
    """Title of the tool when it was called. Absent: the same as ``name``."""
    id: Annotated[str | None, Field(max_length=256)] = None
    """Id of the tool's call, unique in the run."""
    args: Annotated[str | None, Field(max_length=MAX_STEP_ARGS)] = None
    """Arguments of the tool's call as the model wrote them, cut after 8 KiB. Absent where the steps would take too much room."""
    started_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """Time at which the call began."""
    duration_ms: Annotated[int, Field(ge=0)] = 0
    """Milliseconds that the call took."""
    input_tokens: Annotated[int | None, Field(ge=0)] = None
    """Number of tokens of the prompt, if the model reported it."""
    output_tokens: Annotated[int | None, Field(ge=0)] = None
    """Number of tokens of the answer, if the model reported it."""
    error: Annotated[str | None, Field(max_length=512)] = None
    """The reason why the call failed or was not made."""


class RunStatus(ApiModel):
    """Observed state of an AgentRun. A terminal phase is written once, and then nothing here changes."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(oldSelf.phase) || !(oldSelf.phase in ['Succeeded','Failed','Cancelled']) || self == oldSelf",
                "the run has ended; a terminal status never changes",
            ),
            rule(
                "!has(oldSelf.start) || (has(self.start) && self.start == oldSelf.start && (self.start != 'warm'"
                " || !has(oldSelf.podName) || (has(self.podName) && self.podName == oldSelf.podName)))",
                "start is set once and cannot change, nor can the podName of a warm start",
            ),
        )
    }

    phase: Phase | None = None
    """Pending: waits for its start. Running: its pod works. Serving: its server answers. Succeeded, Failed and Cancelled are terminal."""
    start: Literal["warm", "cold"] | None = None
    """warm: an idle pod runs it. cold: a pod was created for it. Written once: at the run's end, or earlier if the decision had to be
    recorded."""
    queue_position: Annotated[int | None, Field(ge=1)] = None
    """Position in its instance's queue at the operator's last reconciliation; 1 starts next. Set only for a run that has waited for more
    than two seconds."""
    job_name: Annotated[str | None, Field(max_length=63)] = None
    """The only Job of the run."""
    pod_name: Annotated[str | None, Field(max_length=253)] = None
    """Pod that runs, or ran, the agent."""
    deployment_name: Annotated[str | None, Field(max_length=63)] = None
    """Deployment of a run in mode server."""
    service_name: Annotated[str | None, Field(max_length=63)] = None
    """Service of a run in mode server."""
    started_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """Time at which the agent's pod began to run, or an idle pod was bound to the run."""
    completed_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """Time at which the run ended."""
    duration: Annotated[str | None, Field(max_length=16)] = None
    """Time from acceptance to end, as text: ``14ms``, ``1.4s``, ``2m05s``, ``1h02m``."""
    times: RunTimes | None = None
    """Moments of the run. Written with the terminal status, ``jobAt`` earlier if the run was reported as running."""
    model: Annotated[str | None, Field(max_length=256)] = None
    """Name of the model that answered, or that was asked last."""
    target: ResolvedModel | None = None
    """Model that the run asks, as resolved from the Provider that ``spec.model`` names. Absent of any other run."""
    result: Annotated[str | None, Field(max_length=MAX_RESULT_BYTES)] = None
    """Text of the answer. Absent if the answer is in parts."""
    finish_reason: Annotated[str | None, Field(max_length=64)] = None
    """Reason why the model stopped: ``stop``, ``length``, ``tool_calls``, ``content_filter``."""
    answer: JsonText | None = None
    """The part of the answer that ``result``, ``finishReason`` and ``tokenUsage`` cannot hold, in OpenAI's form: ``choices`` if
    there are tool calls or several choices, ``usage`` if it has more than three counts, and the other fields as ``about``. An answer
    that does not fit into the run is here as a whole, in ``parts``."""
    answer_bytes: Annotated[int | None, Field(ge=0, le=MAX_RESULT_BYTES)] = None
    """Bytes that ``result`` and ``answer`` take within the run. Absent below 4 KiB, and if the answer is in parts."""
    choices: Annotated[list[OpenObject] | None, Field(max_length=128)] = None
    """As ``choices`` of ``answer``, in runs that ended before 0.3.0."""
    details: OpenObject | None = None
    """As ``usage`` and ``about`` of ``answer``, in runs that ended before 0.3.0."""
    steps: Annotated[list[RunStep] | None, Field(max_length=MAX_STEPS)] = None
    """Calls of models and of tools, in the order in which they ended. Absent of a run without tools whose first call was answered."""
    error: RunError | None = None
    """The reason why the run did not succeed."""
    token_usage: TokenUsage | None = None
    """Consumption of the run."""
    conditions: Conditions = []
    """Reconciling: the run has not ended. Complete, Failed, Stalled: the end of a run in mode task. Accepted: the spec is valid and
    supported. Started: the server's pods could be started. KeyLimitsValid: the limits of API keys, in mode server."""
    probes: Probes | None = None
    """Results of the web-proxy's latest checks of the model server and the issuer. Mode server only."""
    key_usage: KeyUsage | None = None
    """Tokens of today by API key. Web-proxies write it for keys with a budget, in mode server only."""
