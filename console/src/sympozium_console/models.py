"""The shapes of answers, for /openapi.json. The objects themselves pass through as Kubernetes has them."""

from typing import Any, Literal

from pydantic import Field

from sympozium_api.base import ApiModel, Condition
from sympozium_api.instance import InstanceSpec, SympoziumInstance, WebEndpointStatus
from sympozium_api.run import AgentRun
from sympozium_api.skillpack import Parameter


class ListMetadata(ApiModel):
    """Where a page of a list stands."""

    resource_version: str
    """The version of the list."""
    continue_: str | None = Field(default=None, alias="continue")
    """What the parameter ``continue`` of the next page is; left out where there is none."""
    remaining_item_count: int | None = None
    """How many objects come after this page, where the API server knows."""


class InstanceList(ApiModel):
    """A page of instances."""

    api_version: str
    kind: Literal["SympoziumInstanceList"]
    metadata: ListMetadata
    items: list[SympoziumInstance]
    """By namespace and name."""


class RunList(ApiModel):
    """A page of runs."""

    api_version: str
    kind: Literal["AgentRunList"]
    metadata: ListMetadata
    items: list[AgentRun]
    """By namespace and name, without ``spec.request``, ``spec.response``, ``spec.task``, ``spec.systemPrompt``, ``status.result``,
    ``status.choices`` and ``status.details``."""


class WebEndpoint(WebEndpointStatus):
    """The HTTP API of an instance. ``enabled`` is what the instance asks for; all else is what the operator reports."""

    phase: Literal["Pending", "Running", "Serving", "Error"] | None
    """The instance's phase. Serving: its HTTP API answers."""
    conditions: list[Condition]
    """The instance's conditions."""


class SkillTitle(ApiModel):
    """One set of instructions, without its text."""

    name: str
    description: str | None


class SkillPackSummary(ApiModel):
    """A SkillPack, without its instructions and its container."""

    name: str
    namespace: str
    built_in: bool
    """It came with the installation; instances of every namespace may name it."""
    requires_server: bool
    """An instance that names it gets a server."""
    skills: list[SkillTitle]
    parameters: list[Parameter]
    """What an instance may set in ``skills[].params``."""
    phase: Literal["Pending", "Ready", "Error"] | None


class SkillList(ApiModel):
    """SkillPacks."""

    items: list[SkillPackSummary]
    """By namespace and name; built-in ones last."""


class FieldError(ApiModel):
    """What is wrong with one field or parameter."""

    field: str
    """Its path, e.g. ``spec.webEndpoint.replicas``, or its name."""
    message: str


class ErrorDetail(ApiModel):
    """Why a request was refused."""

    reason: str
    """A stable word for programs; Kubernetes' own where Kubernetes refused."""
    message: str
    """A sentence for people."""
    fields: list[FieldError]
    """The fields at fault, where they are known."""


class ErrorAnswer(ApiModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


class Health(ApiModel):
    """How the process is."""

    status: Literal["ok", "unavailable"]
    reason: str | None = None


def body_of(schema: dict[str, Any], *media_types: str) -> dict[str, Any]:
    """``openapi_extra`` of a route that reads its body itself, within bounds and after the token."""
    return {"requestBody": {"required": True, "content": {name: {"schema": schema} for name in media_types}}}


INSTANCE_BODY = body_of({"$ref": "#/components/schemas/SympoziumInstance"}, "application/json")
PATCH_BODY = body_of(
    {
        "type": "object",
        "description": "A JSON merge patch (RFC 7386) of the instance's spec: null removes a field, a list is replaced whole.",
        "example": {"webEndpoint": {"enabled": True}},
        "properties": {
            "resourceVersion": {
                "type": "string",
                "description": "The version that is changed; 409 when it is another.",
            },
            **{field.alias: {"description": field.description} for field in InstanceSpec.model_fields.values()},
        },
    },
    "application/json",
    "application/merge-patch+json",
)
