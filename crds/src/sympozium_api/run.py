"""AgentRun: one request to an agent, or the server behind an instance's web endpoint. The AgentRun is the source of truth."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field
from pydantic.alias_generators import to_snake

from sympozium_api import names
from sympozium_api.base import (
    HTTP_URL,
    ApiModel,
    Duration,
    Name,
    OpenObject,
    Resource,
    in_progress,
    rule,
    rules,
)
from sympozium_api.instance import SkillRef
from sympozium_api.json_text import JsonText
from sympozium_api.model_params import ModelParams
from sympozium_api.run_status import TERMINAL_PHASES, RunStatus
from sympozium_api.timestamps import within_second

_CONTENTS = {
    "spec": ("task", "request", "requestText", "response", "responseText", "systemPrompt"),
    "status": ("result", "answer", "choices", "details", "steps"),
}
"""Fields that hold questions and answers: up to 1.5 MB per run."""
_CONTENT_ATTRIBUTES = {part: tuple(map(to_snake, fields)) for part, fields in _CONTENTS.items()}
"""The same fields by the names of their attributes."""
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation in which ``kubectl apply`` keeps a copy of the whole object."""

QUESTION_BYTES, ANSWER_BYTES, ENDED_AT = "Question bytes", "Answer bytes", "Ended"
"""Columns of ``kubectl get runs -o wide``, by which the operator knows ended runs without their contents."""


class RunModel(ApiModel):
    """A model other than the instance's."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "!has(self.providerRef) || !(has(self.provider) || has(self.baseURL) || has(self.authSecretRef))",
                "providerRef excludes provider, baseURL and authSecretRef: its Provider has address and key",
            )
        )
    }

    provider_ref: Name | None = None
    """Provider in the same namespace that has the model, even if one of the instance's ``authRefs`` has the same name. The instance's
    ``fallbackModels`` are not asked. A run that names the instance's own Provider may take an idle pod."""
    provider: Annotated[str | None, Field(max_length=63)] = None
    """One of the instance's ``authRefs``, which selects the key; with ``authSecretRef`` the name of the key in that Secret. Otherwise a
    Provider in the same namespace, which then has the model. The instance's ``fallbackModels`` are not asked."""
    model: Annotated[str | None, Field(max_length=256)] = None
    """Name of the model at the model server."""
    base_url: Annotated[Annotated[str, Field(max_length=2048), HTTP_URL] | None, Field(alias="baseURL")] = None
    """Base URL of an OpenAI-compatible API. At another address than the instance's, a run has none of the instance's keys and
    ``providerHeaders``."""
    auth_secret_ref: Name | None = None
    """Secret in the same namespace that holds the model's API key: one of the instance's ``authRefs``, for the instance's address
    only, or a Secret with the label ``sympozium.ai/model-key: "true"``. A Secret with callers' API keys is always refused."""


class ToolPolicy(ApiModel):
    """Tools that the agent may call in this run, of those that its instance has."""

    allow: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=128)] = []
    """Functions of tools that the agent may call, with ``*``, ``?`` and ``[...]`` as patterns. Empty: all."""
    deny: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=128)] = []
    """Functions of tools that the agent may not call, with the same patterns. ``deny`` wins over ``allow``."""


class RunCaller(ApiModel):
    """The caller for whom a run was created, as its door authenticated it."""

    user: Annotated[str | None, Field(max_length=253)] = None
    """Name of the caller."""
    scopes: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=64)] = []
    """Rights of the caller, e.g. ``tools:write``."""


class Claim(ApiModel):
    """An idle pod of the instance's warm pool that is bound to a run."""

    job_name: Annotated[str, Field(max_length=63)]
    """Job of the pod. It becomes the run's Job."""
    pod_name: Annotated[str, Field(max_length=253)]
    """Name of the pod."""


def _immutable(*fields: str) -> dict[str, str]:
    """Return the transition rule that none of these fields changes, appears or disappears."""
    same = "(has(self.{0}) == has(oldSelf.{0}) && (!has(self.{0}) || self.{0} == oldSelf.{0}))"
    return rule(
        " && ".join(same.format(field) for field in fields),
        "spec is immutable except for cancel; create another AgentRun instead",
    )


