"""Models of the answers in /openapi.json. Objects of Kubernetes pass through unchanged."""

from typing import Any, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Condition
from sympozium_api.instance import InstanceSpec, SympoziumInstance, WebEndpointStatus
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import Parameter, SkillPack
from sympozium_console import refusals
from sympozium_console.api_key_models import NewKeyBody
from sympozium_console.new_run_body import NewRunBody
from sympozium_openai import bodies


class ListMetadata(ApiModel):
    """Position of a page within its list."""

    resource_version: str
    """Resource version of the list."""
    continue_: str | None = Field(default=None, alias="continue")
    """Value of the parameter ``continue`` for the next page; omitted on the last page."""
    remaining_item_count: int | None = None
    """Number of objects after this page, if the API server knows it."""


class InstanceList(ApiModel):
    """One page of instances."""

    api_version: str
    kind: Literal["SympoziumInstanceList"]
    metadata: ListMetadata
    items: list[SympoziumInstance]
    """Instances, ordered by namespace and name."""


class RunList(ApiModel):
    """One page of runs."""

    api_version: str
    kind: Literal["AgentRunList"]
    metadata: ListMetadata
    items: list[AgentRun]
    """Runs, ordered by namespace and name, without questions (``spec.task``, ``spec.request``, ``spec.requestText``, ``spec.response``,
    ``spec.responseText``, ``spec.systemPrompt``) and answers (``status.result``, ``status.answer``, ``status.choices``,
    ``status.details``, ``status.steps``)."""


class WebEndpointState(WebEndpointStatus):
    """An instance's web endpoint: ``enabled`` comes from its spec, every other field from the operator's report."""

    phase: Literal["Pending", "Running", "Serving", "Error"] | None
    """Phase of the instance. Serving: its HTTP API answers."""
    conditions: list[Condition]
    """Conditions of the instance."""


class SkillTitle(ApiModel):
    """One set of instructions, without its text."""

    name: str
    description: str | None


class SkillPackSummary(ApiModel):
    """A SkillPack, without its instructions and its container."""

    name: str
    namespace: str
    built_in: bool
    """True for a pack that the chart installs; instances of every namespace may name it."""
    requires_server: bool
    """True if an instance that names the pack gets a server."""
    skills: list[SkillTitle]
    parameters: list[Parameter]
    """Parameters that an instance may set in ``skills[].params``."""
    phase: Literal["Pending", "Ready", "Error"] | None


class SkillList(ApiModel):
    """The SkillPacks that instances may name."""

    items: list[SkillPackSummary]
    """Packs, ordered by namespace and name, built-in packs last."""


class SkillUser(ApiModel):
    """An instance that names a SkillPack."""

    namespace: str
    name: str


class SkillDetail(ApiModel):
    """A SkillPack and the instances that name it."""

    pack: SkillPack
    built_in: bool
    """True for a pack that the chart installs; instances of every namespace may name it."""
    used_by: list[SkillUser]
    """Instances whose skill the pack is, by namespace and name, as far as the caller may list instances."""


class FieldError(ApiModel):
    """Fault of one field or parameter."""

    field: str
    """Path of the field, e.g. ``spec.webEndpoint.replicas``, or name of the parameter."""
    message: str


class FaultDetails(ApiModel):
    """The first field or parameter at fault."""

    field: str
    reason: str
    """Fault, as ``message`` of the same entry of ``fields`` has it."""


class RefusalDetail(ApiModel):
    """Reason of a refusal."""

    reason: str
    """Stable word for programs; Kubernetes' own word if Kubernetes refused."""
    message: str
    """Sentence for people."""
    fields: list[FieldError]
    """Fields at fault, if they are known."""
    code: str = Field(json_schema_extra={"enum": [*sorted(set(refusals.CODES.values()))]})
    """Class of the refusal, which follows the status."""
    details: FaultDetails | None
    """First of ``fields``; null if there is none."""


class ErrorAnswer(ApiModel):
    """Body of every refusal."""

    error: RefusalDetail


class Health(ApiModel):
    """Health of the process."""

    status: Literal["ok", "unavailable"]
    reason: str | None = None


def body_of(schema: dict[str, Any], *media_types: str) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that reads its own body, within bounds and after authentication."""
    return {"requestBody": {"required": True, "content": {name: {"schema": schema} for name in media_types}}}


OBJECT_TYPES = ("application/json", "application/yaml")
"""Media types of objects, in requests and in answers."""
CONFIG_BODY = body_of({"$ref": "#/components/schemas/SympoziumConfig"}, *OBJECT_TYPES)
INSTANCE_BODY = body_of({"$ref": "#/components/schemas/SympoziumInstance"}, *OBJECT_TYPES)
PATCH_BODY = body_of(
    {
        "type": "object",
        "description": "A JSON merge patch (RFC 7386): null removes a field, a list is replaced as a whole. The spec's fields may also "
        "stand at the top, without ``spec`` and ``metadata``.",
        "example": {"spec": {"webEndpoint": {"enabled": True}}},
        "properties": {
            "spec": {"type": "object", "description": "Fields of the instance's spec."},
            "metadata": {
                "type": "object",
                "description": "``resourceVersion``: version to change; 409 if the stored one differs.",
            },
            "resourceVersion": {
                "type": "string",
                "description": "Version to change; 409 if the stored version differs.",
            },
            **{field.alias: {"description": field.description} for field in InstanceSpec.model_fields.values()},
        },
    },
    *OBJECT_TYPES,
    "application/merge-patch+json",
)
NEW_API_KEY = bodies.documented(NewKeyBody)
NEW_RUN = bodies.documented(NewRunBody) | {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "The same key and body again get the same run.",
        },
        {
            "name": "Prefer",
            "in": "header",
            "schema": {"type": "string"},
            "description": "``wait=N``: answer once the run has ended, or after N seconds, at most 600.",
        },
    ]
}
