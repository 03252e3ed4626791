"""A binding as the dialects show it, made from its ToolBinding. Pure."""

from dataclasses import dataclass
from typing import Literal, Self

from sympozium_api.reading import Unreadable, read
from sympozium_api.resources import Object
from sympozium_api.tool_binding import ToolBinding
from sympozium_domain import object_ids

Scope = Literal["read", "write"]


@dataclass(frozen=True)
class BindingRecord:
    """One binding: the grant of a tool to an agent."""

    id: str
    agent_id: str
    tool_id: str
    permission_scope: Scope
    timeout_ms: int
    """Milliseconds that a call may take, retries included."""
    rate_limit: str | None
    """Most calls, such as ``10/minute``; None: no limit."""
    allowed_domains: tuple[str, ...]
    secrets_ref: str | None
    """Name of the credentials among the tenant's; None: the tool needs none, or has its own."""

    @classmethod
    def of(cls, body: Object, agent_id: str, tool_id: str) -> Self | None:
        """Return the binding of a ToolBinding; None: this version cannot read it, or it is being deleted."""
        if body["metadata"].get("deletionTimestamp"):
            return None
        try:
            spec = read(ToolBinding, body).spec
        except Unreadable:
            return None  # of a later version's schema; the operator reports it
        return cls(
            id=object_ids.object_id(body),
            agent_id=agent_id,
            tool_id=tool_id,
            permission_scope=spec.permission_scope,
            timeout_ms=spec.timeout_ms,
            rate_limit=spec.rate_limit,
            allowed_domains=tuple(spec.allowed_domains),
            secrets_ref=spec.secret_key,
        )