class RunSpec(ApiModel):
    """Desired run. Immutable, except for ``cancel``."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                "self.mode != 'task' || (has(self.task) ? 1 : 0) + (has(self.request) ? 1 : 0)"
                " + (has(self.requestText) ? 1 : 0) == 1",
                "a run in mode task needs exactly one of task, request and requestText",
            ),
            rule(
                "self.mode != 'server' || !(has(self.task) || has(self.request) || has(self.requestText))",
                "a run in mode server must have none of task, request and requestText",
            ),
            rule("!(has(self.response) && has(self.responseText))", "response and responseText exclude each other"),
            _immutable(
                *("agentRef", "mode", "task", "request", "requestText", "response", "responseText"),
                *(
                    "systemPrompt",
                    "model",
                    "params",
                    "skills",
                    "toolPolicy",
                    "timeout",
                    "sessionKey",
                    "parent",
                    "claim",
                    "caller",
                ),
            ),
            rule(
                "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
                "cancel cannot be set back to false",
            ),
            rule(
                "self.mode != 'server' || !(has(self.cancel) && self.cancel) || (has(oldSelf.cancel) && oldSelf.cancel)",
                "a run in mode server cannot be cancelled; switch its instance's web endpoint off instead",
            ),
        )
    }

    agent_ref: Annotated[str, Field(min_length=1, max_length=40)]
    """SympoziumInstance in the same namespace whose agent answers."""
    mode: Literal["task", "server"] = "task"
    """task: one answer from a pod of its own. server: the web endpoint of an instance, created by the operator."""
    task: Annotated[str | None, Field(min_length=1, max_length=262144)] = None
    """Question to the agent, as plain text."""
    request: OpenObject | None = None
    """Question to the agent, as the body of an OpenAI chat completion (messages, sampling, tools) or of a legacy completion (prompt).
    Kubernetes sorts its keys and rewrites its numbers; ``requestText`` keeps both."""
    request_text: JsonText | None = None
    """The same as ``request``, as JSON text that reaches the model as it is. Web-proxies write this field."""
    response: OpenObject | None = None
    """As ``responseText``, in runs that web-proxies before 0.3.0 created."""
    response_text: JsonText | None = None
    """For a response of OpenAI's Responses API: the caller's parameters beside the conversation, which the response repeats."""
    system_prompt: Annotated[str | None, Field(max_length=65536)] = None
    """System message that replaces the instance's. Empty: there is none."""
    model: RunModel | None = None
    """Model that replaces the instance's."""
    params: ModelParams | None = None
    """Sampling parameters that replace the instance's. Empty: there are none."""
    skills: Annotated[list[SkillRef], Field(max_length=32)] = []
    """Skills of this run. Not supported by this version: it refuses a run in mode task that sets them.
    A run has its instance's skills."""
    tool_policy: ToolPolicy | None = None
    """Tools that the agent may call in this run, of those that its instance has. Absent: all of them."""
    timeout: Duration | None = None
    """Longest duration of the run, from the time at which its pod has a node to its end. Default: the instance's ``runTimeout``."""
    cancel: bool = False
    """True ends the run. It cannot be set back to false."""
    session_key: Annotated[str | None, Field(max_length=253)] = None
    """Key that the runs of one conversation share. The console sets it: each of its runs with a key continues the one before."""
    parent: Name | None = None
    """Run that started this run. This version stores it and does not read it."""
    caller: RunCaller | None = None
    """Caller for whom the run was created. Absent: nobody's rights are checked beyond the agent's own."""
    claim: Claim | None = None
    """Idle pod that is bound to the run when the run is created. The web-proxy at which the pod waits sets it."""


