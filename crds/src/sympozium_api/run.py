"""AgentRun: one request to an agent, or the server behind an instance's web endpoint. The run is the truth."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from sympozium_api import names
from sympozium_api.base import ApiModel, Conditions, Duration, Name, OpenObject, Resource, rule, rules
from sympozium_api.instance import SkillRef

Phase = Literal["Pending", "Running", "Serving", "Succeeded", "Failed", "Cancelled"]

TERMINAL_PHASES = ("Succeeded", "Failed", "Cancelled")

NOT_ENDED = ",".join(f"status.phase!={phase}" for phase in TERMINAL_PHASES)
"""Field selector of the runs that are worth watching: one that ends leaves the selection, which is an event."""
ENDED = ",".join(f"status.phase!={phase}" for phase in ("", *get_args(Phase)) if phase not in TERMINAL_PHASES)
"""Field selector of all the others."""

MAX_RESULT_BYTES = 384 * 1024
"""Longest answer that a run stores, in bytes of UTF-8: with a request of 1 MiB it stays below etcd's 1.5 MiB per object."""


class RunModel(ApiModel):
    """A model other than the instance's own."""

    provider: Annotated[str | None, Field(max_length=63)] = None
    """The provider, which selects among the instance's ``authRefs``."""
    model: Annotated[str | None, Field(max_length=256)] = None
    """The model's name, as the model server knows it."""
    base_url: Annotated[str | None, Field(alias="baseURL", max_length=2048, pattern=r"^https?://")] = None
    """Base URL of an OpenAI-compatible API."""
    auth_secret_ref: Name | None = None
    """A Secret in the same namespace with the model's API key."""


class ToolPolicy(ApiModel):
    """Which tools the agent may call."""

    allow: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=128)] = []
    """Tools that may be called; empty: all."""
    deny: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=128)] = []
    """Tools that may not be called."""


class Claim(ApiModel):
    """An idle pod of the instance's warm pool that a run is given to."""

    job_name: Annotated[str, Field(max_length=63)]
    """The pod's Job, which becomes the run's."""
    pod_name: Annotated[str, Field(max_length=253)]
    """The pod."""


def _immutable(*fields: str) -> dict[str, str]:
    """A transition rule: none of these fields ever changes, appears or goes."""
    same = "(has(self.{0}) == has(oldSelf.{0}) && (!has(self.{0}) || self.{0} == oldSelf.{0}))"
    return rule(
        " && ".join(same.format(field) for field in fields),
        "spec is immutable but for cancel; make another AgentRun instead",
    )


class RunSpec(ApiModel):
    """What an AgentRun asks for. It never changes, but for ``cancel``."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "self.mode != 'task' || has(self.task) != has(self.request)",
                "a run in mode task needs exactly one of task and request",
            ),
            rule(
                "self.mode != 'server' || !(has(self.task) || has(self.request))",
                "a run in mode server has neither task nor request",
            ),
            _immutable(
                *("agentRef", "mode", "task", "request", "response", "systemPrompt", "model"),
                *("skills", "toolPolicy", "timeout", "sessionKey", "parent", "claim"),
            ),
            rule(
                "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
                "cancel cannot be taken back",
            ),
        )
    }

    agent_ref: Annotated[str, Field(min_length=1, max_length=40)]
    """The SympoziumInstance, in the same namespace, whose agent answers."""
    mode: Literal["task", "server"] = "task"
    """task: one answer from a pod of its own. server: the web endpoint of an instance; the operator makes these."""
    task: Annotated[str | None, Field(min_length=1, max_length=262144)] = None
    """What the agent is asked, as plain text."""
    request: OpenObject | None = None
    """What the agent is asked, as the body of an OpenAI chat completion: messages, sampling, tools; or of a legacy completion: prompt."""
    response: OpenObject | None = None
    """Of a run that is a response of OpenAI's Responses API: what its caller asked beside the conversation, to be told again."""
    system_prompt: Annotated[str | None, Field(max_length=65536)] = None
    """A system message in place of the instance's own."""
    model: RunModel | None = None
    """Another model than the instance's."""
    skills: Annotated[list[SkillRef], Field(max_length=32)] = []
    """Skills of this run. This version refuses a run in mode task that names any: it has its instance's."""
    tool_policy: ToolPolicy | None = None
    """Which tools the agent may call. This version refuses a run in mode task that has it: its agents have none of their own."""
    timeout: Duration | None = None
    """How long the run may take. Default: the instance's ``runTimeout``."""
    cancel: bool = False
    """Set to true to end the run."""
    session_key: Annotated[str | None, Field(max_length=253)] = None
    """Runs of one conversation share it."""
    parent: Name | None = None
    """The run that started this one."""
    claim: Claim | None = None
    """The idle pod that does the run, if it was made for one. The web-proxy that the pod waits at sets it."""


