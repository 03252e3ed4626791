"""Bodies and answers of tools and bindings."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_domain.tools.binding_record import BindingRecord, Scope
from sympozium_domain.tools.bindings import BindingFields
from sympozium_domain.tools.tool_manifest import ToolFields
from sympozium_domain.tools.tool_record import AuthType, ExecutionType, Status, ToolRecord


def _without_default(schema: dict[str, Any]) -> None:
    """Leave the default out of a description, because a field that is not given stays as it is."""
    schema.pop("default", None)


Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people, in any script.")]
Description = Annotated[str, Field(max_length=4096, description="Purpose of the tool, for models.")]
InputSchema = Annotated[
    dict[str, Any],
    Field(
        description="JSON Schema of the arguments, of type object; names of properties are Python identifiers.",
        examples=[{"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}],
    ),
]
Endpoint = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="URL with http:// or https:// and without user information, which a POST of the arguments is sent to.",
    ),
]
Version = Annotated[int, Field(ge=1, le=999_999_999, description="Number of the tool's version.")]


class ToolChange(BaseModel):
    """Fields of a tool to change. Those that are not given stay as they are; other ones cannot be changed and are ignored."""

    model_config = ConfigDict(strict=True)

    name: Name = Field("", json_schema_extra=_without_default)
    description: Description = Field("", json_schema_extra=_without_default)
    input_schema: InputSchema = Field({}, json_schema_extra=_without_default)
    execution_type: ExecutionType = Field("internal", json_schema_extra=_without_default)
    """``internal``: the name is that of a built-in tool (``fetch_url``), or of a skill of the agent's SkillPacks."""
    endpoint: Endpoint | None = Field(None, json_schema_extra=_without_default)
    """Required with ``http_webhook``, null with ``internal``."""
    auth_type: AuthType = Field("none", json_schema_extra=_without_default)
    """Credentials that the endpoint gets. The binding's ``secrets_ref`` names those of ``api_key`` and ``oauth2``."""
    status: Status = Field("active", json_schema_extra=_without_default)
    """``deprecated``: the tool still can be called."""
    version: Version = Field(1, json_schema_extra=_without_default)

    @property
    def fields(self) -> ToolFields:
        """The fields that are given."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class NewTool(ToolChange):
    """A tool to create."""

    name: Name
    description: Description = ""
    input_schema: InputSchema
    execution_type: ExecutionType
    endpoint: Endpoint | None = None
    auth_type: AuthType = "none"
    status: Status = "active"
    version: Version = 1


class ToolAnswer(BaseModel):
    """A tool."""

    id: str
    tenant_id: str
    name: str
    description: str
    input_schema: dict[str, Any]
    execution_type: ExecutionType
    endpoint: str | None
    auth_type: AuthType
    status: Status
    version: int | str
    """A text only where the tool was made with Kubernetes' own tools, and its version is no number."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, tool: ToolRecord, tenant_id: str) -> Self:
        """Return the answer about a tool of a tenant."""
        own = cls.model_fields.keys() - {"tenant_id"}
        return cls(tenant_id=tenant_id, **{name: getattr(tool, name) for name in own})


class NewBinding(BaseModel):
    """The grant of a tool to an agent. It replaces the former one as a whole."""

    model_config = ConfigDict(strict=True)

    permission_scope: Scope = "read"
    """``write``: runs of callers without the scope ``tools:write`` may not call the tool."""
    timeout_ms: Annotated[int, Field(ge=1)] = Field(0, json_schema_extra=_without_default)
    """Milliseconds that a call may take, retries included; at most TOOL_MAX_TIMEOUT_MS. Default: TOOL_DEFAULT_TIMEOUT_MS."""
    rate_limit: Annotated[str, Field(examples=["10/minute"])] | None = None
    """Most calls in any second, minute, hour or day, as ``N/second``, ``N/minute``, ``N/hour`` or ``N/day``; null: no limit."""
    allowed_domains: Annotated[list[str], Field(max_length=64, examples=[["api.example.com"]])] = []
    """Exact names of the hosts that a call may reach. Empty: none."""
    secrets_ref: Annotated[str, Field(examples=["WEATHER_KEY"])] | None = None
    """Entry of the tenant's Secret ``tool-secrets``, with or without ``SECRET_`` before its name; null: none."""

    def fields_within(self, *, default_ms: int) -> BindingFields:
        """Return all fields, with ``default_ms`` where no time is given."""
        given = self.model_dump()
        return given if "timeout_ms" in self.model_fields_set else given | {"timeout_ms": default_ms}


class BindingAnswer(BaseModel):
    """The grant of a tool to an agent."""

    id: str
    tenant_id: str
    agent_id: str
    tool_id: str
    permission_scope: Scope
    timeout_ms: int
    rate_limit: str | None
    allowed_domains: list[str]
    secrets_ref: str | None

    @classmethod
    def of(cls, binding: BindingRecord, caller: TenantCaller) -> Self:
        """Return the answer about a binding of the caller's tenant."""
        own = cls.model_fields.keys() - {"tenant_id"}
        return cls(tenant_id=caller.tenant_id, **{name: getattr(binding, name) for name in own})