class AgentRun(Resource):
    """One request to an agent and its answer or, in mode server, the server behind an instance's web endpoint."""

    model_config = {
        "json_schema_extra": rules(
            rule(
                f"self.metadata.name.matches('^{names.DNS_LABEL}$')",
                "metadata.name must be at most 63 characters of a-z, 0-9 and -",
                field=".metadata.name",
            ),
            rule("!has(oldSelf.status) || has(self.status)", "status cannot be removed"),
        )
    }

    spec: RunSpec
    status: Annotated[RunStatus, in_progress("NotEnded", "the run has not ended")] = RunStatus()

    @property
    def instance_key(self) -> tuple[str, str]:
        """Namespace and name of the run's instance."""
        return self.metadata.namespace, self.spec.agent_ref

    @property
    def ended(self) -> bool:
        """True if the run has its terminal status."""
        return self.status.phase in TERMINAL_PHASES

    @property
    def has_contents(self) -> bool:
        """True if this is a run in mode task with its question; False after ``without_contents``."""
        return any(part is not None for part in (self.spec.task, self.spec.request, self.spec.request_text))

    @property
    def has_parts(self) -> bool:
        """True if a text of the question is in AgentRunParts that were not read, or are not there."""
        texts = (self.spec.request_text, self.spec.response_text)
        return any(text is not None and text.parts is not None and text.text is None for text in texts)

    def without_contents(self) -> Self:
        """Return the run without question and answer, as it can be kept for as long as the run takes."""
        slim: dict[str, ApiModel] = {}
        for part, contents in _CONTENT_ATTRIBUTES.items():
            model: ApiModel = getattr(self, part)
            if held := [name for name in contents if getattr(model, name) is not None]:
                slim[part] = model.model_copy(update=dict.fromkeys(held))
        if _LAST_APPLIED in self.metadata.annotations:
            annotations = {name: text for name, text in self.metadata.annotations.items() if name != _LAST_APPLIED}
            slim["metadata"] = self.metadata.model_copy(update={"annotations": annotations})
        return self.model_copy(update=slim) if slim else self

    def with_question_of(self, other: "AgentRun") -> Self:
        """Return this state of a run with the question of another state: nothing else of a spec changes but ``cancel``."""
        return self.model_copy(update={"spec": other.spec.model_copy(update={"cancel": self.spec.cancel})})

    @property
    def is_resumable(self) -> bool:
        """True if a caller may join the run's stream after its beginning."""
        return names.ANNOTATION_RESUMABLE in self.metadata.annotations

    @property
    def accepted_at(self) -> str:
        """Time at which its web-proxy accepted the run, as text that sorts by time; never outside the second of its creation."""
        accepted = self.metadata.annotations.get(names.ANNOTATION_ACCEPTED_AT, "")
        return within_second(accepted, self.metadata.creation_timestamp)

    @property
    def claimed_pod(self) -> str | None:
        """The pod of the warm pool that is bound to the run; None: a pod is created for it, or nothing is decided yet."""
        if self.status.start == "cold":
            return None
        if self.spec.claim:
            return self.spec.claim.pod_name
        return self.status.pod_name if self.status.start == "warm" else None

    @property
    def claim_order(self) -> tuple[str, str]:
        """Order of the runs that claim the same pod: the first of them has it."""
        return self.metadata.creation_timestamp, self.metadata.uid

    @property
    def job_name(self) -> str:
        """Name of the run's only Job, whether it exists yet or not."""
        pod = self.claimed_pod
        return names.job_of_pod(pod) if pod else names.job(self.metadata.name, self.metadata.uid)

    @property
    def start_kind(self) -> str:
        """The value of ``status.start`` that is written at the run's end."""
        return "warm" if self.claimed_pod else "cold"

    def is_assigned_to(self, pod: str) -> bool:
        """Return true if a pod of this name belongs to the run: the claimed pod, or a pod of the Job that is created for it."""
        return pod == self.claimed_pod if self.claimed_pod else names.is_pod_of_job(pod, self.job_name)


def without_contents(body: dict[str, Any]) -> dict[str, Any]:
    """Return a run as the API server has it without question and answer, and without ``managedFields``."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    if annotations := metadata.get("annotations"):
        metadata["annotations"] = {name: text for name, text in annotations.items() if name != _LAST_APPLIED}
    slim = {**body, "metadata": metadata}
    for part, omitted in _CONTENTS.items():
        if part in slim:
            slim[part] = {key: value for key, value in slim[part].items() if key not in omitted}
    return slim