class RunError(ApiModel):
    """Why a run did not succeed."""

    type: Annotated[str, Field(max_length=64)]
    """A stable word for programs, e.g. ``model_error``, ``timeout``, ``lost``."""
    message: Annotated[str, Field(max_length=4096)]
    """A sentence for people."""
    http_status: Annotated[int, Field(ge=400, le=599)]
    """The model's own status where it answered with one, else the status that callers get."""


class TokenUsage(ApiModel):
    """What a run cost."""

    input_tokens: int = 0
    """Tokens of the prompt."""
    output_tokens: int = 0
    """Tokens of the answer."""
    total_tokens: int = 0
    """Both."""
    tool_calls: int = 0
    """Tools that the agent called."""
    duration_ms: int = 0
    """Milliseconds from the agent's start to its end record."""


class RunStatus(ApiModel):
    """What became of an AgentRun. A terminal phase is written once; after it nothing here changes."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(oldSelf.phase) || !(oldSelf.phase in ['Succeeded','Failed','Cancelled']) || self == oldSelf",
                "the run has ended; a terminal status never changes",
            ),
            rule(
                "!has(oldSelf.start) || (has(self.start) && self.start == oldSelf.start && (self.start != 'warm'"
                " || !has(oldSelf.podName) || (has(self.podName) && self.podName == oldSelf.podName)))",
                "how a run starts is decided once",
            ),
        )
    }

    phase: Phase | None = None
    """Pending: waits. Running: its pod works. Serving: its server answers. The others are terminal."""
    start: Literal["warm", "cold"] | None = None
    """warm: an idle pod does the run. cold: a pod is made for it. Written once, at the end unless it had to be decided before."""
    queue_position: Annotated[int | None, Field(ge=1)] = None
    """Place in the line of its instance when the operator last looked, the next one to start being 1; only for a run that has
    waited for more than two seconds."""
    job_name: Annotated[str | None, Field(max_length=63)] = None
    """The run's only Job."""
    pod_name: Annotated[str | None, Field(max_length=253)] = None
    """The pod that runs, or ran, the agent."""
    deployment_name: Annotated[str | None, Field(max_length=63)] = None
    """The Deployment of a run in mode server."""
    service_name: Annotated[str | None, Field(max_length=63)] = None
    """The Service of a run in mode server."""
    started_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """When the agent's pod began to run."""
    completed_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """When the run ended."""
    result: Annotated[str | None, Field(max_length=MAX_RESULT_BYTES)] = None
    """The answer's text."""
    finish_reason: Annotated[str | None, Field(max_length=64)] = None
    """Why the model stopped: ``stop``, ``length``, ``tool_calls``, ``content_filter``."""
    choices: Annotated[list[OpenObject] | None, Field(max_length=128)] = None
    """The answer's choices in OpenAI's form, where ``result`` cannot hold all of it: tool calls, or more than one choice."""
    details: OpenObject | None = None
    """What else the model said of its answer, in OpenAI's form: ``usage`` where it has more than three counts,
    ``system_fingerprint``, ``service_tier``."""
    error: RunError | None = None
    """Why the run did not succeed."""
    token_usage: TokenUsage | None = None
    """What the run cost."""
    conditions: Conditions = []
    """Accepted: the run can be started. Started: its pod could be started."""


class AgentRun(Resource):
    """One request to an agent and its answer, or (mode server) the server behind an instance's web endpoint."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                f"self.metadata.name.matches('^{names.DNS_LABEL}$')",
                "metadata.name must be at most 63 characters of a-z, 0-9 and -",
            ),
            rule("!has(oldSelf.status) || has(self.status)", "status cannot be removed"),
        )
    }

    spec: RunSpec
    status: RunStatus = RunStatus()

    @property
    def ended(self) -> bool:
        """Whether the run has its terminal status."""
        return self.status.phase in TERMINAL_PHASES

    @property
    def accepted_at(self) -> str:
        """When the run came, as a text that sorts by time: as its web-proxy wrote it, within the second of its creation."""
        created = self.metadata.creation_timestamp
        accepted = self.metadata.annotations.get(names.ANNOTATION_ACCEPTED_AT, "")
        return max(created.replace("Z", ".000000Z"), min(accepted, created))  # "." sorts before "Z"

    @property
    def claimed_pod(self) -> str | None:
        """The pod of the warm pool that does the run; None: a pod is made for it, or nothing is decided yet."""
        if self.status.start == "cold":
            return None
        if self.spec.claim:
            return self.spec.claim.pod_name
        return self.status.pod_name if self.status.start == "warm" else None

    @property
    def job_name(self) -> str:
        """The run's only Job, whether it is there yet or not."""
        pod = self.claimed_pod
        return names.job_of_pod(pod) if pod else names.job(self.metadata.name, self.metadata.uid)

    @property
    def start_kind(self) -> str:
        """``status.start`` as it is to be written at the run's end."""
        return "warm" if self.claimed_pod else "cold"

    def is_assigned_to(self, pod: str) -> bool:
        """Whether a pod of this name is the run's: the claimed one, or one of the Job that is made for it."""
        return pod == self.claimed_pod if self.claimed_pod else names.is_pod_of_job(pod, self.job_name)
