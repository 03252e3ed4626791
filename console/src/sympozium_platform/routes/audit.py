"""The audit of the caller's tenant."""

import uuid
from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from sympozium_archive.audit_log import AuditedChange, AuditFilter, AuditLog
from sympozium_archive.times import moment
from sympozium_domain.callers.tenant_caller import TenantCaller
from sympozium_platform import errors, platform_context
from sympozium_platform.access import Reader
from sympozium_platform.lists import ListQuery, listed

router = APIRouter(tags=["audit"])

_Text = Annotated[str | None, Field(min_length=1, max_length=253)]


class AuditQuery(ListQuery):
    """The query of one page of the audit."""

    resource_id: Annotated[_Text, Field(description="Only changes of the object with this id.")] = None
    action: Annotated[_Text, Field(description="Only such changes, as in ``agent.create``.")] = None


class AuditEntry(BaseModel):
    """A change, or a refused call."""

    id: uuid.UUID
    tenant_id: str
    user_id: str | None
    """User of the caller; null: the call was refused before its user was known, or had a token of the installation."""
    action: str
    resource_type: str
    resource_id: str | None
    """Id of the object; of a change through another API than this one its name."""
    trace_id: uuid.UUID | None
    """W3C trace id of the call, as a UUID."""
    idempotency_key: str | None
    status: Literal["succeeded", "refused", "failed", "unknown"]
    """``unknown``: there was no answer, so the change may have been made."""
    created_at: datetime

    @classmethod
    def of_change(cls, change: AuditedChange, caller: TenantCaller) -> Self:
        """Return the answer for a change in the caller's tenant."""
        entry = change.entry
        return cls(
            id=uuid.UUID(change.change_id),
            tenant_id=caller.tenant_id,
            user_id=entry.user,
            action=entry.action,
            resource_type=entry.kind,
            resource_id=entry.resource,
            trace_id=uuid.UUID(entry.trace_id) if entry.trace_id else None,
            idempotency_key=entry.idempotency_key,
            status=_status(change.status),
            created_at=moment(change.at),
        )


@router.get("/audit", name="audit.list", response_model=list[AuditEntry])
async def list_audit(request: Request, caller: Reader, params: Annotated[AuditQuery, Query()]) -> Response:
    """Return one page of the changes and refused calls of the caller's tenant, newest first."""
    context = platform_context.of_request(request)
    if not context.has_archive:
        message = "This installation keeps no audit. The chart's value archive.enabled switches it on."
        raise errors.refused(404, "archive_disabled", message)
    audit = AuditLog(context.database)
    conditions = AuditFilter(namespace=caller.namespace, resource=params.resource_id, action=params.action)
    page = await audit.page(conditions, limit=params.limit, offset=params.offset)
    return listed([AuditEntry.of_change(change, caller) for change in page], await audit.count(conditions))


def _status(status: int | None) -> Literal["succeeded", "refused", "failed", "unknown"]:
    if status is None:
        return "unknown"
    if status < 400:
        return "succeeded"
    return "refused" if status < 500 else "failed"
